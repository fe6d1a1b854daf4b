"""Training rows in: read, checked, rendered as the samplers render prompts, and turned into tokens."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from harness import HarnessError, StageJob
from harness.errors import one_line
from harness.files import write_json

from .process import only_first

LONGEST_LINE: Final = 64 << 20
"""Bytes of a row."""
FILE: Final = "rows.json"
"""In `job.work`: what became of the rows."""

TooLong = Literal["drop", "cut", "error"]
TOO_LONG: Final[tuple[TooLong, ...]] = ("drop", "cut", "error")
"""What is done with rows over `max_length`."""

_THINK: Final = "<think>"
_AT_ONCE: Final = 500
"""Rows that become tokens together."""


@dataclass(slots=True)
class Encoded:
    """A row as tokens."""

    ids: Any
    """int32 array of tokens: prompt, completion, end."""
    prompt: int
    """How many of them are the prompt's."""

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(slots=True)
class Counts:
    """What became of the rows of a stage."""

    rows: int = 0
    """That are trained on."""
    dropped: int = 0
    cut: int = 0
    tokens: int = 0
    """Of the rows that are trained on."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    longest: int = 0
    """Tokens of the longest row, those that were dropped or cut included."""

    def note(self, row: Encoded) -> None:
        self.rows += 1
        self.tokens += len(row)
        self.prompt_tokens += row.prompt
        self.completion_tokens += len(row) - row.prompt


def read_rows(path: Path, columns: Sequence[str] = ("prompt", "completion")) -> list[dict[str, Any]]:
    """The rows of a file, in its order.

    Args:
        columns: that every row must have.

    Raises:
        HarnessError: the file cannot be read or is empty, or a row is not as it should be: names line and column.
    """
    rows = []
    for number, line in _lines(path):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise HarnessError(f"{path} line {number}: not JSON: {one_line(error)}") from None
        if not isinstance(row, dict):
            raise HarnessError(f"{path} line {number}: a {type(row).__name__}, not an object with columns")
        for column in columns:
            if (problem := _column_problem(row, column)) is not None:
                raise HarnessError(f"{path} line {number}: column {column!r} {problem}")
        rows.append(row)
    if not rows:
        raise HarnessError(f"{path} has no rows: there is nothing to train on")
    return rows


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(LONGEST_LINE + 1):
                number += 1
                if len(line) > LONGEST_LINE:
                    raise HarnessError(f"{path} line {number}: longer than {LONGEST_LINE >> 20} MiB")
                if line.strip():
                    yield number, line
    except OSError as error:
        raise HarnessError(f"training rows {path} cannot be read: {error.strerror or error}") from None


def _column_problem(row: Mapping[str, Any], column: str) -> str | None:
    if column not in row:
        return f"is missing (there are: {', '.join(str(name) for name in list(row)[:12])[:200] or 'none'})"
    value = row[column]
    if column == "prompt":
        if not isinstance(value, list) or not all(_is_message(message) for message in value):
            return "is not a list of messages with role and content"
    elif not isinstance(value, str):
        return f"is a {type(value).__name__}, not a text"
    return None


def _is_message(value: object) -> bool:
    return (
        isinstance(value, dict)
        and isinstance(value.get("role"), str)
        and isinstance(value.get("content"), str)
    )


def render_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """A prompt as the samplers render it: in the chat template, up to where the model is to go on.

    Without a template the messages stand as they are, with an empty line between them.

    Raises:
        HarnessError: the template refuses them.
    """
    if tokenizer.chat_template is None:
        return "\n\n".join(message["content"] for message in messages)
    chat = [{"role": message["role"], "content": message["content"]} for message in messages]
    try:
        return str(tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # noqa: BLE001 - a template is a program
        raise HarnessError(f"the model's chat template fails: {one_line(error)}") from None


def prompt_ids(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> tuple[list[int], str]:
    """The tokens of a prompt, and its text; none of both where there are no messages."""
    if not messages:
        return [], ""
    text = render_prompt(tokenizer, messages)
    plain = tokenizer.chat_template is None
    return list(tokenizer(text, add_special_tokens=plain)["input_ids"]), text


def encode_row(tokenizer: Any, row: Mapping[str, Any]) -> Encoded:
    """Prompt, completion and end as tokens.

    Prompt and completion become tokens apart from each other, as they do when the model generates.
    """
    return next(encode_rows(tokenizer, [row]))


def encode_rows(tokenizer: Any, rows: Iterable[Mapping[str, Any]]) -> Iterator[Encoded]:
    """As `encode_row`, many at a time: a call of the tokenizer costs more than its work on a short text."""
    import numpy as np

    plain = tokenizer.chat_template is None
    pending = iter(rows)
    while some := list(itertools.islice(pending, _AT_ONCE)):
        prompts = [render_prompt(tokenizer, row["prompt"]) if row["prompt"] else "" for row in some]
        completions = [_after(prompt, row["completion"]) for prompt, row in zip(prompts, some, strict=True)]
        starts = tokenizer(prompts, add_special_tokens=plain)["input_ids"]
        ends = tokenizer(completions, add_special_tokens=False)["input_ids"]
        for prompt, start, end in zip(prompts, starts, ends, strict=True):
            ids = list(start) if prompt else []
            first = len(ids)
            ids += end
            if not end or end[-1] != tokenizer.eos_token_id:
                ids.append(tokenizer.eos_token_id)
            yield Encoded(np.array(ids, dtype=np.int32), first)


def _after(prompt: str, completion: str) -> str:
    """What is left of a completion where the prompt has written its opening tag already."""
    if not (prompt.rstrip().endswith(_THINK) and completion.lstrip().startswith(_THINK)):
        return completion
    completion = completion.lstrip().removeprefix(_THINK)
    # The template has written what comes after the tag.
    return completion.removeprefix("\n") if prompt.endswith("\n") else completion


def encode(
    rows: Sequence[Mapping[str, Any]],
    tokenizer: Any,
    *,
    max_length: int,
    too_long: TooLong = "drop",
) -> tuple[list[Encoded], Counts]:
    """All rows as tokens, in their order.

    Args:
        max_length: most tokens of a row.
        too_long: what happens to longer ones: dropped, cut at their end (which loses the answer), or an error.

    Raises:
        HarnessError: no row is left, or one is too long and that is an error.
    """
    kept: list[Encoded] = []
    counts = Counts()
    for row, encoded in zip(rows, encode_rows(tokenizer, rows), strict=True):
        counts.longest = max(counts.longest, len(encoded))
        if len(encoded) > max_length:
            if too_long == "error":
                name = str(row.get("id", ""))[:80]
                raise HarnessError(
                    f"row {name!r} has {len(encoded):,} tokens and max_length is {max_length:,}: "
                    "raise it, or set too_long to drop or cut"
                )
            if too_long == "drop" or encoded.prompt >= max_length:
                counts.dropped += 1
                continue
            encoded = Encoded(encoded.ids[:max_length], encoded.prompt)
            counts.cut += 1
        counts.note(encoded)
        kept.append(encoded)
    if not kept:
        raise HarnessError(
            f"none of {len(rows):,} rows is left: all have more than max_length={max_length:,} tokens "
            f"(the longest {counts.longest:,})"
        )
    return kept, counts


def load_rows(job: StageJob, tokenizer: Any, max_length: int) -> list[Encoded]:
    """The stage's rows as tokens; what was left out of them is said and written to `job.work`.

    Raises:
        HarnessError: there are none, or they are not as they should be.
    """
    if job.data is None:
        raise HarnessError(f"stage {job.stage} has no data: say in the recipe where its rows come from")
    too_long = job.parameters.get("too_long", TOO_LONG[0])
    rows, counts = encode(read_rows(job.data), tokenizer, max_length=max_length, too_long=too_long)
    if only_first():
        write_json(job.work / FILE, asdict(counts))
        if counts.dropped or counts.cut:
            what = f"{counts.dropped:,} left out" if counts.dropped else f"{counts.cut:,} cut at their end"
            if counts.dropped and counts.cut:
                what += f", {counts.cut:,} cut at their end"
            print(
                f"{job.stage}: of {counts.rows + counts.dropped:,} rows {what}, being over "
                f"{max_length:,} tokens (the longest has {counts.longest:,})",
                file=sys.stderr,
                flush=True,
            )
    return rows


@dataclass(slots=True)
class RowSet:
    """Encoded rows as a trainer's data set: a mapping of `input_ids` and `labels` for each index.

    The index after the last one is an empty row, of which nothing is learnt: it fills up the last batch where
    several processes must have equally many.
    """

    rows: Sequence[Encoded]
    completion_only: bool
    empty: int
    """Token that the empty row is made of."""
    lengths: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.lengths = [len(row) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        import numpy as np

        if index == len(self.rows):
            return {"input_ids": np.array([self.empty, self.empty]), "labels": np.array([-100, -100])}
        row = self.rows[index]
        ids = row.ids.astype(np.int64)
        labels = ids.copy()
        if self.completion_only:
            labels[: row.prompt] = -100
        return {"input_ids": ids, "labels": labels}
