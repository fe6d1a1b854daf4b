"""Inspect: logs as `.eval` (a zip with header.json and one JSON file a sample) or `.json`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from harness import ForeignChain, HarnessError, Importer, hookimpl
from harness.chainfile import finish_reason, parsed_json

from ._archive import Archive, open_archive
from ._fields import conversation, gold, score, settings, texts_of
from ._files import files_at

_MAX_LOG: Final = 512 << 20  # bytes of a .json log, which is read as a whole
_HEADERS: Final = ("header.json", "_journal/start.json")
"""The second is all there is of a log whose evaluation was killed."""
_SAMPLE: Final = re.compile(r"samples/.+\.json", re.DOTALL)
_ATTACHED: Final = re.compile(r"attachment://([0-9a-f]{8,64})")


class Inspect(Importer):
    name = "inspect"
    description = "Inspect's logs: .eval or .json, or the folder that holds them; epochs are chains"

    def read(self, path: Path) -> Iterator[ForeignChain]:
        for file in _files(path):
            yield from _of_archive(file) if file.suffix == ".eval" else _of_json(file)


def _files(path: Path) -> list[Path]:
    if not path.is_dir() and path.suffix not in (".eval", ".json"):
        raise HarnessError(f"{path} is no log of Inspect: they end in .eval or .json")
    kind = ".eval" if any(path.glob("**/*.eval")) else ".json"
    return files_at(path, f"**/*{kind}", ".eval or .json log")


def _of_archive(path: Path) -> Iterator[ForeignChain]:
    with open_archive(path) as archive:
        header = next((name for name in _HEADERS if name in archive.names), None)
        if header is None:
            raise HarnessError(f"{path} has no header.json: it is no log of Inspect")
        log = _Log(_parsed(archive.read(header), archive.where(header)), archive.where(header))
        for name in sorted(filter(_SAMPLE.fullmatch, archive.names), key=_place):
            yield from _sample(archive, name, log)


def _sample(archive: Archive, name: str, log: _Log) -> Iterator[ForeignChain]:
    where = archive.where(name)
    yield from log.chains(_parsed(archive.read(name), where), where)


def _place(name: str) -> tuple[int, str]:
    """Epoch after epoch, whatever the order in which samples ended."""
    found = re.search(r"_epoch_(\d{1,9})\.json", name)
    return (int(found[1]) if found else 0, name)


def _of_json(path: Path) -> Iterator[ForeignChain]:
    try:
        if path.stat().st_size > _MAX_LOG:
            raise HarnessError(
                f"{path} is larger than {_MAX_LOG >> 20} MiB: convert it with `inspect log convert`"
            )
        raw = path.read_bytes()
    except OSError as error:
        raise HarnessError(f"cannot read {path}: {error.strerror or error}") from None
    found = _parsed(raw, str(path))
    log = _Log(found, str(path))
    samples = found.get("samples") or []
    if not isinstance(samples, list):
        raise HarnessError(f"{path}: samples is no list")
    for number, sample in enumerate(samples, 1):
        yield from log.chains(sample, f"{path}, sample {number}")


def _parsed(raw: bytes, where: str) -> Any:
    try:
        return parsed_json(raw)
    except (ValueError, RecursionError) as error:
        raise HarnessError(f"{where}: is not JSON ({str(error)[:120]})") from None


class _Log:
    """What a log says of all its samples."""

    def __init__(self, header: Any, where: str) -> None:
        spec = header.get("eval") if isinstance(header, Mapping) else None
        if not isinstance(spec, Mapping):
            raise HarnessError(f"{where}: says nothing of an eval: it is no log of Inspect")
        plan = header.get("plan")
        config = plan.get("config") if isinstance(plan, Mapping) else None
        self._settings = {**settings(spec.get("model_generate_config")), **settings(config)}
        self._model = _text_or_none(spec.get("model"))
        self._task = _text_or_none(spec.get("task"))

    def chains(self, sample: Any, where: str) -> Iterator[ForeignChain]:
        """The sample's chain; none where it ended in an error before the model had answered."""
        if not isinstance(sample, Mapping):
            raise HarnessError(f"{where}: is no sample")
        output = sample.get("output")
        choices = output.get("choices") if isinstance(output, Mapping) else None
        if not isinstance(choices, list) or not choices:
            if sample.get("error"):
                return
            raise HarnessError(f"{where}: has no output.choices: it is no sample of Inspect")
        message = choices[0].get("message") if isinstance(choices[0], Mapping) else None
        content = message.get("content") if isinstance(message, Mapping) else None
        if not isinstance(content, (str, list)):
            raise HarnessError(f"{where}: output.choices[0] holds no message")
        text, reasoning = texts_of(content)
        attached = sample.get("attachments")
        usage = output.get("usage") if isinstance(output, Mapping) else None
        usage = usage if isinstance(usage, Mapping) else {}
        yield ForeignChain(
            text=_attached(text, attached),
            reasoning=_attached(reasoning, attached),
            where=where,
            problem_id=None if sample.get("id") is None else str(sample["id"]),
            problem=_problem(sample, attached),
            gold=gold(sample.get("target")),
            index=self._index(sample.get("epoch"), where),
            model=self._model,
            benchmark=self._task,
            finish_reason=_ended(choices[0].get("stop_reason")),
            completion_tokens=_count(usage.get("output_tokens")),
            prompt_tokens=_count(usage.get("input_tokens")),
            score=_verdict(sample.get("scores")),
            settings=self._settings,
        )

    @staticmethod
    def _index(epoch: Any, where: str) -> int:
        if isinstance(epoch, bool) or not isinstance(epoch, int) or not 1 <= epoch < 2**31:
            raise HarnessError(f"{where}: epoch {epoch!r:.40} is not a whole number from 1")
        return epoch - 1


def _problem(sample: Mapping[str, Any], attached: Any) -> str | None:
    """The input, with the choices that a solver shows after it."""
    text = _attached(conversation(sample.get("input")) or "", attached)
    choices = sample.get("choices")
    shown = [choice for choice in choices if isinstance(choice, str)] if isinstance(choices, list) else []
    return "\n".join([text, *shown]) if text else None


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63 else None


def _ended(reason: Any) -> Any:
    return None if reason == "unknown" else finish_reason(reason)


def _verdict(scores: Any) -> float | None:
    """The first scorer's verdict that is one number or letter."""
    found = scores.values() if isinstance(scores, Mapping) else ()
    values = (score(one.get("value")) for one in found if isinstance(one, Mapping))
    return next((value for value in values if value is not None), None)


def _attached(text: str, attached: Any) -> str:
    """The text with what the log keeps apart put back in."""
    if not isinstance(attached, Mapping) or "attachment://" not in text:
        return text
    # Only a text that is nothing but a reference is one: a chain may quote whatever it likes.
    found = _ATTACHED.fullmatch(text)
    kept = attached.get(found[1]) if found else None
    return kept if isinstance(kept, str) else text


@hookimpl
def harness_importers() -> Sequence[Importer]:
    return [Inspect()]
