"""What a stage was asked to do, so that the same command finds what is done, and another one is told apart."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness import HarnessError
from harness.files import read_json

from ..recipes import BASE, Node
from .layout import DONE, JOB, RunLayout

_ROWS: Final = "rows"
_NOTHING: Final = object()


@dataclass(frozen=True, slots=True)
class Asked:
    """What decides a stage's model. JSON-able; holds nothing of when, where and on how many devices."""

    values: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        text = json.dumps(self.values, sort_keys=True, ensure_ascii=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:24]


def asked_of(node: Node, base: Mapping[str, Any] | None, parents: Mapping[str, Asked]) -> Asked:
    """
    Args:
        base: identity of the recipe's base model; None where it has none.
        parents: of the stages that it needs, by id.
    """
    stage = node.stage
    starts = {id_: parents[id_].fingerprint for id_ in node.parents}
    values: dict[str, Any] = {
        "trainer": stage.trainer,
        "parameters": dict(stage.parameters),
        "starts_from": list(stage.init_from),
        "made_from": {**starts, **({BASE: base} if BASE in stage.init_from else {})},
    }
    if stage.data is not None:
        values["data"] = stage.data.model_dump(mode="json", exclude_none=True)
        if stage.samples_from == BASE:
            values["sampled_from"] = base
        elif node.sampled is not None:
            values["sampled_from"] = parents[node.sampled].fingerprint
    return Asked(json.loads(json.dumps(values, default=str)))


@dataclass(frozen=True, slots=True)
class Found:
    """What a run folder holds of a stage."""

    done: bool
    """Its model stands."""
    asked: Mapping[str, Any] | None
    """What it was asked to do; None where nothing was begun."""
    rows: str | None
    """Digest of the training rows that it began with."""
    facts: Mapping[str, Any]
    """What was noted at its end."""


def find(node: Node, layout: RunLayout) -> Found:
    """
    Raises:
        HarnessError: a file of it is damaged, or there is a model that no stage has made.
    """
    work, out = layout.work(node), layout.out(node)
    stands = out.is_dir()
    note, job = _object(work / DONE), _object(work / JOB)
    if stands and note is None and job is None:
        raise HarnessError(
            f"{out} is there and no stage of this run has made it: remove it, or train elsewhere with --out"
        )
    _check_title(node, layout, job if note is not None else None)
    # Killed between the model and its note: what was asked for stands in the job.
    source = note if stands and note is not None else job
    if source is None:
        return Found(False, None, None, {})
    asked, rows = source.get("asked"), source.get(_ROWS)
    return Found(
        stands,
        asked if isinstance(asked, dict) else {},
        rows if isinstance(rows, str) else None,
        source if source is note else {},
    )


def _check_title(node: Node, layout: RunLayout, job: Mapping[str, Any] | None) -> None:
    """
    Raises:
        HarnessError: the stage's model was made, and stands under another title.
    """
    made, now = Path(str((job or {}).get("out") or layout.out(node))).name, layout.out(node).name
    if made != now and (layout.models / made).is_dir():
        raise HarnessError(
            f"stage {node.id} was made as {layout.models / made} and would be {now} now: give it back its title, or "
            "train into another folder with --out"
        )


def check_same(node: Node, found: Found, asked: Asked, layout: RunLayout, rows: str | None = None) -> None:
    """
    Args:
        rows: digest of the rows as they are now; None where it is not known.

    Raises:
        HarnessError: the folder holds the same stage with other settings, or from other data.
    """
    if found.asked is None:
        return
    if rows is not None and found.rows is not None and rows != found.rows:
        raise _other(node, found, layout, "with other training data")
    if dict(found.asked) == dict(asked.values):
        return
    key, before, now = next(_differences(found.asked, asked.values), ("settings", None, None))
    group, _, name = key.partition(".")
    if group in ("made_from", "sampled_from"):
        parent = name.partition(".")[0] if group == "made_from" else ""
        raise _other(node, found, layout, f"from another {parent or 'model'} than it would be now")
    what = name if group == "parameters" else key
    raise _other(node, found, layout, f"with {what}: {_shown(before)}, and now it is {_shown(now)}")


def _other(node: Node, found: Found, layout: RunLayout, how: str) -> HarnessError:
    state = "was made" if found.done else "was begun"
    folders = [layout.work(node), *([layout.out(node)] if found.done else [])]
    return HarnessError(
        f"stage {node.id} {state} {how}: train into another folder with --out, or remove "
        f"{' and '.join(map(str, folders))} to make it again"
    )


def _differences(before: Any, now: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for name in dict.fromkeys([*before, *now]):
            inner = f"{key}.{name}" if key else str(name)
            yield from _differences(before.get(name, _NOTHING), now.get(name, _NOTHING), inner)
    elif before != now:
        yield key, before, now


def _shown(value: Any) -> str:
    return "not given" if value is _NOTHING else f"{json.dumps(value, ensure_ascii=False):.60}"


def _object(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    value = read_json(path)
    if not isinstance(value, dict):
        raise HarnessError(f"{path} holds no object: it is damaged, remove the folder {path.parent}")
    return value
