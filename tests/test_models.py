"""What `--model` names, how two sets of weights are told apart, and what happens when the Hub does not answer."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness import HarnessError, hub
from harness.models import ResolvedModel, folder_problem, resolve_model
from harness_plugins.models import harness_models

KNOWN = harness_models()


def safetensors(values: int = 8, fill: bytes = b"\1") -> bytes:
    header = {"w": {"dtype": "F32", "shape": [values], "data_offsets": [0, 4 * values]}}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + fill * (4 * values)


FILES = {
    "config.json": b'{"model_type": "qwen2"}',
    "tokenizer.json": b"{}",
    "model.safetensors": safetensors(),
}


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


# -- names ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["Fathom-R1-14B", "fathom-r1-14b", "FractalAIResearch/Fathom-R1-14B"])
def test_a_known_name_means_its_repository_in_any_case(text: str) -> None:
    model = resolve_model(text, KNOWN)
    assert (model.name, model.repo) == ("Fathom-R1-14B", "FractalAIResearch/Fathom-R1-14B")
    assert model.model_type == "qwen2"


@pytest.mark.parametrize(
    ("text", "repo"),
    [
        ("Fathom-R1-14B-V0.4-RS", "FractalAIResearch/Fathom-R1-14B-V0.4-RS"),
        ("DeepSeek-R1-Distill-Qwen-32B", "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B"),
        ("Light-R1-14B-DS", "qihoo360/Light-R1-14B-DS"),
        ("Qwen2.5-72B-Instruct", "Qwen/Qwen2.5-72B-Instruct"),
        ("qwen3-0.6b", "Qwen/Qwen3-0.6B"),
        ("smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"),
        ("someone/something@abc123", "someone/something"),
    ],
)
def test_short_names_and_hub_ids(text: str, repo: str) -> None:
    assert resolve_model(text, KNOWN).repo == repo


def test_no_two_known_models_share_a_name() -> None:
    names = [name.lower() for model in KNOWN for name in (model.name, *model.aliases)]
    assert len(names) == len(set(names))


def test_a_revision_may_be_named() -> None:
    assert resolve_model("Qwen3-8B@v1", KNOWN).revision == "v1"
    assert resolve_model("someone/something@v2", KNOWN).identity() == {
        "repo": "someone/something",
        "revision": "v2",
    }


def test_a_mistyped_name_gets_the_closest_ones() -> None:
    with pytest.raises(HarnessError, match=r"unknown model 'Fathom-R1-14'.*did you mean Fathom-R1-14B "):
        resolve_model("Fathom-R1-14", KNOWN)
    with pytest.raises(HarnessError, match="harness list models"):
        resolve_model("zzzzzz", KNOWN)
    with pytest.raises(HarnessError, match="--model is empty"):
        resolve_model("  ", KNOWN)


# -- folders and files ------------------------------------------------------------------------------


def test_a_local_folder_is_known_by_its_own_name(tmp_path: Path) -> None:
    model = resolve_model(str(write(tmp_path / "my-model", FILES)), KNOWN)
    assert (model.name, model.folder, model.model_type) == ("my-model", tmp_path / "my-model", "qwen2")


def test_a_checkpoint_carries_the_name_of_its_training_run(tmp_path: Path) -> None:
    model = resolve_model(str(write(tmp_path / "sft" / "checkpoint-100", FILES)), KNOWN)
    assert model.name == "sft-checkpoint-100"


def test_a_folder_that_holds_a_model_wins_over_a_known_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Qwen3-8B").mkdir()  # results of an earlier run, say
    assert resolve_model("Qwen3-8B", KNOWN).repo == "Qwen/Qwen3-8B"
    write(tmp_path / "Qwen3-8B", FILES)
    assert resolve_model("Qwen3-8B", KNOWN).folder == tmp_path / "Qwen3-8B"


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "it is empty"),
        ({"readme.md": b""}, "no config.json"),
        ({"config.json": b"{}"}, r"no weights \(\*\.safetensors\)"),
        ({"config.json": b"[]", "model.safetensors": safetensors()}, "config.json is not a JSON object"),
        ({"config.json": b"{}", "pytorch_model.bin": b"x"}, "pickled"),
        ({"adapter_config.json": b"{}", "adapter_model.safetensors": safetensors()}, "LoRA adapter"),
        ({"config.json": b"{}", "model.safetensors": safetensors()}, "no tokenizer"),
        ({**FILES, "model.safetensors": safetensors()[:-5]}, r"model.safetensors is cut off: \d+ of \d+"),
        ({**FILES, "model.safetensors": b""}, "not a complete safetensors file"),
        ({**FILES, "model.safetensors": struct.pack("<Q", 2) + b"[]"}, "no safetensors header"),
        ({"openvino_model.xml": b"<net/>"}, "lacks openvino_detokenizer.xml, openvino_model.bin"),
        (
            {**FILES, "model.safetensors.index.json": b'{"weight_map": {"a": "x-1.safetensors"}}'},
            "lacks x-1.safetensors",
        ),
    ],
)
def test_an_unusable_folder_says_what_is_missing(
    tmp_path: Path, files: dict[str, bytes], problem: str
) -> None:
    with pytest.raises(HarnessError, match=rf"model folder .*{problem}.*needed: config.json"):
        resolve_model(str(write(tmp_path / "m", files)), KNOWN)


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    for text in (f"{tmp_path}/none", "./none", "~/none-at-all", "none.gguf"):
        with pytest.raises(HarnessError, match="there is no such file or folder"):
            resolve_model(text, KNOWN)


def test_a_gguf_file_or_a_folder_with_one(tmp_path: Path) -> None:
    file = write(tmp_path / "g", {"model-q8.gguf": b"GGUF\3\0\0\0"}) / "model-q8.gguf"
    for text in (file, file.parent):
        model = resolve_model(str(text), KNOWN)
        assert (model.name, model.file) == ("model-q8", file)
    (file.parent / "other.gguf").write_bytes(b"GGUF")
    with pytest.raises(HarnessError, match=r"several GGUF files.*model-q8\.gguf, other\.gguf"):
        resolve_model(str(file.parent), KNOWN)
    file.write_bytes(b"<html>")
    with pytest.raises(HarnessError, match="is not a GGUF file"):
        resolve_model(str(file), KNOWN)


# -- identity ---------------------------------------------------------------------------------------


def test_the_same_files_are_the_same_model_wherever_they_lie(tmp_path: Path) -> None:
    one = resolve_model(str(write(tmp_path / "a", FILES)), KNOWN)
    two = resolve_model(str(write(tmp_path / "b", {**FILES, "trainer_state.json": b"{}"})), KNOWN)
    assert one.identity() == two.identity()
    json.dumps(one.identity())


def test_a_model_retrained_in_place_is_another_model(tmp_path: Path) -> None:
    model = resolve_model(str(write(tmp_path / "a", FILES)), KNOWN)
    before = model.identity()
    (tmp_path / "a" / "model.safetensors").write_bytes(safetensors(fill=b"\2"))
    assert model.identity() != before
    write(tmp_path / "a", {**FILES, "generation_config.json": b"{}"})
    assert model.identity() != before


def test_identity_of_a_large_model_takes_milliseconds(tmp_path: Path) -> None:
    folder = write(tmp_path / "big", FILES)
    for shard in range(6):
        with (folder / f"model-{shard}.safetensors").open("wb") as stream:
            stream.truncate(5 << 30)  # sparse: 30 GB in all
    model = ResolvedModel(name="big", folder=folder)
    start = time.perf_counter()
    before = model.identity()
    assert time.perf_counter() - start < 0.5
    with (folder / "model-3.safetensors").open("r+b") as stream:
        stream.seek(1 << 30)
        stream.write(b"\7" * (100 << 20))  # a fiftieth of one shard changes
    assert model.identity() != before


# -- the Hub ----------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve(files: Mapping[str, bytes], *, refuse: tuple[int, str] | None = None) -> Iterator[str]:
    """A Hub with one model, org/tiny."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if refuse is not None:
                self.answer(refuse[0], b"{}", {"X-Error-Code": refuse[1]})
            elif path == "/":
                self.answer(200, b"hub")
            elif "/tree/" in path:
                tree = [
                    {"type": "file", "path": n, "oid": hashlib.sha1(c).hexdigest(), "size": len(c)}
                    for n, c in files.items()
                ]
                self.answer(200, json.dumps(tree).encode(), {"Content-Type": "application/json"})
            elif path.startswith("/api/models/org/tiny"):
                siblings = [{"rfilename": name} for name in files]
                card = {"id": "org/tiny", "sha": COMMIT, "siblings": siblings, "tags": [], "gated": False}
                self.answer(200, json.dumps(card).encode(), {"Content-Type": "application/json"})
            elif "/resolve/" in path and (name := path.rpartition("/")[2]) in files:
                self.answer(200, files[name], {"ETag": f'"{hashlib.sha1(files[name]).hexdigest()}"'})
            else:
                self.answer(404, b"{}", {"X-Error-Code": "EntryNotFound"})

        do_HEAD = do_GET

        def answer(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
            self.send_response(status)
            for key, value in {"X-Repo-Commit": COMMIT, **(headers or {})}.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never says a word."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield server.getsockname()[1]


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    import huggingface_hub.constants

    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    return tmp_path / "hub"


def test_a_model_is_downloaded_once(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve({**FILES, "README.md": b"x", "optimizer.pt": b"x"}) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        folder = hub.snapshot("org/tiny")
        assert folder_problem(folder) is None
        assert {file.name for file in folder.iterdir()} == set(FILES)
        assert hub.reachable() is None
    assert hub.snapshot("org/tiny") == folder  # the Hub is gone: nobody was asked
    assert hub.file("org/tiny", "config.json").read_bytes() == FILES["config.json"]
    assert resolve_model(str(folder), KNOWN).name == "tiny"


def test_a_half_downloaded_model_is_not_taken_for_the_whole(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(FILES) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        hub.file("org/tiny", "config.json")
        folder = hub.snapshot("org/tiny")
    assert folder_problem(folder) is None
    (folder / "model.safetensors").unlink()
    with pytest.raises(HarnessError, match="the Hub cannot be reached"):
        hub.snapshot("org/tiny")


@pytest.mark.parametrize(
    ("refuse", "message"),
    [
        ((403, "GatedRepo"), r"org/tiny is gated: accept its licence at http\S+/org/tiny .*hf auth login"),
        ((401, "GatedRepo"), "org/tiny is gated: accept its licence"),
        ((401, ""), "no model org/tiny, or it is private.*hf auth login"),
        ((404, "RepoNotFound"), "no model org/tiny, or it is private"),
        ((404, "RevisionNotFound"), "org/tiny has no such revision"),
        ((503, ""), r"cannot be reached \(127.0.0.1: answers with HTTP 503\)"),
    ],
)
def test_what_the_hub_refuses_comes_with_what_to_do(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch, refuse: tuple[int, str], message: str
) -> None:
    with serve(FILES, refuse=refuse) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(HarnessError, match=message):
            hub.snapshot("org/tiny", "v1")


def test_a_file_that_the_repository_does_not_have(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(FILES) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        with pytest.raises(HarnessError, match="org/tiny has no such file"):
            hub.file("org/tiny", "none.gguf")


def test_nothing_is_asked_where_the_user_forbids_it(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(HarnessError, match="not on this machine and HF_HUB_OFFLINE is set"):
        hub.snapshot("org/tiny")
    assert hub.reachable() == "HF_HUB_OFFLINE is set"


@pytest.mark.parametrize("way", ["no such host", "refused", "silent", "silent proxy"])
def test_an_unreachable_hub_is_one_clear_line_within_eight_seconds(
    way: str, tmp_path: Path, silent: int
) -> None:
    """In a process of its own, start-up included, as the user meets it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        settings = {
            "no such host": {"HF_ENDPOINT": "https://hub.invalid"},
            "refused": {"HF_ENDPOINT": f"http://127.0.0.1:{closed.getsockname()[1]}"},
            "silent": {"HF_ENDPOINT": f"http://127.0.0.1:{silent}"},
            "silent proxy": {
                "HF_ENDPOINT": "https://hub.invalid",
                "HTTPS_PROXY": f"http://127.0.0.1:{silent}",
                "NO_PROXY": "",
            },
        }[way]
        environment = {k: v for k, v in os.environ.items() if "OFFLINE" not in k and "proxy" not in k.lower()}
        environment |= {"HF_HOME": str(tmp_path), **settings}
        code = "from harness import hub, HarnessError\ntry: hub.snapshot('org/tiny')\n"
        code += "except HarnessError as e: print(e)"
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        took = time.monotonic() - start
    assert took < 8
    assert re.search(
        r"^model org/tiny is not on this machine and the Hub cannot be reached \(.*\); download it where there is "
        r"a network and pass its folder with --model DIR, or set HF_ENDPOINT to a mirror / HF_HOME to a filled "
        r"cache$",
        done.stdout.strip(),
    ), done.stdout + done.stderr
    reason = {"no such host": "does not resolve", "refused": "refused"}.get(way, "no answer within")
    assert reason in done.stdout
    assert done.stderr == ""


def test_a_name_that_cannot_be_a_repository() -> None:
    bad: Any = "a//b"
    with pytest.raises(HarnessError, match="is not a Hub id"):
        hub.snapshot(bad)
