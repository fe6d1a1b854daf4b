"""Any task of lm-eval whose answers are generated: `--bench lm-eval:gsm8k`.

Prompts, stop texts, filters and metrics are lm-eval's own: its task object makes the prompts here, and grades in a
killable worker. See docs/lm-eval.md.
"""

from __future__ import annotations

import importlib.metadata
import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from harness import (
    Benchmark,
    Extraction,
    HarnessError,
    Normalizer,
    Problem,
    Prompt,
    Verdict,
    hookimpl,
)

if TYPE_CHECKING:
    from harness.data import DataSource

    from ._lm_eval_grading import Figures

_log = logging.getLogger("harness.lm-eval")

WARM_VARIABLE = "HARNESS_LM_EVAL_WARM"
"""Environment variable with the task files that a grading process imports before its first deadline begins."""

OWN_FEWSHOT = -1
"""As many examples as the task asks for."""


class LMEvalTask(Benchmark):
    name = "lm-eval"
    description = (
        "any generate_until task of lm-eval (lm-eval:gsm8k), with its own prompt, filters and metric"
    )
    normalizer = "lm-eval"
    source = "lm-eval"
    positional = "task"
    parameters: ClassVar[Mapping[str, Any]] = {
        "task": "",
        "fewshot": OWN_FEWSHOT,
        "filter": "",
        "metric": "",
        "chat": False,
        "multiturn": True,
    }

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        if self.values["fewshot"] < OWN_FEWSHOT:
            raise HarnessError(f"{self.name}: fewshot={self.values['fewshot']} is not a number of examples")
        self._prompts: dict[str, Prompt] = {}
        self._notes: dict[str, Any] = {}

    @property
    def label(self) -> str:
        """As a user writes it: `lm-eval:gsm8k,fewshot=0`."""
        changed = [f"{k}={v}" for k, v in self.values.items() if k != "task" and v != self.parameters[k]]
        parts = ",".join(filter(None, [self.values["task"], *changed]))
        return f"{self.name}:{parts}" if parts else self.name

    def problems(self, data: DataSource) -> Iterable[Problem]:
        from ._lm_eval_tasks import require

        name = self.values["task"]
        if not name:
            raise HarnessError("lm-eval: say which task, as in --bench lm-eval:gsm8k")
        require()
        from ._lm_eval_problems import load

        loaded = load(name, data, self.values)
        # Whoever wrote these questions asks that they not be posted in plain text.
        self.hidden = "gpqa" in loaded.dataset.lower()
        self.source = loaded.dataset
        self._notes = dict(loaded.notes)
        _warm_next(f"{loaded.definition.place}:{loaded.definition.file}")
        _log.warning("%s", loaded.settings)
        for left_out in loaded.figures.left_out:
            _log.warning("lm-eval:%s: left out: %s", name, left_out)
        self._prompts = {}
        problems = []
        for item in loaded.items(packed=self.hidden):
            self._prompts[item.problem.id] = item.prompt
            problems.append(item.problem)
        return problems

    def prompt(self, problem: Problem) -> Prompt | None:
        return self._prompts[problem.id]

    def notes(self, problems: Sequence[Problem]) -> Mapping[str, Any]:
        return self._notes


def _warm_next(file: str) -> None:
    listed = filter(None, os.environ.get(WARM_VARIABLE, "").split(os.pathsep))
    os.environ[WARM_VARIABLE] = os.pathsep.join(dict.fromkeys([*listed, file]))


class LMEvalNormalizer(Normalizer):
    """Filters and metrics of lm-eval's tasks. Golds are those of the benchmark `lm-eval`."""

    name = "lm-eval"

    def __init__(self) -> None:
        try:
            self.version = f"1 ({importlib.metadata.version('lm-eval')})"
        except importlib.metadata.PackageNotFoundError:
            self.version = "1"
        self._tasks: dict[object, Figures] = {}
        self._last: tuple[str, str, str | None] | None = None

    def warm(self) -> None:
        # A worker's memory is capped, and numerical libraries set room aside for every thread of a large machine.
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            os.environ.setdefault(variable, "1")
        import datasets  # noqa: F401
        import lm_eval.api.task  # noqa: F401

        from ._lm_eval_tasks import Definition

        for listed in filter(None, os.environ.get(WARM_VARIABLE, "").split(os.pathsep)):
            place, _, file = listed.partition(":")
            try:
                Definition(Path(file).stem, place, file).config()
            except HarnessError as error:
                _log.warning("%s", error)  # told again for each chain that it concerns

    def extract(self, text: str) -> Extraction | None:
        # Which part of the text is the answer is the filters' business, and they may look at the document.
        return Extraction(text, "chain")

    def same(self, answer: str, gold: str) -> Verdict:
        from ._lm_eval_grading import Gold

        read = Gold.of(gold)
        figures, filtered = self._figures(read).of(answer, read.document, read.targets)
        if read.figure not in figures:
            raise HarnessError(
                f"lm-eval:{read.definition.name} gives no {read.figure}, only {', '.join(figures)}"
            )
        found = self._found(read, filtered)
        self._last = (answer, gold, None if found is None else self.key(found))
        return Verdict(abs(figures[read.figure] - 1) < 1e-9, read.figure, found or "", figures)

    def key(self, answer: str) -> str:
        return "text:" + " ".join(answer.split())

    def vote(self, answer: str, gold: str) -> str | None:
        # None abstains: a filter's stand-in for "nothing found" is not a candidate.
        if answer == gold:
            return "correct"  # all correct answers vote together
        if self._last is None or self._last[:2] != (answer, gold):
            self.same(answer, gold)
        return None if self._last is None else self._last[2]

    def _figures(self, gold: Any) -> Figures:
        from ._lm_eval_grading import figures_of

        key = gold.definition
        if key not in self._tasks:
            self._tasks[key] = figures_of(gold)
        return self._tasks[key]

    def _found(self, gold: Any, filtered: Mapping[str, Any]) -> str | None:
        """What the chosen filter makes of a chain; None where it found nothing."""
        chosen = gold.figure.partition(",")[2]
        response = filtered[chosen]
        if self._figures(gold).gave_up(chosen, response):
            return None
        return response if isinstance(response, str) else json.dumps(response, default=str)


@hookimpl
def harness_benchmarks() -> list[Benchmark]:
    return [LMEvalTask()]


@hookimpl
def harness_normalizers() -> list[Normalizer]:
    return [LMEvalNormalizer()]
