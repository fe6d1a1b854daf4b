"""Bills as text: the published table's form, and JSON."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from harness.text import one_row

from .bill import Bill, CheckpointCost, StageCost

_DIGITS = 6


def as_json(bill: Bill) -> dict[str, Any]:
    """What `harness cost --format json` prints; hours and USD to a millionth, None where not known."""
    return {
        "recipes": list(bill.recipes),
        "usd_per_hour": list(bill.prices),
        "checkpoints": [_rounded(asdict(row)) for row in bill.checkpoints],
        "stages": [_rounded(asdict(row)) for row in bill.stages],
        "not_in_recipe": list(bill.strangers),
    }


def as_markdown(bill: Bill) -> str:
    """Checkpoints as the published table has them, then what each stage adds."""
    unit = _unit(bill)
    lines = [
        *_table(
            ("checkpoint", "made from", unit, "USD", "figures"),
            [
                (
                    row.checkpoint,
                    row.made_from,
                    _number(row.device_hours),
                    _usd(row.usd),
                    _figures(row),
                )
                for row in bill.checkpoints
            ],
        ),
        "",
        "A checkpoint's cost is that of its own stages and of all that it comes from, each of them once:",
        "",
        *_table(
            ("stage", "trainer", "devices", unit, "USD", "figure"),
            [
                (
                    row.id,
                    row.trainer,
                    _devices(row),
                    _number(row.device_hours),
                    _usd(row.usd),
                    _figure(row),
                )
                for row in bill.stages
            ],
            left=3,
        ),
    ]
    if bill.prices:
        lines += ["", f"At {' and '.join(f'{price:g}' for price in bill.prices)} USD per device-hour."]
    return "\n".join(lines) + "\n"


def _unit(bill: Bill) -> str:
    devices = [(row.device or "").lower() for row in bill.stages if row.device_hours != 0]
    return "GPU hours" if devices and not any("cpu" in device for device in devices) else "device hours"


def _figures(row: CheckpointCost) -> str:
    return " + ".join(row.sources) + ("" if row.complete else ", unfinished")


def _figure(row: StageCost) -> str:
    kind = row.source if row.complete else f"{row.source}, unfinished"
    if row.sessions > 1:
        kind += f", {row.sessions} sessions"
    return f"{kind} ({row.note})" if row.note else kind


def _devices(row: StageCost) -> str:
    if row.device is None:
        return "" if row.devices is None else str(row.devices)
    # How many they were does not matter to published hours, and is not published either.
    return f"{row.devices} x {row.device}" if row.devices and row.sessions else row.device


def _number(value: float | None) -> str:
    """Hours: whole ones as such, else three digits that count."""
    if value is None:
        return "not known"
    return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.3g}"


def _usd(value: float | None) -> str:
    """Whole USD, as published, where there are at least ten of them."""
    if value is None:
        return "not known"
    if value >= 10 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value >= 0.1 else f"{value:.2g}"


def _table(titles: tuple[str, ...], rows: list[tuple[str, ...]], left: int = 2) -> list[str]:
    """A markdown table; the first `left` columns and the last one to the left, the others to the right."""
    cells = [titles, *(tuple(one_row(cell).replace("|", "\\|") for cell in row) for row in rows)]
    widths = [max(3, *(len(row[column]) for row in cells)) for column in range(len(titles))]
    numeric = range(left, len(titles) - 1)

    def line(row: tuple[str, ...]) -> str:
        padded = (
            cell.rjust(widths[i]) if i in numeric else cell.ljust(widths[i]) for i, cell in enumerate(row)
        )
        return f"| {' | '.join(padded)} |"

    rule = (
        "-" * (widths[i] + 1) + ":" if i in numeric else "-" * (widths[i] + 2) for i in range(len(titles))
    )
    return [line(cells[0]), f"|{'|'.join(rule)}|", *(line(row) for row in cells[1:])]


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, _DIGITS) if isinstance(value, float) else value for key, value in row.items()}
