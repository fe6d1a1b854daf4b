"""The runs that charts show: what they are called, in which order and in which colour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from harness.checkpoints import checkpoint_of
from harness.report import Report, ReportRun
from harness.text import one_row

from . import theme

MOST_LINES: Final = len(theme.PALETTE)
"""More lines than that cannot be told apart in one chart."""

_LONGEST: Final = 30
_LONGEST_SERIES: Final = 18


@dataclass(frozen=True, eq=False)
class Subject:
    """A run with the name that it bears in a benchmark's charts."""

    run: ReportRun
    label: str
    colour: str = theme.PALETTE[0]

    @property
    def pass1(self) -> float:
        """pass@1, or -1 where the run has none."""
        return value_of(self.run.result, "pass@1", -1.0)


def value_of(result: Mapping[str, Any], score: str, missing: float) -> float:
    """A score of a run; `missing` where it has none."""
    return float((result["scores"].get(score) or {}).get("value", missing))


def subjects_of(report: Report) -> dict[str, list[Subject]]:
    """Per benchmark its runs: the checkpoints of one training run step by step, all others best first."""
    names = short_names(report.models)
    found: dict[str, list[Subject]] = {}
    for run in report.runs:
        found.setdefault(run.benchmark, []).append(Subject(run, names[run.model]))
    return {benchmark: _coloured(_told_apart(subjects)) for benchmark, subjects in found.items()}


def is_series(subjects: Sequence[Subject]) -> bool:
    """Whether these are checkpoints of one training run, each once."""
    steps = [subject.run.checkpoint for subject in subjects]
    return (
        len(steps) > 1
        and len(set(steps)) == len(steps)
        and len({step and step.series for step in steps}) == 1
    )


def best(subjects: Sequence[Subject], report: Report) -> list[Subject]:
    """As many as lines can be told apart, in their order: the baseline, then those with the highest pass@1."""
    if len(subjects) <= MOST_LINES or is_series(subjects):
        return list(subjects)
    first = sorted(subjects, key=lambda s: (s.run.model != report.baseline, -s.pass1))[:MOST_LINES]
    kept = [subject for subject in subjects if subject in first]
    colours = theme.categories(len(kept))
    return [replace(subject, colour=colour) for subject, colour in zip(kept, colours, strict=True)]


def left_out(shown: Sequence[Any], subjects: Sequence[Any]) -> str:
    """A sentence on what a chart does not show, or nothing."""
    few, all_ = len(shown), len(subjects)
    return "" if few == all_ else f" Shown are the best {few} of {all_} runs."


def short_names(models: Iterable[str]) -> dict[str, str]:
    """Names that fit beside a bar: no owner, the middle left out, checkpoints by their step; all different."""
    found: dict[str, str] = {}
    models = list(models)
    count = Counter(map(bare, models))
    for model in models:
        step = checkpoint_of(model)
        if step is None:
            name = shortened(bare(model) if count[bare(model)] == 1 else model, _LONGEST)
        else:
            name = f"{shortened(bare(step.series), _LONGEST_SERIES)} step {step.step:,}".strip()
        found[model] = _new(name, found.values())
    return found


def shortened(name: str, longest: int) -> str:
    """A name on one line; of a long one its two ends, since names of checkpoints and sizes differ at the end."""
    plain = " ".join(one_row(name).split()) or "?"
    if len(plain) <= longest:
        return plain
    tail = (longest - 1) * 3 // 5
    return f"{plain[: longest - 1 - tail]}…{plain[-tail:]}"


def bare(model: str) -> str:
    """A name without its owner."""
    return model.rstrip("/").rpartition("/")[2] or model


def _new(name: str, taken: Iterable[str]) -> str:
    names = set(taken)
    candidate, count = name, 1
    while candidate in names:
        count += 1
        candidate = f"{name} ({count})"
    return candidate


def _told_apart(subjects: Sequence[Subject]) -> list[Subject]:
    """Runs of one model get what they differ in added to their names."""
    count = Counter(subject.label for subject in subjects)
    found: list[Subject] = []
    for subject in subjects:
        label = subject.label
        if count[label] > 1:
            twins = [other.run.result for other in subjects if other.label == label]
            label = ", ".join([label, *_differing(subject.run.result, twins)])
        found.append(replace(subject, label=_new(label, (other.label for other in found))))
    return found


def _differing(result: Mapping[str, Any], twins: Sequence[Mapping[str, Any]]) -> list[str]:
    forms = {
        "protocol": "{}",
        "temperature": "T {:g}",
        "top_p": "top_p {:g}",
        "max_tokens": "{:,} tokens",
        "n": "n {}",
        "problems": "{} problems",
        "seed": "seed {}",
    }
    differing = [name for name in forms if len({twin.get(name) for twin in twins}) > 1]
    return [
        f"{name} unknown" if result.get(name) is None else forms[name].format(result[name])
        for name in differing
    ]


def _coloured(subjects: list[Subject]) -> list[Subject]:
    if is_series(subjects):
        subjects.sort(key=lambda subject: subject.run.checkpoint.step if subject.run.checkpoint else 0)
        colours = theme.ordered(len(subjects))
    else:
        subjects.sort(key=lambda subject: -subject.pass1)
        colours = theme.categories(len(subjects))
    return [replace(subject, colour=colour) for subject, colour in zip(subjects, colours, strict=True)]
