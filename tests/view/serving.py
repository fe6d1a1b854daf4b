"""Run folders made by the real command, a viewer on a real socket, and somebody who writes while it is looked at."""

from __future__ import annotations

import http.client
import json
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..conftest import Command

BENCH = "fresh:level=1,seed=3,size=6"

HOSTILE = (
    "<script>alert(1)</script> <img src=x onerror=alert(2)> [x](javascript:alert(3)) "
    '<a href="javascript:alert(4)">y</a> \x1b[31mred\x1b[0m \x00 ]]> </textarea></pre></title></style> '
    r"$\href{javascript:alert(5)}{z}$ \(\text{<img src=x onerror=alert(6)>}\) $\style{color:red}{w}$ "
    "\u202egnp.exe\u202c {{ 7*7 }} {% raw %} <svg onload=alert(8)> &lt;b&gt; \u2028 '\"><b>bold</b>"
)


def golds_of(bench: str = BENCH) -> dict[str, str]:
    from harness.data import DataSource
    from harness.plugins import load_plugins

    return {p.id: p.gold for p in load_plugins().benchmark(bench).problems(DataSource(None))}


def chains(golds: dict[str, str], n: int, *, right: float, seed: int = 1) -> list[dict[str, Any]]:
    """n chains a problem; `right` is the share that ends with the gold."""
    draw = random.Random(seed)
    rows = []
    for problem_id, gold in golds.items():
        for index in range(n):
            answer = gold if draw.random() < right else f"{gold}{draw.choice('57')}"
            text = f"<think>Let me think: $\\frac{{1}}{{2}}$ and so on.</think>So \\boxed{{{answer}}}."
            rows.append(
                {
                    "problem_id": problem_id,
                    "index": index,
                    "text": text,
                    "completion_tokens": 10 + 7 * index,
                    "finish_reason": "stop",
                }
            )
    return rows


def make_run(folder: Path, rows: list[dict[str, Any]], model: str, bench: str = BENCH) -> dict[str, Any]:
    """A run made by `harness run --sampler replay` in `folder`/results; its result."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{model.replace('/', '_')}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    command = Command(folder)
    (result,) = command.json(
        "run", "--bench", bench, "--sampler", "replay", "--chains", path, "--model", model
    )
    return {**result, "path": str(folder / result["path"])}


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass
class Served:
    """A viewer at work."""

    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str, *, method: str = "GET", host: str | None = None) -> Answer:
        """Ask with the path exactly as it is given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.putrequest(method, path, skip_host=True)
            connection.putheader("Host", f"127.0.0.1:{self.port}" if host is None else host)
            connection.endheaders()
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, headers, answer.read())
        finally:
            connection.close()

    def page(self, path: str) -> str:
        answer = self.get(path)
        assert answer.status == 200, answer.text
        return answer.text


@contextmanager
def serving(results: Path, host: str = "127.0.0.1") -> Iterator[Served]:
    """The viewer in a thread of this process."""
    import uvicorn

    from harness.plugins import load_plugins
    from harness_reports.view.app import make_app

    app = make_app(results, load_plugins(), host=host)
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_level="critical", server_header=False
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            until = time.monotonic() + 20
            while not server.started:
                assert time.monotonic() < until
                time.sleep(0.01)
            yield Served(listening.getsockname()[1])
        finally:
            server.should_exit = True
            thread.join(20)


def key_of(result: dict[str, Any]) -> str:
    """A run's key in addresses."""
    return "/".join(Path(result["path"]).parts[-3:])


_WRITER = """
import sys
from harness import Chain, Grade, Problem, Prompt, Message
from harness.store import RunFolder
from pathlib import Path

path, n = Path(sys.argv[1]), int(sys.argv[2])
folder = RunFolder(path, "made-up")
problems = [Problem(f"p{i}", f"How much is ${i} + {i}$?", str(2 * i)) for i in range(3)]
with folder.writing():
    folder.write_problems(problems, [Prompt((Message("user", p.text),)) for p in problems])
    info = {
        "fingerprint": path.name, "model": {"name": "writer"}, "seed": 0, "sessions": [],
        "benchmark": {"label": "made-up", "problems": 3}, "protocol": {"name": "plain", "n": n},
    }
    folder.write_info({**info, "status": "running"})
    folder.open_grades("made-up 1")
    print("ready", flush=True)
    made = 0
    grades = {}
    for line in sys.stdin:
        word = line.strip()
        if word == "chain":
            id_, index = f"p{made % 3}", made // 3
            text = f"chain number {made}"
            folder.append(Chain("made-up", id_, index, text, completion_tokens=5, finish_reason="stop"))
            made += 1
        elif word == "grade":  # every third chain of a problem is wrong
            key = f"p{len(grades) % 3}", len(grades) // 3
            wrong = key[1] % 3 == 2
            answer = f"<b>{key[1]}" if wrong else str(2 * int(key[0][1:]))
            grades[key] = Grade("incorrect" if wrong else "correct", answer, answer, "boxed/<i>spelling")
            folder.append_grade(key, grades[key])
        elif word == "half":
            with (path / "chains.jsonl").open("ab") as journal:
                journal.write(b'{"problem_id":"p0","index":99,"text":"torn')
        elif word == "complete":
            folder.complete([p.id for p in problems])
            folder.write_info({**info, "status": "complete"})
        elif word == "finish":
            folder.complete([p.id for p in problems])
            folder.write_grades(grades, "made-up 1", [p.id for p in problems])
            folder.write_info({**info, "status": "complete"})
        print("done", flush=True)
"""


class Writer:
    """Another process that holds a run folder's lock and writes into it, step by step."""

    def __init__(self, path: Path, n: int = 4) -> None:
        self.path = path
        self._process = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(path), str(n)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._expect("ready")

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word

    def __call__(self, word: str, times: int = 1) -> None:
        assert self._process.stdin is not None
        for _ in range(times):
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
            self._expect("done")

    def end(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(20) == 0
        self._process.stdout.close()
