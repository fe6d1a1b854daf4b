"""Addresses of servers, and the proxies on the way to them."""

from __future__ import annotations

import ipaddress
import urllib.parse
from dataclasses import dataclass, field

from harness import HarnessError

_ENDPOINTS = ("/chat/completions", "/completions", "/models")


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address, as in http://host:8000/v1."""

    secure: bool
    host: str
    port: int
    path: str
    """Without a slash at its end."""

    @property
    def bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def authority(self) -> str:
        usual = self.port == (443 if self.secure else 80)
        return self.bracketed if usual else f"{self.bracketed}:{self.port}"

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.authority}{self.path}"


@dataclass(frozen=True, slots=True)
class Proxy:
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    """"name:password"."""


def read_address(text: str) -> Address:
    """The address that `--base-url` gives.

    Raises:
        HarnessError: it is none, or it holds a secret.
    """
    text = text.strip()
    try:
        parts = urllib.parse.urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urllib.parse.urlsplit("")
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        # Not quoted: what follows the ? or stands before the @ may be a key, and options are stored with a run.
        raise HarnessError(
            "--base-url must not hold a user, a password, a query or a fragment: it is stored with the run; give the "
            "key in OPENAI_API_KEY"
        )
    readable = text.isascii() and text.isprintable() and not any(c in text for c in ' "<>\\^`{|}')
    if parts.scheme not in ("http", "https") or not host or not readable or len(text) > 2000:
        hint = "" if "://" in text else f": write http://{text}" if readable and text else ""
        raise HarnessError(
            f"--base-url {text[:100]!r} is not an address such as http://localhost:8000/v1{hint}"
        )
    path = parts.path.rstrip("/")
    for endpoint in _ENDPOINTS:
        path = path.removesuffix(endpoint)
    secure = parts.scheme == "https"
    return Address(secure, host, port or (443 if secure else 80), path)


def is_private(host: str) -> bool:
    """Whether a host name or IP address is of this machine or a local network."""
    try:
        return not ipaddress.ip_address(host.partition("%")[0]).is_global
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith((".local", ".internal", ".lan", ".localhost", ".home.arpa"))


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def proxy_for(address: Address) -> Proxy | None:
    """The proxy that the environment names for an address (http_proxy, https_proxy, no_proxy)."""
    if is_loopback(address.host):
        return None
    import urllib.request

    if urllib.request.proxy_bypass(address.host):
        return None
    url = urllib.request.getproxies().get("https" if address.secure else "http")
    if not url:
        return None
    try:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urllib.parse.urlsplit("")
    if not host or parts.scheme != "http":
        raise HarnessError(
            "the proxy that the environment names is not of the form http://host:port: no other is known"
        )
    user = None
    if parts.username is not None:
        user = urllib.parse.unquote(f"{parts.username}:{parts.password or ''}")
    return Proxy(host, port or 80, user)
