"""The stages of a recipe, and of the recipes that it builds upon, as one graph without circles."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from harness import HarnessError, closest

from .schema import BASE, Evaluate, Hardware, Kind, Recipe, Stage

_MOST_STAGES: Final = 2000


@dataclass(frozen=True, slots=True)
class Node:
    """A stage in its recipe."""

    recipe: Recipe
    name: str
    parents: tuple[str, ...]
    """Ids of the stages that it starts from; none where it starts from the base alone."""
    sampled: str | None = None
    """Id of the stage whose model its data is sampled from; None where that is the base, or nothing is sampled."""

    @property
    def id(self) -> str:
        """RECIPE:STAGE"""
        return f"{self.recipe.name}:{self.name}"

    @property
    def needs(self) -> tuple[str, ...]:
        """Ids of the stages whose models must stand before it can begin."""
        return self.parents if self.sampled is None else (*self.parents, self.sampled)

    @property
    def stage(self) -> Stage:
        return self.recipe.stages[self.name]

    @property
    def title(self) -> str:
        return self.stage.title or self.id

    @property
    def hardware(self) -> Hardware:
        """What it runs on: the stage's word, else the recipe's."""
        return self.stage.hardware.over(self.recipe.hardware)

    @property
    def evaluate(self) -> Evaluate | None:
        """How its checkpoint is evaluated; None where it is not."""
        if not self.stage.checkpoint:
            return None
        own, general = self.stage.evaluate or Evaluate(), self.recipe.evaluate or Evaluate()
        both = own.over(general)
        return both if both.bench else None

    def origin(self, key: str) -> tuple[Kind, str] | None:
        """Where a figure of the stage comes from, or None where the recipe does not say."""
        return self.stage.source.by_key().get(key) or self.recipe.source.by_key().get(key)


@dataclass(frozen=True, slots=True)
class RecipeGraph:
    """Recipes resolved together.

    Raises:
        HarnessError: a stage starts from one, or has its data sampled from one, that does not exist or is in the end
            itself; names recipe and stage.
    """

    recipes: Mapping[str, Recipe]
    """By name; those that were asked for come last, after those that they build upon."""
    asked: tuple[str, ...]
    """Names of the recipes that were asked for."""
    nodes: Mapping[str, Node] = field(init=False)
    """By id, each after all that it needs, otherwise in the order of the files."""

    def __post_init__(self) -> None:
        found = {
            f"{recipe.name}:{name}": Node(
                recipe, name, self._parents(recipe, name), self._sampled(recipe, name)
            )
            for recipe in self.recipes.values()
            for name in recipe.stages
        }
        if len(found) > _MOST_STAGES:
            raise HarnessError(f"{len(found):,} stages are more than {_MOST_STAGES:,}: split the recipe")
        for node in found.values():
            for parent in node.needs:
                if parent not in found:
                    raise _unknown(node, parent, found)
        object.__setattr__(self, "nodes", {id_: found[id_] for id_ in _in_order(found)})

    @staticmethod
    def _parents(recipe: Recipe, name: str) -> tuple[str, ...]:
        return tuple(_id(recipe, parent) for parent in recipe.stages[name].init_from if parent != BASE)

    @staticmethod
    def _sampled(recipe: Recipe, name: str) -> str | None:
        model = recipe.stages[name].samples_from
        return None if model is None or model == BASE else _id(recipe, model)

    def ancestors(self, id_: str) -> list[str]:
        """Ids of the stages that a model comes from, those that its data was sampled from included, itself last, each
        once, in an order in which they can run.

        Raises:
            HarnessError: there is no such stage.
        """
        if id_ not in self.nodes:
            raise HarnessError(f"no stage is called {id_!r:.100}: {closest(id_, self.nodes)}")
        wanted, pending = {id_}, [id_]
        while pending:
            fresh = set(self.nodes[pending.pop()].needs) - wanted
            wanted |= fresh
            pending += fresh
        return [known for known in self.nodes if known in wanted]

    def lineage(self, id_: str) -> list[Node]:
        """A stage and those that its model was trained or merged from, each once, before its own parents; the first
        parent's come before the second's.
        """
        found: dict[str, Node] = {}
        pending = [id_]
        while pending:
            current = pending.pop()
            if current not in found:
                found[current] = self.nodes[current]
                pending += reversed(found[current].parents)
        return list(found.values())

    def wanted(self) -> list[Node]:
        """The stages of the recipes that were asked for and all that these come from, in an order in which they can
        run: what other recipes hold besides is left out.
        """
        own = [id_ for id_, node in self.nodes.items() if node.recipe.name in self.asked]
        needed = {ancestor for id_ in own for ancestor in self.ancestors(id_)}
        return [node for id_, node in self.nodes.items() if id_ in needed]

    def checkpoints(self) -> list[Node]:
        """Those of the wanted stages whose models are checkpoints of their own."""
        return [node for node in self.wanted() if node.stage.checkpoint]

    def made_from(self, id_: str) -> str:
        """What a checkpoint is made from, as a line of the cost table says it.

        Stages that lead to it and are no checkpoints of their own are told with it.
        """
        steps: list[str] = []
        node: Node | None = self.nodes[id_]
        while node is not None:
            steps.append(node.stage.description or self._described(node))
            only = self.nodes[node.parents[0]] if len(node.parents) == 1 else None
            node = only if only is not None and not only.stage.checkpoint else None
        return ", then ".join(reversed(steps))

    def _described(self, node: Node) -> str:
        sources = [str(node.recipe.base)] if BASE in node.stage.init_from else []
        sources += [self.nodes[parent].title for parent in node.parents]
        how = str(node.stage.parameters.get("method", "")) if len(sources) > 1 else ""
        return f"{how} {node.stage.trainer} {'of' if how else 'on'} {' and '.join(sources)}".strip()

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes.values())


def _id(recipe: Recipe, stage: str) -> str:
    return stage if ":" in stage else f"{recipe.name}:{stage}"


def _key(node: Node, needed: Iterable[str]) -> str:
    """The key of a stage that names one of these stages."""
    return "init_from" if set(node.parents) & set(needed) else "data.sample.model"


def _unknown(node: Node, parent: str, found: Mapping[str, Node]) -> HarnessError:
    recipe, stage = parent.split(":", 1)
    where = f"recipe {node.recipe.name}: stage {node.name}: {_key(node, [parent])}"
    if recipe == node.recipe.name:
        hint = closest(stage, (*(name for name in node.recipe.stages if name != node.name), BASE))
        return HarnessError(f"{where}: no stage is called {stage!r:.60}: {hint}")
    known = [other.name for other in found.values() if other.recipe.name == recipe]
    return HarnessError(f"{where}: recipe {recipe} has no stage {stage!r:.60}: {closest(stage, known)}")


def _in_order(nodes: Mapping[str, Node]) -> list[str]:
    """Every id after those that it needs; of several that could be next, the one that stands first."""
    places = {id_: place for place, id_ in enumerate(nodes)}
    missing = {id_: len(set(node.needs)) for id_, node in nodes.items()}
    children: dict[str, list[str]] = {id_: [] for id_ in nodes}
    for id_, node in nodes.items():
        for parent in set(node.needs):
            children[parent].append(id_)
    ids = list(nodes)
    ready = [places[id_] for id_, count in missing.items() if not count]
    heapq.heapify(ready)
    done: list[str] = []
    while ready:
        done.append(ids[heapq.heappop(ready)])
        for child in children[done[-1]]:
            missing[child] -= 1
            if not missing[child]:
                heapq.heappush(ready, places[child])
    if len(done) < len(nodes):
        raise _circle(nodes, [id_ for id_ in nodes if missing[id_]])
    return done


def _circle(nodes: Mapping[str, Node], left: Sequence[str]) -> HarnessError:
    among = set(left)
    path: list[str] = [left[0]]
    while (parent := _first(nodes[path[-1]].needs, among)) not in path:
        path.append(parent)
    circle = [*path[path.index(parent) :], parent]
    shown = circle if len(circle) <= 8 else [*circle[:7], "...", parent]
    node = nodes[parent]
    return HarnessError(
        f"recipe {node.recipe.name}: stage {node.name}: {_key(node, circle)} goes in a circle, "
        f"{' <- '.join(shown)}: let one of them start from something else"
    )


def _first(parents: Iterable[str], among: set[str]) -> str:
    return next(parent for parent in parents if parent in among)
