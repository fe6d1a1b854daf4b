"""From a row of a data set to an item: which columns are understood, the first that exists of each kind.

Rows are hostile input: every value may be missing or of another type, and a row that cannot be used is left out with
a reason that quotes nothing of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from harness import Message, Problem
from harness.chainfile import finish_reason, is_nan

from .records import Candidate, Item, Lacking, LeftOut, Tally, Wanted

PROBLEM: Final = ("problem", "question", "query", "instruction", "input")
CHAINS: Final = ("chains", "completions", "responses", "generations", "outputs")
"""Lists of chains."""
CHAIN: Final = ("chain", "completion", "response", "generation", "output", *CHAINS, "solution")
"""All of them may be lists."""
CORRECT: Final = ("correctness_math_verify", "correctness", "correct")
"""For each chain of a list whether it is correct."""
GOLD: Final = ("gold", "answer", "final_answer", "expected_answer", "ground_truth")
MESSAGES: Final = ("messages", "conversations")
ID: Final = ("id", "problem_id", "uuid")

_ROLES: Final[Mapping[object, Literal["system", "user", "assistant"]]] = {
    "system": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
}
_VERDICTS: Final = {
    "true": True,
    "yes": True,
    "correct": True,
    "false": False,
    "no": False,
    "incorrect": False,
}
"""As tables of texts have them; numbers are understood too."""
_REASONING: Final = ("reasoning_content", "reasoning", "thinking")
_LONGEST_GOLD: Final = 2000
_EXACT: Final = 2**53
"""From here on a float is a rounded number, and so are whole numbers of JSON that have more than 64 bits."""
_NUMBER: Final = re.compile(r"\s*[-+]?\d{1,300}(?:\.\d{0,300})?(?:[eE][-+]?\d{1,3})?\s*")

Row = Mapping[str, Any]
Ask = Callable[[Problem], tuple[Message, ...]]
"""The prompt that the protocol asks a problem with."""


def read_row(row: Row, number: int, wanted: Wanted, ask: Ask, tally: Tally) -> Item:
    """The item of a row.

    Args:
        number: of the row in its source, from 1: its id where it has none.

    Raises:
        LeftOut: the row cannot be used.
    """
    messages, chains = _conversation(row, wanted)
    if wanted.chain and not chains:
        raise Lacking("without a chain")
    gold = _gold(row, wanted)
    id_, problem = _id(row, number), ""
    if not messages:
        name = _first(row, PROBLEM)
        if name is None:
            raise Lacking("without a problem")
        problem = _text(row, name)
        messages = ask(Problem(id_, problem, gold or ""))
    solution = _text(row, "solution") if wanted.solution else ""
    normalizer = row.get("normalizer")
    return Item(
        id_,
        messages,
        problem or messages[-1].content,
        gold,
        normalizer if isinstance(normalizer, str) else "",
        chains,
        solution,
        _number(row, "difficulty", tally),
        _number(row, "pass_rate", tally),
        row,
    )


def needed(wanted: Wanted) -> str:
    """The columns that rows must have, for people."""
    problem = f"a problem ({', '.join(PROBLEM)}, or prompt, or messages)"
    parts = [problem]
    if wanted.chain:
        parts.append(f"a chain ({', '.join(CHAIN)})")
    if wanted.solution:
        parts.append("a solution")
    if wanted.gold:
        parts.append(f"a gold ({', '.join(GOLD)})")
    return f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else problem


def as_number(value: object) -> float | None:
    """A finite number, also one that is written as text, as in CSV; None: it is none."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e300 else None


def _first(row: Row, names: Sequence[str]) -> str | None:
    return next((name for name in names if name in row), None)


def _is_nothing(value: object) -> bool:
    return value is None or is_nan(value)


def _text(row: Row, name: str) -> str:
    return _checked_text(row.get(name), name) if name in row else _lacks(name)


def _lacks(name: str) -> str:
    raise Lacking(f"without a {name}")


def _checked_text(value: object, name: str) -> str:
    if _is_nothing(value):
        raise LeftOut(f"with an empty {name}")
    if not isinstance(value, str):
        raise LeftOut(f"whose {name} is not a text")
    if not value.strip():
        raise LeftOut(f"with an empty {name}")
    return value


# -- prompts and chains ------------------------------------------------------------------------------


def _conversation(row: Row, wanted: Wanted) -> tuple[tuple[Message, ...], tuple[Candidate, ...]]:
    """The prompt as the row has it (none: to be made of its problem), and its chains as far as they are wanted."""
    lists = _first(row, CHAINS) if wanted.chain else None
    if "prompt" in row and not (wanted.chain and _first(row, CHAIN) is None):
        return _prompt(row["prompt"], "prompt"), _chains(row) if wanted.chain else ()
    if lists is not None and _first(row, PROBLEM) is not None:  # before one conversation made of them
        return (), _chains(row)
    if (name := _first(row, MESSAGES)) is not None:
        before, last = _turns(row[name], name)
        if wanted.chain:
            if not last:
                raise LeftOut(f"whose {name} have no turn of the assistant")
            return before, (Candidate(last),)
        return (before, ()) if _first(row, PROBLEM) is None else ((), ())
    return (), _chains(row) if wanted.chain else ()


def _prompt(value: object, name: str) -> tuple[Message, ...]:
    if isinstance(value, list):
        messages = tuple(_message(part, name) for part in value)
        if not messages:
            raise LeftOut(f"with an empty {name}")
        if messages[-1].role == "assistant":
            raise LeftOut(f"whose {name} ends with a turn of the assistant")
        return messages
    return (Message("user", _checked_text(value, name)),)


def _turns(value: object, name: str) -> tuple[tuple[Message, ...], str]:
    """What stands before the last turn of the assistant, and this turn; all and nothing where there is none."""
    if not isinstance(value, list) or not value:
        raise LeftOut(
            f"with empty {name}" if value == [] or _is_nothing(value) else f"whose {name} are not a list"
        )
    messages = [_message(part, name) for part in value]
    places = [place for place, message in enumerate(messages) if message.role == "assistant"]
    last = places[-1] if places else len(messages)
    if not any(message.role == "user" for message in messages[:last]):
        raise LeftOut(f"whose {name} do not begin with a user")
    return tuple(messages[:last]), messages[last].content if places else ""


def _message(part: object, name: str) -> Message:
    if not isinstance(part, Mapping):
        raise LeftOut(f"whose {name} are not messages")
    role = _ROLES.get(_hashable(part.get("role", part.get("from"))))
    if role is None:
        raise LeftOut(f"with a message in {name} that is of neither user nor assistant nor system")
    content = _checked_text(part.get("content", part.get("value")), f"message in {name}")
    thought = next(
        (part[key] for key in _REASONING if isinstance(part.get(key), str) and part[key].strip()), ""
    )
    return Message(role, f"<think>\n{thought.strip()}\n</think>\n\n{content}" if thought else content)


def _hashable(value: object) -> object:
    return value if isinstance(value, str) else None


def _chains(row: Row) -> tuple[Candidate, ...]:
    name = _first(row, CHAIN)
    if name is None:
        return ()
    value = row[name]
    if not isinstance(value, list):
        return (Candidate(_checked_text(value, name), _verdict(_sole_verdict(row)), _tokens(row)),)
    if value and isinstance(value[0], Mapping):  # a completion as messages
        texts: list[Any] = [_message(value[-1], name).content]
    else:
        texts = value
    if not texts:
        raise LeftOut(f"with empty {name}")
    verdicts = _beside(row, CORRECT, len(texts))
    reasons = _beside(row, ("finish_reasons",), len(texts))
    cut = _beside(row, ("truncated",), len(texts))
    tokens = _beside(row, ("generation_tokens",), len(texts))
    found = tuple(
        Candidate(
            text,
            _verdict(verdict),
            count if type(count) is int and count >= 0 else None,
            finish_reason(_hashable(reason)) == "length" or truncated is True,
        )
        for text, verdict, reason, truncated, count in zip(texts, verdicts, reasons, cut, tokens, strict=True)
        if isinstance(text, str)
    )
    if not any(chain.text.strip() for chain in found):
        raise LeftOut(f"with nothing but empty {name}")
    return found


def _sole_verdict(row: Row) -> object:
    name = _first(row, CORRECT)
    return None if name is None else row[name]


def _beside(row: Row, names: Sequence[str], count: int) -> list[Any]:
    """What another column says of each chain."""
    name = _first(row, names)
    if name is None or _is_nothing(row[name]):
        return [None] * count
    values = row[name] if isinstance(row[name], list) else [row[name]]
    if len(values) != count:
        raise LeftOut(f"with another number of {name} than of chains")
    return values


def _verdict(value: object) -> bool | None:
    if isinstance(value, str) and (said := _VERDICTS.get(value.strip().lower())) is not None:
        return said
    number = as_number(int(value) if isinstance(value, bool) else value)
    return number > 0.5 if number is not None and 0 <= number <= 1 else None


def _tokens(row: Row) -> int | None:
    value = as_number(row.get("tokens", row.get("completion_tokens")))
    return int(value) if value is not None and value >= 0 and value.is_integer() else None


# -- the rest ----------------------------------------------------------------------------------------


def _gold(row: Row, wanted: Wanted) -> str | None:
    name = _first(row, GOLD)
    if name is None:
        if wanted.gold:
            raise Lacking("without a gold")
        return None
    value = row[name]
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, float) and math.isfinite(value):
        if wanted.gold and abs(value) >= _EXACT:
            raise LeftOut(f"whose {name} is a number too large to be exact, it is to be a text")
        value = str(int(value)) if value.is_integer() else str(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not wanted.gold:
        return value if isinstance(value, str) and value.strip() else None
    gold = _checked_text(value, name).strip()
    if len(gold) > _LONGEST_GOLD:
        raise LeftOut(f"whose {name} is longer than an answer can be ({_LONGEST_GOLD:,} characters)")
    return gold


def _id(row: Row, number: int) -> str:
    value = next((row[name] for name in ID if name in row and not _is_nothing(row[name])), None)
    usable = isinstance(value, str | int) and not isinstance(value, bool)
    text = str(value).strip()[:200] if usable else ""
    return text or f"row-{number}"


def _number(row: Row, name: str, tally: Tally) -> float | None:
    value = row.get(name)
    number = as_number(value)
    if number is None and not _is_nothing(value):
        tally.odd[f"have a {name} that is not a number"] += 1
    if name == "pass_rate" and number is not None and not 0 <= number <= 1:
        tally.odd["have a pass_rate that is not from 0 to 1"] += 1
        return None
    return number
