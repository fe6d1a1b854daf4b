"""Text from anywhere, made fit for files and terminals."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with lone surrogates, which no UTF-8 file can hold, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def one_row(text: str) -> str:
    """The text as one line that no terminal acts on: control characters become blanks."""
    return "".join(c if c.isprintable() else " " for c in text)
