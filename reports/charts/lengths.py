"""How long chains are: those that are correct, those that are not, and those that the budget cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from harness.outcomes import Outcomes
from harness.records import STATUSES
from harness.report import Report

from . import theme
from .chart import Chart, Rows, finished
from .curves import lengths_known
from .engine import altair
from .subjects import Subject, best, left_out, shortened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BINS: Final = 40
_MARGIN: Final = 70
"""Pixels of a chart's width that the axis takes."""
_OUTCOMES: Final = tuple(theme.OUTCOMES)


def length_charts(report: Report, subjects: Mapping[str, Sequence[Subject]]) -> list[Chart]:
    """One chart a benchmark: a histogram a model, all with the same bins."""
    charts = []
    for benchmark, all_ in subjects.items():
        known = [subject for subject in all_ if lengths_known(subject.run.outcomes)]
        if known:
            charts.append(_histograms(benchmark, best(known, report), known))
    return charts


def _histograms(benchmark: str, shown: Sequence[Subject], known: Sequence[Subject]) -> Chart:
    import numpy as np

    longest = max(1, max(int(subject.run.outcomes.tokens.max(initial=1)) for subject in shown))
    edges = np.linspace(0, longest, min(_BINS, longest) + 1)
    rows: Rows = []
    cut = 0.0
    for subject in shown:
        outcomes = subject.run.outcomes
        which = _which(outcomes)
        cut = max(cut, float((which == _OUTCOMES.index("truncated")).mean()))
        for place, outcome in enumerate(_OUTCOMES):
            counts, _ = np.histogram(outcomes.tokens[which == place], bins=edges)
            for i in np.flatnonzero(counts):
                rows.append(
                    {
                        "label": subject.label,
                        "outcome": outcome,
                        "stack": place,
                        "from": float(edges[i]),
                        "to": float(edges[i + 1]),
                        "chains": int(counts[i]),
                        "share": round(100 * int(counts[i]) / len(which), 4),
                    }
                )
    caption = (
        f"{benchmark}: lengths of chains in tokens, by what became of them, in percent of each model's chains."
        f" Up to {100 * cut:.1f} % of a model's chains were cut off by the budget without a correct answer."
    )
    present = [outcome for outcome in _OUTCOMES if any(row["outcome"] == outcome for row in rows)]
    return finished(
        benchmark,
        "lengths",
        f"{shortened(benchmark, 60)}: lengths of chains",
        _drawing([subject.label for subject in shown], present),
        {"bins": rows},
        caption + left_out(shown, known),
        "percent of each model's chains",
        margin=_MARGIN,
    )


def _which(outcomes: Outcomes) -> NDArray[np.int64]:
    """[chains] place in `_OUTCOMES`."""
    import numpy as np

    cut = outcomes.truncated | (outcomes.status == STATUSES.index("truncated"))
    return np.select(
        [outcomes.correct, cut, outcomes.status == STATUSES.index("incorrect")],
        [_OUTCOMES.index(name) for name in ("correct", "truncated", "incorrect")],
        _OUTCOMES.index("no answer"),
    )


def _drawing(models: Sequence[str], outcomes: Sequence[str]) -> Any:
    alt = altair()
    return (
        alt.Chart(alt.NamedData("bins"))
        .mark_bar(binSpacing=1)
        .encode(
            x=alt.X(
                "from:Q", bin="binned", title="tokens of a chain", axis=alt.Axis(format=",d", tickCount=6)
            ),
            x2="to:Q",
            y=alt.Y("share:Q", stack="zero", title=None, axis=alt.Axis(tickCount=3)),
            color=alt.Color(
                "outcome:N",
                title=None,
                scale=alt.Scale(domain=list(outcomes), range=[theme.OUTCOMES[name] for name in outcomes]),
                legend=alt.Legend(columns=4),
            ),
            order="stack:Q",
            tooltip=[
                alt.Tooltip("label:N", title="model"),
                alt.Tooltip("outcome:N"),
                alt.Tooltip("from:Q", title="from, tokens", format=",.0f"),
                alt.Tooltip("to:Q", title="to, tokens", format=",.0f"),
                alt.Tooltip("chains:Q", format=","),
                alt.Tooltip("share:Q", title="% of chains", format=".2f"),
            ],
        )
        .properties(height=64)
        .facet(
            facet=alt.Facet("label:N", title=None, sort=list(models)),
            columns=1,
            spacing=10,
        )
    )
