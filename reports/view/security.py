"""What every answer is guarded by: who may ask, what may be asked, and what a page may do.

The pages quote models, whose output is hostile. It is escaped where it is put into a page; here stands what holds even
if that failed once: nothing runs but our own script, and nothing is loaded from elsewhere.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)

HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}

_LOCAL: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_MOST_URL: Final = 16_384  # bytes of path and query


class Guard:
    """Answers only hosts that are ours (a page elsewhere could have its name point here: DNS rebinding), only GET and
    HEAD, and puts the protecting headers on every answer.

    Args:
        host: the address that the server listens at.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._hosts = _LOCAL | {host.lower()}
        self._open = host.lower() not in _LOCAL
        if self._open:
            self._hosts |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        hosts = [value for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(hosts[0].decode("latin-1")):
            return PlainTextResponse("This server does not go by that name.\n", 421)
        if scope["method"] not in ("GET", "HEAD"):
            return PlainTextResponse("Everything here can only be read.\n", 405, {"Allow": "GET, HEAD"})
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > _MOST_URL:
            return PlainTextResponse("This address is too long.\n", 414)
        return None

    def _is_ours(self, header: str) -> bool:
        host = _without_port(header.strip().lower())
        if host in self._hosts:
            return True
        if not self._open:
            return False
        try:  # a number cannot be made to point elsewhere
            ipaddress.ip_address(host)
        except ValueError:
            return False
        return True


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] if host.count(":") == 1 else host
