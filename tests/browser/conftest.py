"""A real browser without a network, that remembers everything a page did which it should not have done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

LOCAL = ("127.0.0.1", "localhost", "[::1]", "::1")


def chromium() -> str | None:
    """Path of an installed Chromium: HARNESS_CHROMIUM, Debian's, or whatever stands on the PATH."""
    named = os.environ.get("HARNESS_CHROMIUM")
    if named:
        return named
    if Path("/usr/bin/chromium").exists():
        return "/usr/bin/chromium"
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of a process."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="no browser tests: pip install playwright", exc_type=ImportError
    )
    executable = chromium()
    if executable is None:
        pytest.skip("no browser tests: no Chromium found (apt install chromium, or set HARNESS_CHROMIUM)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Noise:
    """What a page did that somebody looking at it would not see."""

    console: list[str] = field(default_factory=list)
    """Errors and warnings of the console: violations of the Content-Security-Policy are among them."""
    errors: list[str] = field(default_factory=list)
    """Exceptions that no script caught."""
    dialogs: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    """Everything that was asked for, in order, the page itself included; data: and blob: are not counted."""
    blocked: list[str] = field(default_factory=list)
    """Requests to other machines; none of them left this one."""

    @property
    def loud(self) -> list[str]:
        """All of it that a good page never does."""
        return [*self.console, *self.errors, *self.dialogs, *self.blocked]


@pytest.fixture
def noise() -> Noise:
    """What the `page` of the same test did unseen."""
    return Noise()


@pytest.fixture
def page(browser: Browser, noise: Noise) -> Iterator[Page]:
    """A page of a fresh context (no cookies, no storage) that reaches files and this machine only."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(15_000)

    def judge(route: Any) -> None:
        url = urlsplit(route.request.url)
        if url.scheme in ("data", "blob"):
            route.continue_()
            return
        noise.requests.append(route.request.url)
        if url.scheme == "file" or url.hostname in LOCAL:
            route.continue_()
        else:
            noise.blocked.append(route.request.url)
            route.abort()

    def dismiss(dialog: Any) -> None:
        noise.dialogs.append(dialog.message)
        dialog.dismiss()

    context.route("**/*", judge)
    page = context.new_page()
    page.on("console", lambda m: noise.console.append(m.text) if m.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: noise.errors.append(str(error)))
    page.on("dialog", dismiss)
    yield page
    context.close()
