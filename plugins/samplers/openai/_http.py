"""Requests to one server over kept connections: asyncio, HTTP/1.1, TLS, proxies from the environment."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import time
from collections.abc import Callable

from ._connection import Connection, Exchange, Patience, Pool, Sink
from ._url import Address, Proxy, is_private, proxy_for
from ._wire import NotHTTP, Reply

_CONNECT_SECONDS = 10.0
_DRAIN_SECONDS = (
    1.0  # how long the end of a reply may lag behind its last event, for its connection to be kept
)
_HAPPY_EYEBALLS = 0.25  # seconds until the next address of a name is tried as well (RFC 8305)


class Unreachable(Exception):
    """No connection. The text is a clause; `final` where trying again cannot help (TLS)."""

    def __init__(self, text: str, *, final: bool = False) -> None:
        super().__init__(text)
        self.final = final


class Client:
    """Asks one server. Lives in the event loop in which it is made.

    Args:
        key: the secret that is sent as a bearer token, or None. It is part of nothing else.
    """

    def __init__(self, address: Address, key: Callable[[], str] | None) -> None:
        self.loop = asyncio.get_running_loop()
        self.address = address
        self._pool = Pool()
        self.peer: str | None = None
        """The IP address that was last connected to, where there is no proxy in between."""
        self._key = key
        self._proxy = proxy_for(address)
        self._tls = _tls_context() if address.secure else None
        self._busy: dict[Exchange, Connection] = {}
        self._watch: asyncio.TimerHandle | None = None

    async def exchange(
        self, method: str, path: str, body: bytes, sink: Sink, patience: Patience, *, paced: bool = True
    ) -> None:
        """Send a request and hand the reply to `sink` as it comes, until it is complete or the sink is finished.

        Raises:
            Unreachable, Dropped, TimedOut; and what the sink raises.
        """
        exchange = Exchange(sink, patience, paced, self.loop)
        connection = await self._connection()
        exchange.started = exchange.heard = time.monotonic()
        self._busy[exchange] = connection
        self._watch_over(patience)
        try:
            connection.begin(self._request(method, path, body), exchange)
            await exchange.done
        except BaseException:
            connection.abort()
            raise
        finally:
            del self._busy[exchange]

    def _request(self, method: str, path: str, body: bytes) -> bytes:
        address, proxy = self.address, self._proxy
        direct = proxy is None or address.secure
        target = path if direct else f"http://{address.authority}{path}"
        lines = [f"{method} {target} HTTP/1.1", f"host: {address.authority}"]
        lines += ["accept: */*", "user-agent: fathom-harness"]
        if self._key is not None:
            lines.append(f"authorization: Bearer {self._key()}")
        if proxy is not None and not direct:
            lines += _proxy_lines(proxy)
        if method == "POST":
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body

    async def _connection(self) -> Connection:
        while self._pool.idle:
            connection = self._pool.idle.pop()
            if connection.alive and not connection.transport.is_closing():
                return connection
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                return await self._connect()
        except TimeoutError:
            hint = " (is it http?)" if self._tls is not None else ""
            raise Unreachable(f"no connection within {_CONNECT_SECONDS:g} s{hint}") from None
        except ssl.SSLCertVerificationError as error:
            raise Unreachable(
                f"its certificate is not trusted ({error.verify_message}); SSL_CERT_FILE=ca.pem names an authority "
                "of your own",
                final=True,
            ) from None
        except ssl.SSLError as error:
            raise Unreachable(
                f"TLS failed ({error.reason or 'no reason given'}; is it http?)", final=True
            ) from None
        except socket.gaierror as error:
            raise Unreachable(f"its name cannot be resolved ({error.strerror})") from None
        except OSError as error:
            raise Unreachable(_why(error)) from None

    async def _connect(self) -> Connection:
        address, proxy = self.address, self._proxy
        host, port = (address.host, address.port) if proxy is None else (proxy.host, proxy.port)
        direct_tls = self._tls if proxy is None else None
        transport, connection = await self.loop.create_connection(
            lambda: Connection(self._pool),
            host,
            port,
            ssl=direct_tls,
            server_hostname=address.host if direct_tls else None,
            # Not nearby, where nothing is gained: asyncio leaves a socket open where such a race is cancelled.
            happy_eyeballs_delay=None if is_private(host) else _HAPPY_EYEBALLS,
        )
        if (sock := transport.get_extra_info("socket")) is not None:
            _keep_alive(sock)
        if proxy is None:
            self.peer = transport.get_extra_info("peername", (None,))[0]
        elif self._tls is not None:
            await self._tunnel(connection, proxy)
        return connection

    async def _tunnel(self, connection: Connection, proxy: Proxy) -> None:
        """Ask the proxy for a way to the server, then speak TLS through it."""
        authority = f"{self.address.bracketed}:{self.address.port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}", *_proxy_lines(proxy)]
        waiting = _Tunnel()
        connection.transport.set_protocol(waiting)
        connection.transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n")
        try:
            status = await waiting.status
            if status != 200:
                raise Unreachable(
                    f"the proxy {proxy.host}:{proxy.port} answers HTTP {status}", final=status == 407
                )
            connection.transport.set_protocol(connection)
            assert self._tls is not None
            secured = await self.loop.start_tls(
                connection.transport, connection, self._tls, server_hostname=self.address.host
            )
            if secured is None:
                raise Unreachable("TLS failed through the proxy")
            connection.connection_made(secured)
        except BaseException:
            connection.transport.abort()
            raise

    # -- time limits: one timer for all exchanges, since a stream would set its own anew at each token -------

    def _watch_over(self, patience: Patience) -> None:
        if self._watch is None:
            tick = min(1.0, min(patience.total, patience.first, patience.idle) / 5)
            self._watch = self.loop.call_later(tick, self._look, patience)

    def _look(self, patience: Patience) -> None:
        self._watch = None
        now = time.monotonic()
        for exchange, connection in list(self._busy.items()):
            if not exchange.done.done() and exchange.check(now):
                connection.abort()
        if self._busy:
            self._watch_over(patience)

    def close(self) -> None:
        for connection in list(self._pool.open):
            connection.abort()
        self._pool.idle.clear()
        if self._watch is not None:
            self._watch.cancel()


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy's word."""

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._reply = Reply()

    def data_received(self, data: bytes) -> None:
        try:
            self._reply.feed(data)
        except NotHTTP:
            self._settle(0)
        if self._reply.head is not None:
            self._settle(self._reply.head.status)

    def connection_lost(self, error: Exception | None) -> None:
        self._settle(0)

    def _settle(self, status: int) -> None:
        if not self.status.done():
            self.status.set_result(status)


def _proxy_lines(proxy: Proxy) -> list[str]:
    if proxy.user is None:
        return []
    token = base64.b64encode(proxy.user.encode()).decode()
    return [f"proxy-authorization: Basic {token}"]


def _tls_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not context.cert_store_stats()["x509_ca"] and not os.environ.get("SSL_CERT_DIR"):
        with contextlib.suppress(ImportError):  # a Python that was built without the system's authorities
            import certifi

            context.load_verify_locations(certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _keep_alive(sock: socket.socket) -> None:
    """A machine that vanished is noticed within a minute, also while an answer is waited for."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if (option := getattr(socket, name, None)) is not None:
                sock.setsockopt(socket.IPPROTO_TCP, option, value)


def _why(error: OSError) -> str:
    # asyncio joins the refusals of all addresses of a name into one long text.
    if isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower():
        return "connection refused"
    return (os.strerror(error.errno) if error.errno else str(error))[:200].lower() or "no connection"
