"""What a recipe's run will do and is likely to take, before any of it happens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from harness import Estimate, HarnessError, StageSize, Trainer, closest
from harness.plugins import PluginManager
from harness.safetensors import read_object

from ..ledger import USD_PER_HOUR
from ..pretrain import Pretrain
from ..pretrain.shape import Shape
from ..recipes import BASE, Node, RecipeGraph
from . import asked as asking
from .asked import Asked, Found
from .base import Base, find_base
from .changes import check_recipes
from .curves import steps_of
from .layout import RunLayout, check_names, model_name, states
from .sharing import fitting, parameters_for
from .stage_data import StageData, look

State = Literal["done", "goes on", "to do", "waits for data"]
CPU: Final = "CPU"


@dataclass(frozen=True, slots=True)
class Machine:
    """What stages run on."""

    device: str | None
    """Name of one; None: nobody says."""
    most: int | None
    """How many there are; None: as many as the recipe wants."""

    @property
    def is_cpu(self) -> bool:
        return self.device == CPU


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line says of how to run."""

    devices: int | None = None
    """Processes of each stage; None: as many as there are devices and the batch allows."""
    usd_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage."""

    node: Node
    trainer: Trainer
    parameters: Mapping[str, Any]
    """For each of the processes."""
    devices: int
    device: str | None
    rows: int | None
    """As far as that is known."""
    price: float
    """USD of a device for an hour."""
    estimate: Estimate
    data: StageData | None
    """None: it has no rows."""
    state: State
    step: int | None
    """Of the last saved state."""
    asked: Asked
    found: Found

    @property
    def name(self) -> str:
        """Of its model in results."""
        return model_name(self.node)

    @property
    def steps(self) -> int | None:
        """In all, as they were logged, else estimated."""
        return self.estimate.steps

    @property
    def device_hours(self) -> float | None:
        """Estimated, else as the recipe says."""
        known = self.estimate.device_hours
        return self.node.stage.device_hours if known is None else known

    @property
    def usd(self) -> float | None:
        return None if self.device_hours is None else self.device_hours * self.price

    @property
    def state_text(self) -> str:
        if self.state != "goes on":
            return self.state
        return f"goes on at step {self.step:,}" + (f" of {self.steps:,}" if self.steps else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """All stages, in the order in which they run."""

    graph: RecipeGraph
    layout: RunLayout
    bases: Mapping[str, Base]
    """By the name that recipes have for them."""
    stages: tuple[StagePlan, ...]
    machine: Machine

    @property
    def recipe(self) -> str:
        return self.graph.asked[-1]

    @property
    def nodes(self) -> list[Node]:
        return [stage.node for stage in self.stages]

    @property
    def base(self) -> Base | None:
        """That of the recipe which was asked for, else the first."""
        own = self.graph.recipes[self.recipe].base
        return self.bases.get(own or "") or next(iter(self.bases.values()), None)

    def base_of(self, node: Node) -> Base | None:
        return self.bases.get(node.recipe.base or "")

    def rows_model(self, node: Node) -> Path | None:
        """Folder of the model that samples a stage's rows, or whose tokenizer counts them; None: not there yet."""
        base = self.base_of(node)
        sampler = self.graph.nodes[node.sampled] if node.sampled is not None else None
        if sampler is None and base is not None:
            return base.folder(self.layout.base)
        root = self.root
        maker = sampler or (root.node if root is not None and root.node.id != node.id else None)
        out = None if maker is None else self.layout.out(maker)
        return out if out is not None and out.is_dir() else None

    @property
    def root(self) -> StagePlan | None:
        """The stage that makes what all others start from, where a recipe has no base and one such stage."""
        roots = [stage for stage in self.stages if not stage.node.stage.init_from]
        return roots[0] if len(roots) == 1 and not self.bases else None


def make_plan(
    graph: RecipeGraph,
    target: Node | None,
    layout: RunLayout,
    plugins: PluginManager,
    machine: Machine,
    wishes: Wishes,
) -> Plan:
    """Look at every stage, so that whatever is wrong with one shows before anything runs.

    Args:
        target: run this stage and what it needs; None: all of them.

    Raises:
        HarnessError: an unknown trainer or parameter, a base that nobody knows, a stage that the folder holds with
            other settings; names the stage.
    """
    check_recipes(list(graph.recipes.values()))
    nodes = graph.wanted() if target is None else [graph.nodes[id_] for id_ in graph.ancestors(target.id)]
    check_names(nodes)
    # All trainers and parameters first: they need no look at any file.
    trainers = {node.id: _trainer(node, plugins) for node in nodes}
    shares = {node.id: _shared(node, trainers[node.id], machine, wishes) for node in nodes}
    plan = Plan(graph, layout, _bases(nodes, plugins), (), machine)
    for node in nodes:
        base = plan.base_of(node)
        parents = {stage.node.id: stage.asked for stage in plan.stages}
        asked = asking.asked_of(node, None if base is None else base.identity, parents)
        found = asking.find(node, layout)
        asking.check_same(node, found, asked, layout)
        stage = _planned(plan, node, trainers[node.id], shares[node.id], asked, found, plugins, wishes)
        plan = replace(plan, stages=(*plan.stages, stage))
    return plan


def _planned(
    plan: Plan,
    node: Node,
    trainer: Trainer,
    share: tuple[int, Mapping[str, Any]],
    asked: Asked,
    found: Found,
    plugins: PluginManager,
    wishes: Wishes,
) -> StagePlan:
    devices, parameters = share
    work = plan.layout.work(node)
    data = look(node, trainer, plan.layout, plan.rows_model(node), plugins) if trainer.needs else None
    rows = None if data is None else data.size
    said = node.stage.data.size if node.stage.data is not None else None
    base = plan.base_of(node)
    size = StageSize(
        parameters=parameters,
        config=_config(plan, node),
        weights=None if base is None else base.weights,
        rows=said if rows is None or rows.rows is None else rows.rows,
        prompt_tokens=None if rows is None else rows.prompt_tokens,
        completion_tokens=None if rows is None else rows.completion_tokens,
        device=plan.machine.device or node.hardware.device,
        devices=devices,
    )
    estimate = trainer.estimate(size)
    if (logged := steps_of(work)) is not None:
        estimate = replace(estimate, steps=logged)
    saved = states(work)
    state: State = "to do"
    if found.done:
        state = "done"
    elif saved:
        state = "goes on"
    elif data is not None and data.problem is not None:
        state = "waits for data"
    prices = (wishes.usd_per_hour, node.hardware.usd_per_hour, USD_PER_HOUR)
    return StagePlan(
        node=node,
        trainer=trainer,
        parameters=parameters,
        devices=devices,
        device=size.device,
        rows=size.rows,
        price=next(price for price in prices if price is not None),
        estimate=estimate,
        data=data,
        state=state,
        step=max(saved) if saved else None,
        asked=asked,
        found=found,
    )


def _trainer(node: Node, plugins: PluginManager) -> Trainer:
    name = node.stage.trainer
    if (trainer := plugins.trainers.get(name)) is None:
        hint = closest(name, plugins.trainers)
        raise HarnessError(f"stage {node.id}: no trainer is called {name!r:.60}: {hint}")
    return trainer


def _shared(node: Node, trainer: Trainer, machine: Machine, wishes: Wishes) -> tuple[int, Mapping[str, Any]]:
    """How many processes share a stage, and the parameters of each; checked."""
    meant = node.hardware.devices or 1
    parameters: Mapping[str, Any] = node.stage.parameters
    if not trainer.apart:
        devices = 1
    elif wishes.devices is not None:
        devices, parameters = wishes.devices, parameters_for(node, wishes.devices)
    else:
        most = meant if machine.most is None else min(meant, machine.most)
        devices = fitting(node, most)[-1]
        parameters = parameters_for(node, devices)
    try:
        trainer.check(parameters, len(node.stage.init_from))
    except HarnessError as error:
        raise type(error)(f"stage {node.id}: {error}") from None
    return devices, parameters


def _bases(nodes: Sequence[Node], plugins: PluginManager) -> dict[str, Base]:
    """The base models that stages really start from."""
    found: dict[str, Base] = {}
    for node in nodes:
        needs = BASE in node.stage.init_from or node.stage.samples_from == BASE
        if needs and node.recipe.base is not None and node.recipe.base not in found:
            found[node.recipe.base] = find_base(node.recipe.base, plugins.models.values())
    return found


def _config(plan: Plan, node: Node) -> Mapping[str, Any] | None:
    """config.json of the model that a stage trains: all that come from one model have its shape."""
    for each in plan.graph.lineage(node.id):
        if (base := plan.base_of(each)) is not None:
            return base.config(plan.layout.base)
        if (own := read_object(plan.layout.out(each) / "config.json")) is not None:
            return own
        if each.stage.trainer == Pretrain.name:
            return {"model_type": "qwen2", **asdict(Shape.of(each.stage.parameters))}
    return None
