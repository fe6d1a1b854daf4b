"""The tests' own server takes all its connections with it when it stops, however far each of them got."""

from __future__ import annotations

import socket
import threading

import pytest

from .badserver import Answers, BadServer


@pytest.mark.parametrize("said", [b"", b"POST /v1/comple", b"GET /v1/models HTTP/1.1\r\n\r\n"])
def test_a_server_that_stops_closes_what_it_accepted(said: bytes) -> None:
    clients: list[socket.socket] = []
    enough = threading.Event()

    def dial(port: int) -> None:
        while len(clients) < 150:
            try:
                clients.append(socket.create_connection(("127.0.0.1", port), 1))
                clients[-1].sendall(said)
            except OSError:  # it has stopped
                break
            if len(clients) > 20:
                enough.set()
        enough.set()

    server = BadServer(Answers())
    with server:
        callers = [threading.Thread(target=dial, args=(server.port,)) for _ in range(3)]
        for caller in callers:
            caller.start()
        assert enough.wait(10)
    for caller in callers:
        caller.join()
    for client in clients:
        client.close()
    assert len(server.accepted) > 0
    assert {connection.fileno() for connection in server.accepted} == {-1}
