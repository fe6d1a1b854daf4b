"""Files from the Hugging Face Hub: from the local cache, else downloaded, else one clear error in seconds."""

from __future__ import annotations

import errno
import os
import queue
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

from .errors import HarnessError
from .models import folder_problem

MODEL_FILES = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")
"""What an engine needs of a model's repository."""

# The Hub is asked one small question before any download, with a deadline on the whole of it: name look-ups
# and proxies can hang for longer than any timeout of the HTTP client covers, and it retries five times.
_DEADLINE = 4.5  # seconds


def endpoint() -> str:
    """Address of the Hub, or of the mirror that HF_ENDPOINT names."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def offline() -> bool:
    """Whether the user has forbidden the network with HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE)."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in {"1", "ON", "YES", "TRUE"}


def reachable() -> str | None:
    """None if the Hub answers, else why it does not, as a clause. Takes at most 5 seconds."""
    if offline():
        return "HF_HUB_OFFLINE is set"

    def ask() -> None:
        from huggingface_hub import get_session

        get_session().head(endpoint(), timeout=_DEADLINE)

    failure = _within_deadline(ask)
    return None if failure is None else _reason(failure)


def snapshot(
    repo: str,
    revision: str | None = None,
    allow_patterns: Sequence[str] = MODEL_FILES,
    *,
    complete: Callable[[Path], bool] = lambda folder: folder_problem(folder) is None,
) -> Path:
    """The local folder of a model's repository.

    Args:
        repo: Hub id.
        revision: commit, branch or tag; None is the repository's main branch.
        allow_patterns: which files are wanted.
        complete: whether a cached folder has all that is needed, so that the Hub need not be asked.

    Raises:
        HarnessError: not cached, and the Hub cannot be reached (within 8 seconds) or refuses.
    """
    config = _cached(repo, "config.json", revision)
    if config is not None and complete(config.parent):
        return config.parent
    _ask_for(repo, revision)
    from huggingface_hub import snapshot_download

    with _Failures(repo):
        quiet_unless_terminal()
        return Path(
            snapshot_download(
                repo, revision=revision, allow_patterns=list(allow_patterns), endpoint=endpoint()
            )
        )


def file(repo: str, filename: str, revision: str | None = None) -> Path:
    """The local path of one file of a repository; otherwise as `snapshot`."""
    if (cached := _cached(repo, filename, revision)) is not None:
        return cached
    _ask_for(repo, revision)
    from huggingface_hub import hf_hub_download

    with _Failures(repo):
        quiet_unless_terminal()
        return Path(hf_hub_download(repo, filename, revision=revision, endpoint=endpoint()))


def _cached(repo: str, filename: str, revision: str | None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    try:
        found = try_to_load_from_cache(repo, filename, revision=revision)
    except ValueError:  # HFValidationError: not a possible name of a repository
        raise HarnessError(f"{repo!r} is not a Hub id: it is written org/name") from None
    return Path(found) if isinstance(found, str) else None


def _ask_for(repo: str, revision: str | None) -> None:
    """Make sure that the Hub answers and lets us have the repository."""
    if offline():
        raise HarnessError(
            f"model {repo} is not on this machine and HF_HUB_OFFLINE is set; unset it, or pass the model's "
            "folder with --model DIR"
        )

    def ask() -> None:
        from huggingface_hub import HfApi

        # auth_check as well as model_info: a gated repository shows its card to everybody.
        api = HfApi(endpoint=endpoint())
        info = api.model_info(repo, revision=revision, timeout=_DEADLINE)
        if getattr(info, "gated", False):
            api.auth_check(repo)

    failure = _within_deadline(ask)
    if failure is not None:
        _fail(repo, failure)


def _within_deadline(ask: Callable[[], None]) -> BaseException | None:
    """Run `ask` in a thread that may hang for ever; what it raised, or TimeoutError at the deadline."""
    outcome: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()

    def run() -> None:
        try:
            ask()
        except transport_errors() as error:
            outcome.put(error)
        else:
            outcome.put(None)

    threading.Thread(target=run, daemon=True, name="hub-probe").start()
    try:
        return outcome.get(timeout=_DEADLINE)
    except queue.Empty:
        return TimeoutError()


def transport_errors() -> tuple[type[BaseException], ...]:
    from huggingface_hub.errors import HfHubHTTPError

    # The client library's own base error: its name changed between versions, its place did not.
    return (OSError, ValueError, RuntimeError, *HfHubHTTPError.__bases__)


def _causes(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(10):
        if current is None:
            return
        yield current
        current = current.__cause__ or current.__context__


def _reason(error: BaseException) -> str:
    """Why the Hub could not be reached, as a clause that starts with the host."""
    host = urlsplit(endpoint()).hostname or endpoint()
    kinds = [type(cause).__name__ for cause in _causes(error)]
    status = _status(error)
    if status is not None:
        return f"{host}: answers with HTTP {status}"
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror) or "ame or service not known" in str(cause):
            return f"{host}: name does not resolve"
        if isinstance(cause, ssl.SSLError):
            return f"{host}: its certificate is not trusted here ({cause.reason or 'TLS error'})"
        if isinstance(cause, ConnectionRefusedError):
            return f"{host}: connection refused"
    if "ProxyError" in kinds:
        return f"{host}: the proxy refuses the connection"
    if any("Timeout" in kind for kind in kinds):
        return f"{host}: no answer within {_DEADLINE:g} s"
    text = " ".join(str(error).split())
    return f"{host}: {text[:120] or kinds[0]}"


def _status(error: BaseException) -> int | None:
    response: Any = getattr(error, "response", None)
    status = getattr(response, "status_code", None)
    return status if isinstance(status, int) else None


def _fail(repo: str, error: BaseException) -> NoReturn:
    kinds = {kind.__name__ for kind in type(error).__mro__}
    address = f"{endpoint()}/{repo}"
    # A gated repository is a kind of not-found to the client library, so it is asked for first.
    if "GatedRepoError" in kinds or _status(error) == 403:
        message = (
            f"model {repo} is gated: accept its licence at {address} with your account, "
            "then run `hf auth login`"
        )
    elif "RevisionNotFoundError" in kinds:
        message = f"model {repo} has no such revision; see {address}"
    elif "RepositoryNotFoundError" in kinds or _status(error) == 401:
        message = (
            f"the Hub has no model {repo}, or it is private: check the name at {address}; for a private "
            "or gated model run `hf auth login` with an account that has access"
        )
    elif "EntryNotFoundError" in kinds:
        message = f"model {repo} has no such file; see {address}"
    else:
        message = (
            f"model {repo} is not on this machine and the Hub cannot be reached ({_reason(error)}); "
            "download it where there is a network and pass its folder with --model DIR, or set HF_ENDPOINT "
            "to a mirror / HF_HOME to a filled cache"
        )
    raise HarnessError(message) from None


_STORAGE = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EROFS)


class _Failures:
    """Turns what a download raises into one clear line."""

    def __init__(self, repo: str) -> None:
        self.repo = repo

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError) and error.errno in _STORAGE:
            where = error.filename or "the Hub cache"
            raise HarnessError(
                f"model {self.repo} cannot be stored: {error.strerror}: {where}; "
                "set HF_HOME to a folder with room"
            ) from None
        if error is not None and isinstance(error, transport_errors()):
            _fail(self.repo, error)


def quiet_unless_terminal() -> None:
    if not sys.stderr.isatty():
        import huggingface_hub.utils

        huggingface_hub.utils.disable_progress_bars()  # type: ignore[attr-defined,unused-ignore]
