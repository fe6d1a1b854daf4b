"""What each checkpoint of a recipe cost: its own stages and those of all that it comes from, each of them once."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from ..recipes import KINDS, Node, RecipeGraph
from .entries import Entry

USD_PER_HOUR: Final = 2.8355
"""Price of an H100 for an hour at which the published GPU hours give the published bills, to the dollar."""


@dataclass(frozen=True, slots=True)
class StageCost:
    """What one stage took, without those before it."""

    id: str
    trainer: str
    device: str | None
    devices: int | None
    device_hours: float | None
    """None where neither the ledger nor the recipe says it."""
    usd: float | None
    source: str
    """Kind of the figure, as `recipes.KINDS`; "unknown" where there is none."""
    energy_kwh: float | None = None
    wall_seconds: float | None = None
    sessions: int = 0
    """How often it was started, by the ledger."""
    complete: bool = True
    """False where the ledger says that it has not come to its end."""
    note: str = ""
    """What the recipe says of where the figure comes from."""


@dataclass(frozen=True, slots=True)
class CheckpointCost:
    """What a checkpoint took, with everything that it comes from."""

    id: str
    checkpoint: str
    """Its title."""
    made_from: str
    device_hours: float | None
    """None where one of its stages is not known: a sum with a hole would be too small."""
    usd: float | None
    sources: tuple[str, ...]
    """Kinds of the figures that were added up."""
    stages: tuple[str, ...]
    """Ids of the stages that were added up."""
    energy_kwh: float | None = None
    """None where one of its stages does not say."""
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Bill:
    """The costs of recipes; checkpoints and stages in an order in which they can be made."""

    recipes: tuple[str, ...]
    checkpoints: tuple[CheckpointCost, ...]
    stages: tuple[StageCost, ...]
    prices: tuple[float, ...]
    """USD per device-hour that were used, where nobody says what was paid."""
    strangers: tuple[str, ...]
    """Stages of the ledger that the recipes do not know: they are on no checkpoint's bill."""


def bill(graph: RecipeGraph, entries: Iterable[Entry] = (), usd_per_hour: float | None = None) -> Bill:
    """What the checkpoints of a graph cost.

    What the ledger says of a stage counts; of others, what the recipe says. A price that is given counts before what
    was paid by the ledger; else that, then the price of the stage's hardware, then `USD_PER_HOUR`.

    Args:
        entries: of a ledger; several sessions of a stage add up.
        usd_per_hour: of one device, whatever it is.
    """
    sessions: dict[str, list[Entry]] = {}
    for entry in entries:
        sessions.setdefault(entry.stage, []).append(entry)
    prices: set[float] = set()
    stages = {
        node.id: _stage(node, sessions.get(node.id, ()), usd_per_hour, prices) for node in graph.wanted()
    }
    checkpoints = tuple(_checkpoint(graph, node, stages) for node in graph.checkpoints())
    strangers = tuple(stage for stage in sessions if stage not in graph.nodes)
    return Bill(graph.asked, checkpoints, tuple(stages.values()), tuple(sorted(prices)), strangers)


def _stage(node: Node, sessions: Sequence[Entry], given: float | None, prices: set[float]) -> StageCost:
    hardware = node.hardware
    price = next(p for p in (given, hardware.usd_per_hour, USD_PER_HOUR) if p is not None)
    if not sessions:
        hours = node.stage.device_hours
        if hours:
            prices.add(price)
        kind, note = node.origin("device_hours") or ("estimated", "")
        return StageCost(
            node.id,
            node.stage.trainer,
            hardware.device,
            hardware.devices,
            hours,
            None if hours is None else hours * price,
            "unknown" if hours is None else kind,
            note=note,
        )
    paid: list[float] = []
    for entry in sessions:
        if given is None and entry.usd is not None:
            paid.append(entry.usd)
        else:
            prices.add(price)
            paid.append(entry.device_hours * price)
    energies = [entry.energy_kwh for entry in sessions]
    return StageCost(
        node.id,
        node.stage.trainer,
        sessions[-1].device or hardware.device,
        sessions[-1].devices,
        math.fsum(entry.device_hours for entry in sessions),
        math.fsum(paid),
        _ordered({entry.source for entry in sessions})[-1],
        _sum(energies),
        math.fsum(entry.wall_seconds for entry in sessions),
        len(sessions),
        sessions[-1].complete,  # one that was complete may have been thrown away and begun anew
    )


def _checkpoint(graph: RecipeGraph, node: Node, stages: dict[str, StageCost]) -> CheckpointCost:
    ids = graph.ancestors(node.id)
    parts = [stages[id_] for id_ in ids]
    # A merge that took no hours of its own says nothing of where the sum comes from.
    telling = [part for part in parts if part.device_hours != 0] or parts
    costly = [part for part in parts if part.device_hours != 0]
    return CheckpointCost(
        node.id,
        node.title,
        graph.made_from(node.id),
        _sum([part.device_hours for part in parts]),
        _sum([part.usd for part in parts]),
        _ordered({part.source for part in telling}),
        tuple(ids),
        _sum([part.energy_kwh for part in costly]),
        all(part.complete for part in parts),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    """The exactly rounded sum, the same in any order; None where one is not known, or there is none."""
    known = [value for value in values if value is not None]
    return math.fsum(known) if known and len(known) == len(values) else None


def _ordered(kinds: set[str]) -> tuple[str, ...]:
    """Kinds from the surest to the least sure."""
    known = [*KINDS, "unknown"]
    return tuple(sorted(kinds, key=known.index))
