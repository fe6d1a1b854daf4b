"""How much the openai sampler asks for at once, over which connections, and how it ends."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Engine, HarnessError, Request
from harness.models import ResolvedModel
from harness_plugins.samplers.openai import OpenAI

from ...loops import in_running_loop
from .asking import (
    KEY,
    QUICK,
    SETTINGS,
    assert_right,
    opened,
    refused_opening,
    requests,
    sample,
)
from .badserver import Answers, Asked, BadServer, Out, text_of

# -- how much at once ----------------------------------------------------------------------------------------


def test_no_more_is_asked_at_once_than_allowed_and_no_less_than_possible() -> None:
    with BadServer(Answers(seconds=0.05)) as server, opened(server, max_in_flight=16) as engine:
        sample(engine, requests(10, 16))
        assert server.most_in_flight == 16


@pytest.mark.parametrize("headers", [{}, {"retry_after": "0.05"}])
def test_it_finds_how_much_a_server_with_a_limit_sustains(headers: dict[str, str]) -> None:
    async def limited(server: BadServer, asked: Asked, out: Out) -> None:
        if server.in_flight > 8:
            await out.error(429, "too many requests", **headers)
        else:
            await Answers(seconds=0.03)(server, asked, out)

    with BadServer(limited) as server, opened(server, max_in_flight=64, retries=5) as engine:
        began = time.monotonic()
        chains = sample(engine, requests(10, 40))
        took = time.monotonic() - began
        assert_right(chains, server)
        refused = len(server.asked) - 400
        assert refused < 300, "it keeps asking for more than the server takes"
        assert took < 5 * 400 / 8 * 0.03 + 1, "it stays far below what the server takes"


def test_requests_are_taken_from_the_input_only_as_there_is_room() -> None:
    taken = 0

    def slowly() -> Iterator[Request]:
        nonlocal taken
        for request in requests(20, 10):
            taken += 1
            yield request

    with BadServer(Answers(seconds=0.05)) as server, opened(server, max_in_flight=8) as engine:
        assert isinstance(engine, Engine)
        for done, _ in enumerate(engine.sample(slowly())):
            assert taken <= done + 8 + 1
    assert taken == 200


def test_chains_that_are_dropped_are_given_up_at_once() -> None:
    def seconds(asked: Asked) -> float:
        return 0.02 if asked.prompt == "problem 0" else 30

    with BadServer(Answers(seconds=seconds)) as server, opened(server, max_in_flight=8) as engine:
        wanted = requests(3, 4)
        unwanted = {request.key for request in wanted if request.key.problem_id != "p0"}
        threading.Timer(0.3, engine.drop, [unwanted]).start()
        began = time.monotonic()
        chains = list(engine.sample(wanted))
        assert time.monotonic() - began < 5
        assert {chain.key for chain in chains} == {r.key for r in wanted} - unwanted
        deadline = time.monotonic() + 5
        while server.hung_up < 8 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.hung_up == 8, "the server writes on for nobody"


def test_closing_the_iterator_ends_all_requests_at_once() -> None:
    def seconds(asked: Asked) -> float:
        return 0.02 if asked.seed == 3 else 30

    with BadServer(Answers(seconds=seconds)) as server, opened(server) as engine:
        chains = engine.sample(requests(1, 10))
        assert next(iter(chains)).index == 3
        began = time.monotonic()
        chains.close()  # type: ignore[attr-defined]
        assert time.monotonic() - began < 1
        deadline = time.monotonic() + 5
        while server.hung_up < 9 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert server.hung_up == 9
        assert len(sample(engine, [requests(1, 4)[3]])) == 1, "the engine can be used again"


def test_an_answer_can_be_watched_as_it_is_written() -> None:
    with BadServer(Answers(seconds=0.4, reasoning="Hm. ")) as server, opened(server) as engine:
        pieces: list[tuple[float, str]] = []
        request = requests(1, 1)[0]
        chain = engine.stream(request, lambda piece: pieces.append((time.monotonic(), piece)))
        assert "".join(piece for _, piece in pieces) == chain.reasoning + chain.text
        assert chain.text == text_of("problem 0", 0)
        assert pieces[-1][0] - pieces[0][0] > 0.2


def test_it_works_where_an_event_loop_runs_already() -> None:
    """As in a notebook."""

    def cell() -> None:
        with opened(server) as engine:
            assert_right(sample(engine, requests(1, 2)), server)

    with BadServer(Answers()) as server:
        in_running_loop(cell)


# -- the way there -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A certificate for 127.0.0.1 and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl to make a certificate with")
    file = tmp_path_factory.mktemp("tls") / "server.pem"
    command = [
        openssl,
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=localhost",
    ]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(file), "-out", f"{file}.crt"]
    subprocess.run(command, check=True, capture_output=True)
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return str(file)


def test_tls_with_a_trusted_certificate_works_and_with_another_it_stops(
    certificate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with BadServer(Answers(), tls=certificate) as server:
        with pytest.raises(HarnessError, match=r"certificate is not trusted.*SSL_CERT_FILE"), opened(server):
            pass
        monkeypatch.setenv("SSL_CERT_FILE", certificate)
        with opened(server) as engine:
            assert_right(sample(engine, requests(2, 3)), server)
        plain = {"base_url": server.base_url.replace("https", "http")}
        assert re.search(r"cannot be reached", refused_opening(plain))
    monkeypatch.setattr("harness_plugins.samplers.openai._http._CONNECT_SECONDS", 1.0)
    with BadServer(Answers()) as server:
        secure = {"base_url": server.base_url.replace("http", "https")}
        assert re.search(r"is it http", refused_opening(secure))


class Proxy:
    """Forwards connections to one port, whatever name they ask for."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.asked: list[bytes] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Proxy:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)

    def _serve(self) -> None:
        threads = []
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                break
            threads.append(threading.Thread(target=self._forward, args=[client], daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(5)

    def _forward(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            head = client.recv(65536)
            self.asked.append(head)
            if head.startswith(b"CONNECT"):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                server.sendall(head)
            back = threading.Thread(target=_pump, args=[server, client], daemon=True)
            back.start()
            _pump(client, server)
            back.join(5)


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_a_proxy_of_the_environment_is_used(certificate: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with BadServer(Answers()) as server, Proxy(server.port) as proxy:
        monkeypatch.setenv("http_proxy", f"http://me:pass@127.0.0.1:{proxy.port}")
        options = {**QUICK, "base_url": "http://made-up.example/v1"}
        with OpenAI().open(ResolvedModel("made-up"), SETTINGS, options) as engine:
            assert len(sample(engine, requests(1, 2))) == 2
        assert proxy.asked[0].startswith(b"GET http://made-up.example/v1/models HTTP/1.1\r\n")
        assert b"proxy-authorization: Basic bWU6cGFzcw==" in proxy.asked[0]
    monkeypatch.setenv("SSL_CERT_FILE", certificate)
    with BadServer(Answers(), tls=certificate) as server, Proxy(server.port) as proxy:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setattr("harness_plugins.samplers.openai._url.is_loopback", lambda host: False)
        with opened(server) as engine:
            assert_right(sample(engine, requests(1, 2)), server)
        assert proxy.asked[0].startswith(b"CONNECT 127.0.0.1:")
        assert not any(KEY.encode() in asked for asked in proxy.asked)
