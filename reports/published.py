"""Figures that others published, to stand beside measured ones (`harness report --published`)."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from importlib.resources import files

from harness import Published, hookimpl


def read_published() -> list[Published]:
    """The figures in data/published.csv, which are facts with their source; scores stand there in percent."""
    text = (files(__package__) / "data" / "published.csv").read_text(encoding="utf-8")
    return [_published(row) for row in csv.DictReader(io.StringIO(text))]


def _published(row: Mapping[str, str]) -> Published:
    chains = int(row["chains"])
    return Published(
        row["model"],
        row["group"],
        row["benchmark"],
        # As measured scores are called, whatever k is; some were published with fewer chains than the column says.
        {"pass@1": float(row["pass@1"]) / 100, "cons@k": float(row["cons@64"]) / 100},
        chains,
        row["source"],
        row["note"],
    )


@hookimpl
def harness_published() -> Sequence[Published]:
    return read_published()
