"""Results as a markdown table that says how sure it is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness import Reporter, hookimpl

Result = Mapping[str, Any]

_HEADER = (
    "model",
    "benchmark",
    "n",
    "pass@1",
    "95 % CI",
    "cons@n",
    "95 % CI",
    "truncated",
    "no answer",
    "tokens",
)


class Markdown(Reporter):
    name = "markdown"
    description = "one row a run: pass@1 and cons@n with standard error and interval, truncation, tokens"

    def render(self, results: Sequence[Result]) -> str:
        if not results:
            return "no results\n"
        # Numbers of two protocols are not comparable: they never share a table.
        protocols: dict[str, list[Result]] = {}
        for result in results:
            protocols.setdefault(_protocol(result), []).append(result)
        parts = []
        for protocol, group in protocols.items():
            table = "\n".join(_table(_header(group), [_row(result) for result in group]))
            parts.append(table if len(protocols) == 1 else f"{protocol}:\n\n{table}")
        return "\n\n".join([*parts, "\n".join(_notes(results))]) + "\n"


def _header(results: Sequence[Result]) -> tuple[str, ...]:
    sizes = {result["n"] for result in results}
    cons = f"cons@{sizes.pop()}" if len(sizes) == 1 else "cons@n"
    return tuple(cons if title == "cons@n" else title for title in _HEADER)


def _row(result: Result) -> tuple[str, ...]:
    scores = result["scores"]
    return (
        escape(result["model"]),
        escape(result["benchmark"]),
        str(result["n"]),
        *_score(scores.get("pass@1")),
        *_score(scores.get("cons@k")),
        _percent(result["truncated"]),
        _percent(result["no_answer"]),
        _tokens(scores),
    )


def _score(score: Mapping[str, Any] | None) -> tuple[str, str]:
    """Value ± standard error, and the interval, in percent."""
    if score is None:
        return "", ""
    value = f"{100 * score['value']:.2f}"
    if score["stderr"] is None:
        return value, ""
    low, high = score["ci95"]
    return f"{value} ± {100 * score['stderr']:.2f}", f"{100 * low:.1f} – {100 * high:.1f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _tokens(scores: Mapping[str, Any]) -> str:
    return f"{scores['mean_tokens']['value']:,.0f}" if "mean_tokens" in scores else "?"


def escape(text: str) -> str:
    """Text that cannot break out of a table cell or put markup into the page."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    for mark, safe in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("|", "\\|"), ("`", "\\`")):
        plain = plain.replace(mark, safe)
    return plain


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A markdown table that also reads well as plain text: columns padded, numbers to the right."""
    widths = [max(len(row[i]) for row in (header, *rows)) for i in range(len(header))]
    left = 2  # model and benchmark

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "| " + " | ".join(padded) + " |"

    rule = "|".join("-" * (w + 2) if i < left else "-" * (w + 1) + ":" for i, w in enumerate(widths))
    return [line(header), f"|{rule}|", *map(line, rows)]


def _notes(results: Sequence[Result]) -> Iterator[str]:
    """What the table's figures are, and everything about the runs that a reader should not overlook."""
    for protocol in dict.fromkeys(map(_protocol, results)):
        yield f"Protocol: {protocol}."
    yield (
        "pass@1 and cons@n in percent ± standard error over problems; the interval is Student's t"
        " over problems (Wilson's where all score alike)."
    )
    for result in results:
        yield from _remarks(result)


def _protocol(result: Result) -> str:
    return (
        f"{result['protocol']}, T {result['temperature']:g}, top_p {result['top_p']:g}, "
        f"budget {result['max_tokens']:,} tokens"
    )


def _remarks(result: Result) -> Iterator[str]:
    label = f"{escape(result['model'])} on {escape(result['benchmark'])}"
    scores, counts = result["scores"], result["counts"]
    pass1 = scores.get("pass@1", {})
    sampling, questions = pass1.get("stderr_sampling"), pass1.get("stderr_questions")
    parts = [f"{result['problems']} problems × {result['n']} chains, seed {result['seed']}"]
    if sampling is not None and questions == 0:
        parts.append("the ± is no more than sampling alone explains")
    elif sampling is not None and questions is not None:
        parts.append(
            f"of the ±, {100 * sampling:.2f} is sampling and {100 * questions:.2f} the choice of problems"
        )
    if "pass@k" in scores and result["n"] > 1:
        parts.append(f"pass@{result['n']} {100 * scores['pass@k']['value']:.2f}")
    if ties := scores.get("cons@k", {}).get("ties"):
        parts.append(_count(ties, "tied vote"))
    if unsure := counts["timeout"] + counts["error"]:
        causes = f"{_count(counts['timeout'], 'timeout')}, {_count(counts['error'], 'error')}"
        parts.append(f"{_count(unsure, 'chain')} could not be graded ({causes})")
    yield f"{label}: {'; '.join(parts)}."
    for warning in result.get("warnings", ()):
        yield f"{label}: WARNING: {escape(warning)}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Markdown()]
