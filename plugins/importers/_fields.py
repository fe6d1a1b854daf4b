"""Fields of other programs' rows: what is what in them, whatever its type."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from harness.chainfile import is_nan, parsed_json

_STATEMENTS: Final = ("problem", "question", "Problem", "Question", "query", "prompt", "input")
_CHOICES: Final = ("choice", "option", "incorrect")  # names of columns, in lower case
_GRADES: Final = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
_MAX_FILE: Final = 256 * 2**20  # bytes
_BUDGETS: Final = ("max_gen_toks", "max_tokens", "max_new_tokens", "max_completion_tokens")


def score(value: object) -> float | None:
    """A grader's verdict as a number: 1 is correct; None where it gave none, or one that is no number."""
    if isinstance(value, str):
        return _GRADES.get(value, _GRADES.get(value.lower()))
    if isinstance(value, (int, float)) and math.isfinite(value):
        return float(value)
    return None


def settings(said: object) -> dict[str, float]:
    """How chains were sampled, out of the arguments that an engine was given."""
    if not isinstance(said, Mapping):
        return {}
    found: dict[str, float] = {}
    if (temperature := _number(said.get("temperature"), 0)) is not None:
        found["temperature"] = temperature
    elif said.get("do_sample") is False:
        found["temperature"] = 0.0
    if (top_p := _number(said.get("top_p"), 0)) is not None and 0 < top_p <= 1:
        found["top_p"] = top_p
    for name in _BUDGETS:
        if (budget := _number(said.get(name), 1)) is not None:
            found["max_tokens"] = int(budget)
            break
    return found


def _number(value: object, low: float) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or is_nan(value):
        return None
    return float(value) if low <= value < 1e9 else None


def json_file(path: Path) -> Mapping[str, Any]:
    """A small JSON file that lies beside samples and says more of them; a missing or damaged one says nothing."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_FILE:
            return {}
        found = parsed_json(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def statement(doc: object) -> str | None:
    """The statement in a row of a data set, where a column bears a usual name; None too where choices belong to it."""
    if not isinstance(doc, Mapping) or any(str(name).lower().startswith(_CHOICES) for name in doc):
        return None
    return next(
        (text for name in _STATEMENTS if isinstance(text := doc.get(name), str) and text.strip()), None
    )


def gold(value: object) -> str | None:
    """A reference answer as a text; of a worked solution that ends with `#### ANSWER`, the answer."""
    if isinstance(value, (list, tuple)):
        value = value[0] if value else None
    if value is None or is_nan(value) or isinstance(value, (dict, list)):
        return None
    return str(value).rpartition("####")[2].strip()


def texts_of(content: object) -> tuple[str, str]:
    """Text and reasoning of a chat message's content: a text, or a list of parts."""
    if isinstance(content, str):
        return content, ""
    parts = content if isinstance(content, list) else []
    found: dict[str, list[str]] = {"text": [], "reasoning": []}
    for part in parts:
        if isinstance(part, Mapping) and (kind := part.get("type")) in found:
            piece = part.get(kind)
            if kind == "reasoning" and not piece:
                piece = part.get("summary")
            if isinstance(piece, str):
                found[kind].append(piece)
    return "\n".join(found["text"]), "\n".join(found["reasoning"])


def conversation(messages: Any) -> str | None:
    """What a model was shown, in one text: a prompt as it stands, or its messages one after the other."""
    if isinstance(messages, str):
        return messages
    if not isinstance(messages, (list, tuple)):
        return None
    texts = [texts_of(one.get("content"))[0] for one in messages if isinstance(one, Mapping)]
    return "\n\n".join(filter(None, texts)) or None
