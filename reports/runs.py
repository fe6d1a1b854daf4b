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


_KNOWN = ("pass@1", "pass@k", "cons@k", "mean_tokens", "p95_tokens")
"""Scores that have a place of their own; all others, of strangers' metrics and graders, are listed below the table."""


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
            table = "\n".join(_table_of(group))
            parts.append(table if len(protocols) == 1 else f"{protocol}:\n\n{table}")
        return "\n\n".join([*parts, "\n".join(_notes(results))]) + "\n"


def _header(results: Sequence[Result]) -> tuple[str, ...]:
    sizes = {result["n"] for result in results}
    cons = f"cons@{sizes.pop()}" if len(sizes) == 1 else "cons@n"
    titles = tuple(cons if title == "cons@n" else title for title in _HEADER)
    return (*titles, "USD") if any(_usd(result) is not None for result in results) else titles


def _table_of(results: Sequence[Result]) -> list[str]:
    header = _header(results)
    return _table(header, [_row(result)[: len(header)] for result in results])


def _row(result: Result) -> tuple[str, ...]:
    scores, usd = result["scores"], _usd(result)
    return (
        escape(result["model"]),
        escape(result["benchmark"]),
        str(result["n"]),
        *_score(scores.get("pass@1")),
        *_score(scores.get("cons@k")),
        _percent(result["truncated"]),
        _percent(result["no_answer"]),
        _tokens(scores),
        "?" if usd is None else _money(usd),
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


def _usd(result: Result) -> float | None:
    usd: float | None = (result.get("cost") or {}).get("usd")
    return usd


def _money(usd: float) -> str:
    return f"{usd:,.2f}" if usd >= 0.1 or usd == 0 else f"{usd:.4f}"


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
        parts.append(f"pass@{scores['pass@k']['k']} {100 * scores['pass@k']['value']:.2f}")
    if ties := scores.get("cons@k", {}).get("ties"):
        parts.append(_count(ties, "tied vote"))
    if unsure := counts["timeout"] + counts["error"]:
        causes = f"{_count(counts['timeout'], 'timeout')}, {_count(counts['error'], 'error')}"
        parts.append(f"{_count(unsure, 'chain')} could not be graded ({causes})")
    yield f"{label}: {'; '.join(parts)}."
    if own := [_other(name, score) for name, score in scores.items() if name not in _KNOWN]:
        yield f"{label}: {', '.join(own)}."
    if early := result.get("decided"):
        yield f"{label}: {_stopped_early(result, early)}"
    if spent := _spent(result.get("cost") or {}):
        yield f"{label}: {spent}."
    for warning in result.get("warnings", ()):
        yield f"{label}: WARNING: {escape(warning)}"


def _other(name: str, score: Mapping[str, Any]) -> str:
    """A score of which the table does not know the unit."""
    error = "" if score["stderr"] is None else f" ± {score['stderr']:.2g}"
    return f"{escape(name)} {score['value']:.4g}{error}"


def _stopped_early(result: Result, early: Mapping[str, int]) -> str:
    wanted = result["chains"] + early["chains_saved"]
    text = (
        f"sampling stopped once a majority was decided: {early['chains_saved']:,} of {wanted:,} chains were not "
        f"needed on {_count(early['problems'], 'problem')}; cons@n is what all chains would give, pass@1 and the "
        "lengths are estimates from the chains sampled, among which short ones are too many."
    )
    if early["undecided"]:
        unsure = _count(early["undecided"], "problem")
        text += f" WARNING: by today's grades {unsure} of these were not decided: cons@n may differ."
    return text


def _spent(cost: Mapping[str, Any]) -> str:
    """Tokens, engine time and money, as far as they are known."""
    parts = []
    if cost.get("completion_tokens") is not None:
        parts.append(f"{cost['completion_tokens']:,} tokens sampled")
    if cost.get("prompt_tokens") is not None:
        parts.append(f"{cost['prompt_tokens']:,} of prompts")
    if cost.get("engine_seconds") is not None:
        parts.append(f"{cost['engine_seconds']:,.0f} engine seconds")
    if cost.get("device_hours") is not None:
        parts.append(f"{cost['device_hours']:,.3g} device-hours")
    if cost.get("usd") is not None:
        parts.append(f"{_money(cost['usd'])} USD")
    return ", ".join(parts)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Markdown()]
