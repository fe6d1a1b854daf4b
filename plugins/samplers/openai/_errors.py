"""What a server's refusal means: its words in one line, and whether asking again, or otherwise, can help."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from harness.text import one_row, printable

_MOST_WORDS = 300

Kind = Literal["busy", "passing", "field", "chain", "prompt", "unclear", "final"]


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is none."""

    kind: Kind
    """busy: too much at once, wait. passing: try again. field: it does not take the field named so. chain: this one
    cannot be had, others of its prompt may be. prompt: this prompt is refused, others may not be. unclear: the request
    is refused, for a reason that may hold for all or only for this prompt. final: no request will be answered."""
    words: str
    """HTTP status and what the server says, one bounded line."""
    status: int = 0
    field: str = ""
    wait: float | None = None
    """Seconds that the server asks to wait."""


_FIELDS = {
    # Where a field is refused, its name stands in the message. `n` is too short a word to look for alone.
    "seed": r"\bseed\b",
    "stream_options": r"\bstream_options\b",
    "max_tokens": r"\bmax_completion_tokens\b|\bmax_tokens\b.{0,40}(unsupported|not supported|unrecognized|extra)",
    "n": r"['\"`]n['\"`]|\bn\b ?(=|>|<|must|should|is not|cannot|has to)|parameter:? n\b|multiple choices",
    "stop": r"['\"`]stop['\"`]|\bstop (sequences?|words?|parameter)\b",
}
_UNSUPPORTED = re.compile(
    r"unsupported|not support|not permitted|not allowed|unrecognized|unknown|unexpected|extra|invalid|must be|only|"
    r"forbidden|cannot|less than|at most|exceeds|instead",
    re.IGNORECASE,
)
_CONTEXT = re.compile(
    r"context.{0,20}(length|window|size)|maximum context|max_model_len|too many tokens|prompt is too long|"
    r"(input|prompt).{0,40}too long|inputs tokens|max_seq_len|max_total_tokens|kv cache",
    re.IGNORECASE,
)
_FILTER = re.compile(
    r"content[_ ](filter|policy|management)|moderation|safety|blocked|flagged|invalid_prompt", re.I
)
# Not "quota" alone: some call their limit per minute so.
_NO_MONEY = re.compile(r"insufficient_quota|insufficient.{0,10}(balance|credit|funds)", re.IGNORECASE)


def classify(
    status: int, headers: Mapping[str, str], body: bytes, sent: Sequence[str], *, secret: str | None
) -> Refusal:
    """What an answer with another status than 200 means.

    Args:
        sent: the fields of the request that can be left out.
        secret: taken out of what the server says.
    """
    said, raw = words_of(body, headers.get("content-type", ""), secret)
    words = f"HTTP {status}{': ' + said if said else ''}"
    wait = retry_after(headers)
    if status == 402 or (status in (403, 429) and _NO_MONEY.search(raw)):
        return Refusal("final", words, status)
    if status in (429, 503, 529):
        return Refusal("busy", words, status, wait=wait)
    if status in (408, 409, 425) or status >= 500:
        return Refusal("passing", words, status, wait=wait)
    if status in (400, 413, 422):
        if _CONTEXT.search(raw):
            return Refusal("final", words, status, field="context")
        if _UNSUPPORTED.search(raw):
            for name in sent:
                if re.search(_FIELDS[name], raw, re.IGNORECASE | re.DOTALL):
                    return Refusal("field", words, status, field=name)
        return Refusal("prompt" if _FILTER.search(raw) else "unclear", words, status)
    return Refusal("final", words, status)


def classify_reported(error: Any, sent: Sequence[str], *, secret: str | None) -> Refusal:
    """What an error means that came in the place of an answer, or in the middle of one, after status 200."""
    code: Any = None
    if isinstance(error, dict):
        code = error.get("code") or error.get("status_code") or error.get("status")
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == 3:
        code = int(code)
    body = orjson.dumps({"error": error}, default=str)
    if isinstance(code, int) and 400 <= code < 600:
        return classify(code, {}, body, sent, secret=secret)
    said, raw = words_of(body, "application/json", secret)
    if _CONTEXT.search(raw):
        return Refusal("final", f"it reports: {said}", field="context")
    return Refusal("prompt" if _FILTER.search(raw) else "passing", f"it reports: {said}")


def words_of(body: bytes, content_type: str, secret: str | None) -> tuple[str, str]:
    """A server's words, as one bounded line and as they came, without the secret."""
    raw = printable(body[: 64 * 2**10].decode("utf-8", "replace"))
    if secret:
        raw = raw.replace(secret, "***")
    if "html" in content_type or raw.lstrip()[:1] == "<":
        title = re.search(r"<title[^>]{0,200}>([^<]{1,200})", raw, re.IGNORECASE)
        return f"a web page{f' ({_line(title[1])})' if title else ''}", raw
    try:
        found = _message(orjson.loads(raw))
    except orjson.JSONDecodeError:
        found = raw
    return _line(found), raw


def _message(document: Any) -> str:
    """The text of an error, in any of the shapes that are about."""
    if isinstance(document, str):
        return document
    if isinstance(document, list):
        return "; ".join(_message(item) for item in document[:3])
    if not isinstance(document, dict):
        return str(document)
    for name in ("error", "message", "detail", "msg", "error_msg"):
        value = document.get(name)
        if not value:
            continue
        said = _message(value)
        place = document.get("loc")  # FastAPI says where in the request
        if isinstance(place, list):
            said = f"{'.'.join(map(str, place[:5]))}: {said}"
        return said
    return str(orjson.dumps(document)[:_MOST_WORDS], "utf-8", "replace") if document else ""


def _line(text: str) -> str:
    text = " ".join(one_row(text[: 4 * _MOST_WORDS]).split())
    return text if len(text) <= _MOST_WORDS else f"{text[:_MOST_WORDS]}..."


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: a number, or a date (RFC 9110, 10.2.3)."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = headers.get(name, "").strip()
        if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
            return float(value) * unit
        if value and unit == 1.0:
            import email.utils

            try:
                when = email.utils.parsedate_to_datetime(value).timestamp()
            except (ValueError, TypeError, OverflowError):
                return None
            return max(0.0, when - time.time())
    return None
