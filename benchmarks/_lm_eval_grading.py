"""What lm-eval's filters and metrics say of one chain, without the task's data set.

A gold carries all that it takes: the task's name and file, and the document as the task processed it. It names no
code: that comes from the task's file, in lm-eval or in the user's folder.
"""

from __future__ import annotations

import base64
import json
import math
import numbers
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness import HarnessError, closest

from ._lm_eval_tasks import OWN, SHIPPED, Definition, build, quiet, refuse_unsafe

_MAX_DOCUMENT = 64 << 20  # bytes of one document once unpacked

_MEANS = frozenset({"mean"})
"""Aggregations, by lm-eval's name, for which a score is the mean of what single chains get."""


@dataclass(frozen=True, slots=True)
class Gold:
    """What a chain of lm-eval's task is graded by."""

    definition: Definition
    figure: str
    """Which of the figures says whether the chain is correct: "exact_match,strict-match"."""
    document: str
    """The task's document, as JSON."""
    targets: int
    """How many right answers a document has, where the task says so with a list; 0: one."""

    def as_text(self, *, packed: bool = False) -> str:
        """As text for `Problem.gold`.

        Args:
            packed: the document is not readable at a glance, for data whose authors ask that it not be posted.
        """
        packing = {"packed": _pack(self.document)} if packed else {"doc": json.loads(self.document)}
        values = {
            "task": self.definition.name,
            "from": self.definition.place,
            "file": self.definition.file,
            "figure": self.figure,
            "targets": self.targets,
            **packing,
        }
        return json.dumps(values, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> Gold:
        """Reads what `as_text` wrote.

        Raises:
            HarnessError: the text is something else.
        """
        try:
            values = json.loads(text)
            place, file = values["from"], values["file"]
            if place not in (SHIPPED, OWN) or not isinstance(file, str):
                raise ValueError("no place or file")
            document = _unpack(values["packed"]) if "packed" in values else json.dumps(values["doc"])
            return cls(
                Definition(str(values["task"]), place, file),
                str(values["figure"]),
                document,
                int(values["targets"]),
            )
        except (KeyError, TypeError, ValueError, zlib.error) as error:
            raise HarnessError(f"this is not a gold of the benchmark lm-eval: {error}") from None


def _pack(document: str) -> str:
    return base64.b64encode(zlib.compress(document.encode())).decode()


def _unpack(packed: str) -> str:
    reader = zlib.decompressobj()
    data = reader.decompress(base64.b64decode(packed), _MAX_DOCUMENT)
    if reader.unconsumed_tail:
        raise ValueError("the document is too long")
    return data.decode()


class Figures:
    """The figures of a task that one chain has: every filter with every metric whose score is a mean over chains.

    Args:
        task: `lm_eval.api.task.Task`.
    """

    def __init__(self, task: Any) -> None:
        self._task = task
        self._filters = [ensemble for ensemble in task._filters if not _needs_repeats(ensemble)]
        self._aggregation: Mapping[str, Any] = dict(task.aggregation() or {})
        self.metrics = [name for name in self._aggregation if self._is_mean(name)]
        left_out = [f"filter {e.name} (it votes over repeats)" for e in task._filters if _needs_repeats(e)]
        left_out += [
            f"metric {name} (it is not a mean over documents)"
            for name in self._aggregation
            if not self._is_mean(name)
        ]
        self.left_out: Sequence[str] = left_out

    @property
    def filters(self) -> list[str]:
        return [str(ensemble.name) for ensemble in self._filters]

    def choose(self, task: str, filter_name: str, metric: str) -> str:
        """The figure that says whether a chain is correct: the named one, or else the task's first.

        Raises:
            HarnessError: no such filter or metric, or the task has no figure of single chains.
        """
        if not self._filters or not self.metrics:
            raise HarnessError(
                f"lm-eval:{task} scores all documents together, not chain by chain ({'; '.join(self.left_out)}): it "
                "cannot be graded here"
            )
        better = self._task.higher_is_better() or {}
        rising = [name for name in self.metrics if better.get(name, True) is not False]
        if metric and metric not in rising:
            raise HarnessError(
                f"lm-eval:{task} has no metric {metric!r} of single chains: {closest(metric, rising)}"
            )
        if not rising:
            raise HarnessError(
                f"lm-eval:{task} has no metric in which more is better: no chain would be correct"
            )
        if filter_name and filter_name not in self.filters:
            raise HarnessError(
                f"lm-eval:{task} has no filter {filter_name!r}: {closest(filter_name, self.filters)}"
            )
        return f"{metric or rising[0]},{filter_name or self.filters[0]}"

    def of(self, text: str, document: str, targets: int) -> tuple[dict[str, float], dict[str, Any]]:
        """All figures of a chain by lm-eval's names, and what each filter made of its text.

        Args:
            document: JSON.
            targets: as in `Gold`.
        """
        from lm_eval.api.instance import Instance

        self._task.multiple_target = targets
        figures: dict[str, float] = {}
        filtered: dict[str, Any] = {}
        for ensemble in self._filters:
            doc = json.loads(document)  # anew for each filter, as lm-eval reads it anew: tasks may change it
            self._task.features = list(doc)
            instance = Instance("generate_until", doc, ("", {}), 0, (self._task.task_name, 0, 1))
            instance.resps = [text]
            ensemble.apply([instance])
            response = filtered[str(ensemble.name)] = instance.filtered_resps[ensemble.name]
            for metric, value in self._task.process_results(json.loads(document), [response]).items():
                if self._is_mean(metric) and (number := _number(value)) is not None:
                    figures[f"{metric},{ensemble.name}"] = number
        return figures, filtered

    def gave_up(self, filter_name: str, response: Any) -> bool:
        """Whether a filter found nothing in a chain and put its stand-in there ("[invalid]")."""
        ensemble = next(e for e in self._filters if e.name == filter_name)
        stand_ins = [getattr(make(), "fallback", None) for make in ensemble.filters]
        return any(response == stand_in for stand_in in stand_ins if stand_in is not None)

    def _is_mean(self, metric: str) -> bool:
        from lm_eval.api.registry import AGGREGATION_REGISTRY

        # A metric without an aggregation is averaged by lm-eval too.
        aggregate = self._aggregation.get(metric)
        return aggregate is None or any(aggregate is AGGREGATION_REGISTRY[name] for name in _MEANS)


def _needs_repeats(ensemble: Any) -> bool:
    """Whether a pipeline of filters looks at several chains of a document at once."""
    from lm_eval.filters.selection import MajorityVoteFilter, TakeKFilter

    return any(
        make.func is MajorityVoteFilter or (make.func is TakeKFilter and make.keywords.get("k", 1) > 1)
        for make in ensemble.filters
    )


def _number(value: object) -> float | None:
    if not isinstance(value, numbers.Real) and not hasattr(value, "item"):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def figures_of(gold: Gold) -> Figures:
    """The figures of a gold's task, made from its file and this one document."""
    import datasets

    config = gold.definition.config()
    refuse_unsafe(gold.definition.name, config)
    with quiet():
        docs = datasets.Dataset.from_list([json.loads(gold.document)])
        return Figures(build(config, docs=docs))
