"""Serves the pages: a socket, uvicorn on it, one line when it is ready."""

from __future__ import annotations

import errno
import socket
import webbrowser
from pathlib import Path

import click
import uvicorn

from harness import HarnessError
from harness.plugins import PluginManager

from .app import make_app

_GRACE_SECONDS = 1
"""How long requests under way may take once the user asked for the end."""


class _Server(uvicorn.Server):
    """Tells when it is ready to answer."""

    def __init__(self, config: uvicorn.Config, url: str, browser: bool) -> None:
        super().__init__(config)
        self._url = url
        self._browser = browser

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        click.echo(self._url)
        if self._browser:
            webbrowser.open(self._url)


def serve(results: Path, plugins: PluginManager, *, host: str, port: int, browser: bool) -> None:
    """Serve until the user interrupts.

    Raises:
        HarnessError: the port is taken, or the address is none of this machine's.
    """
    listening = _listen(host, port)
    port = listening.getsockname()[1]
    shown = f"[{host}]" if ":" in host else host
    config = uvicorn.Config(
        make_app(results, plugins, host=host),
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    try:
        _Server(config, f"http://{shown}:{port}/", browser).run(sockets=[listening])
    except KeyboardInterrupt:
        click.echo(err=True)  # the terminal's line begins with ^C
    finally:
        listening.close()


def _listen(host: str, port: int) -> socket.socket:
    listening = None
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except (OSError, UnicodeError) as error:
        if listening is not None:
            listening.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise HarnessError(f"port {port} is in use: give another with --port, or 0 for any") from None
        reason = error.strerror if isinstance(error, OSError) else None
        raise HarnessError(f"cannot listen at {host} port {port}: {reason or error}") from None
    return listening
