"""Finds, loads and lists plugins, and looks their components up by name.

Plugins are found through the entry-point group `harness`. One that fails to import, or whose hooks do not fit
the specifications, is kept as a `PluginProblem` and skipped: it never takes a command down.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import pluggy

from . import hookspecs
from .components import Benchmark, Cluster, Importer, Metric, Model, Normalizer, Reporter, Sampler
from .components import Protocol as SamplingProtocol
from .errors import HarnessError, closest, one_line
from .records import Published
from .trainer import Trainer

if TYPE_CHECKING:
    import click

GROUP: Final = "harness"

BUILT_IN: Final = "fathom-harness"
"""Distribution whose entry points are the built-in plugins."""


class Named(Protocol):
    @property
    def name(self) -> str: ...


ComponentT = TypeVar("ComponentT", bound=Named)
AnyT = TypeVar("AnyT")


@dataclass(frozen=True, slots=True)
class PluginInfo:
    name: str
    module: str
    distribution: str
    version: str
    hooks: tuple[str, ...]

    @property
    def built_in(self) -> bool:
        return self.distribution == BUILT_IN


@dataclass(frozen=True, slots=True)
class PluginProblem:
    """A plugin that was skipped, and why, in one line."""

    name: str
    distribution: str
    reason: str


class PluginManager:
    """The plugins of this process and their components.

    Args:
        block: names of entry points not to load (`--no-plugin`).
        only: where given, load just these entry points besides the built-in ones (`HARNESS_LOAD_PLUGINS`).
    """

    def __init__(self, block: Iterable[str] = (), only: Iterable[str] | None = None) -> None:
        self.problems: list[PluginProblem] = []
        self.plugins: list[PluginInfo] = []
        self._block = set(block)
        self._only = None if only is None else set(only)
        self.on_problem: Callable[[PluginProblem], None] | None = None
        """Told of every problem from now on: some show only when a component is looked up."""
        self._clashes: dict[tuple[str, str], str] = {}
        self._pluggy = pluggy.PluginManager("harness")
        self._pluggy.add_hookspecs(hookspecs)

    @property
    def hook(self) -> pluggy.HookRelay:
        return self._pluggy.hook

    @property
    def selection(self) -> dict[str, Any]:
        """What narrows this manager, so that a worker process can load the same plugins."""
        return {"block": sorted(self._block), "only": None if self._only is None else sorted(self._only)}

    # -- loading ---------------------------------------------------------------------------------

    def load(self) -> PluginManager:
        """Load every plugin that the installed distributions offer."""
        found = sorted(entry_points(group=GROUP), key=lambda e: (not _is_built_in(e), e.name))
        for entry_point in found:
            if self._wanted(entry_point):
                self._load_one(entry_point)
        there = {name for e in found for name in (e.name, self._distribution(e)[0])}
        for name in sorted((self._block | (self._only or set())) - there):
            self._skip(name, "", f"no plugin is called so: {closest(name, there)}")
        return self

    def _wanted(self, entry_point: EntryPoint) -> bool:
        if entry_point.name in self._block or self._distribution(entry_point)[0] in self._block:
            return False
        return self._only is None or _is_built_in(entry_point) or entry_point.name in self._only

    @staticmethod
    def _distribution(entry_point: EntryPoint) -> tuple[str, str]:
        dist = entry_point.dist
        return (dist.name, dist.version) if dist else ("unknown", "?")

    def _load_one(self, entry_point: EntryPoint) -> None:
        distribution, version = self._distribution(entry_point)
        try:
            # A stranger's module may raise anything at import, SystemExit included.
            plugin = entry_point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self._skip(entry_point.name, distribution, f"cannot be imported: {one_line(error)}")
            return
        self.register(plugin, entry_point.name, distribution=distribution, version=version)

    def register(
        self, plugin: object, name: str, *, distribution: str = "this process", version: str = ""
    ) -> None:
        """Add a plugin object by hand, as tests do; one that violates a hook specification is skipped."""
        try:
            self._pluggy.register(plugin, name)
            unknown = [h for h in self._own_hooks(plugin) if not hasattr(hookspecs, h)]
            if unknown:
                self._pluggy.unregister(plugin)
                raise HarnessError(f"no hook is called {unknown[0]}: {closest(unknown[0], hook_names())}")
        except (HarnessError, pluggy.PluginValidationError, ValueError) as error:
            if self._pluggy.get_plugin(name) is plugin:
                self._pluggy.unregister(plugin)
            self._skip(name, distribution, f"does not fit the hooks: {' '.join(str(error).split())}")
            return
        module = plugin.__name__ if isinstance(plugin, ModuleType) else type(plugin).__qualname__
        hooks = tuple(self._own_hooks(plugin))
        if not hooks:
            self._skip(name, distribution, "has no function marked @harness.hookimpl")
            return
        self.plugins.append(PluginInfo(name, module, distribution, version, hooks))

    def _own_hooks(self, plugin: object) -> list[str]:
        callers = self._pluggy.get_hookcallers(plugin) or []
        return sorted(caller.name for caller in callers)

    def _skip(self, name: str, distribution: str, reason: str) -> None:
        problem = PluginProblem(name, distribution or self._distribution_of(name), reason)
        self.problems.append(problem)
        if self.on_problem is not None:
            self.on_problem(problem)

    def _distribution_of(self, name: str) -> str:
        return next((plugin.distribution for plugin in self.plugins if plugin.name == name), "")

    # -- components ------------------------------------------------------------------------------

    def _collect(self, hook_name: str, kind: type[ComponentT]) -> dict[str, ComponentT]:
        """Components by name, aliases excluded.

        A name that two plugins claim belongs to neither: looking it up is an error that names both.
        """
        found: dict[str, ComponentT] = {}
        owner: dict[str, str] = {}
        caller: pluggy.HookCaller = getattr(self.hook, hook_name)
        for implementation in caller.get_hookimpls():
            for component in self._components_of(implementation, kind):
                clash = False
                for name in names_of(component):
                    first = owner.setdefault(name, implementation.plugin_name)
                    if found.get(name) is not None or first != implementation.plugin_name:
                        self._clash(kind, name, first, implementation.plugin_name)
                        clash = True
                if not clash:
                    found.update(dict.fromkeys(names_of(component), component))
        components = {component.name: component for component in found.values()}
        clashing = {name for k, name in self._clashes if k == kind.__name__}
        return {n: c for n, c in components.items() if not clashing.intersection(names_of(c))}

    def _clash(self, kind: type[Any], name: str, first: str, second: str) -> None:
        what = f"two plugins provide a {kind.__name__.lower()} called {name!r}: {first} and {second}"
        self._clashes[kind.__name__, name] = f"{what}; leave one out with --no-plugin {second}"
        self._skip(second, "", what)

    def _lookup(
        self, kind: type[Any], components: dict[str, ComponentT], name: str, called: str
    ) -> ComponentT:
        if (clash := self._clashes.get((kind.__name__, name.lower()))) is not None:
            raise HarnessError(clash)
        by_name = {alias: component for component in components.values() for alias in names_of(component)}
        if name.lower() not in by_name:
            raise HarnessError(f"no {called} is called {name!r}: {closest(name, by_name)}")
        return by_name[name.lower()]

    def _components_of(
        self, implementation: pluggy.HookImpl, kind: type[AnyT], name: str = "name"
    ) -> Iterator[AnyT]:
        try:
            components: list[Any] = list(implementation.function())  # type: ignore[call-overload]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code
            self._skip(
                implementation.plugin_name, "", f"{implementation.function.__name__}: {one_line(error)}"
            )
            return
        for component in components:
            if isinstance(component, kind) and isinstance(getattr(component, name, None), str):
                yield component
            else:
                self._skip(
                    implementation.plugin_name,
                    "",
                    f"{implementation.function.__name__} gave {component!r:.60}, not a {kind.__name__} with a {name}",
                )

    @cached_property
    def models(self) -> dict[str, Model]:
        return self._collect("harness_models", Model)

    @cached_property
    def benchmarks(self) -> dict[str, Benchmark]:
        return self._collect("harness_benchmarks", Benchmark)  # type: ignore[type-abstract]

    @cached_property
    def protocols(self) -> dict[str, SamplingProtocol]:
        return self._collect("harness_protocols", SamplingProtocol)

    @cached_property
    def normalizers(self) -> dict[str, Normalizer]:
        return self._collect("harness_normalizers", Normalizer)  # type: ignore[type-abstract]

    @cached_property
    def samplers(self) -> dict[str, Sampler]:
        return self._collect("harness_samplers", Sampler)  # type: ignore[type-abstract]

    @cached_property
    def clusters(self) -> dict[str, Cluster]:
        return self._collect("harness_clusters", Cluster)  # type: ignore[type-abstract]

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        return self._collect("harness_metrics", Metric)  # type: ignore[type-abstract]

    @cached_property
    def trainers(self) -> dict[str, Trainer]:
        return self._collect("harness_trainers", Trainer)  # type: ignore[type-abstract]

    @cached_property
    def reporters(self) -> dict[str, Reporter]:
        return self._collect("harness_reporters", Reporter)  # type: ignore[type-abstract]

    @cached_property
    def importers(self) -> dict[str, Importer]:
        return self._collect("harness_importers", Importer)  # type: ignore[type-abstract]

    @cached_property
    def published(self) -> list[Published]:
        """Published figures, in the order in which plugins give them."""
        rows: list[Published] = []
        for implementation in self.hook.harness_published.get_hookimpls():
            rows += self._components_of(implementation, Published, "model")
        return rows

    def normalizer(self, name: str) -> Normalizer:
        return self._lookup(Normalizer, self.normalizers, name, "normalizer")

    def protocol(self, name: str) -> SamplingProtocol:
        return self._lookup(SamplingProtocol, self.protocols, name, "protocol")

    def sampler(self, name: str) -> Sampler:
        return self._lookup(Sampler, self.samplers, name, "sampler")

    def cluster(self, name: str) -> Cluster:
        return self._lookup(Cluster, self.clusters, name, "cluster")

    def reporter(self, name: str) -> Reporter:
        return self._lookup(Reporter, self.reporters, name, "report format")

    def importer(self, name: str) -> Importer:
        return self._lookup(Importer, self.importers, name, "importer")

    def benchmark(self, text: str) -> Benchmark:
        """The benchmark that `name`, `name:key=value,...` or `name:word` asks for.

        Raises:
            HarnessError: an unknown name (with the closest ones) or parameter.
        """
        name, _, tail = text.partition(":")
        benchmark = self._lookup(Benchmark, self.benchmarks, name, "benchmark")
        settings: dict[str, str] = {}
        for part in filter(None, tail.split(",")):
            key, equals, value = part.partition("=")
            if not equals and benchmark.positional is not None and benchmark.positional not in settings:
                key, equals, value = benchmark.positional, "=", part
            if not equals:
                raise HarnessError(f"benchmark {text!r}: {part!r} is not key=value")
            settings[key.strip()] = value.strip()
        return benchmark.configured(**settings) if settings else benchmark

    def commands(self) -> dict[str, click.Command]:
        """Extra subcommands by name."""
        import click

        found: dict[str, click.Command] = {}
        for implementation in self.hook.harness_commands.get_hookimpls():
            for command in self._components_of(implementation, click.Command):
                found.setdefault(str(command.name), command)
        return found

    # -- listening -------------------------------------------------------------------------------

    def tell(self, event: str, on_error: Callable[[str], None], **facts: Any) -> None:
        """Call every listener of an event; one that fails is reported and the others still hear it."""
        caller: pluggy.HookCaller = getattr(self.hook, event)
        for implementation in caller.get_hookimpls():
            arguments = {name: facts[name] for name in implementation.argnames if name in facts}
            try:
                implementation.function(**arguments)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's code
                on_error(f"plugin {implementation.plugin_name} failed in {event}: {one_line(error)}")

    def hears(self, event: str) -> bool:
        """Whether anybody listens, so that hot loops can leave the call out."""
        caller: pluggy.HookCaller = getattr(self.hook, event)
        return bool(caller.get_hookimpls())


def _is_built_in(entry_point: EntryPoint) -> bool:
    return entry_point.dist is not None and entry_point.dist.name == BUILT_IN


def names_of(component: Named) -> list[str]:
    """The names under which a component is found, in lower case."""
    return [name.lower() for name in (component.name, *getattr(component, "aliases", ()))]


def hook_names() -> list[str]:
    """Names of all hooks that plugins may implement."""
    return [name for name in vars(hookspecs) if name.startswith("harness_")]


def load_plugins(block: Iterable[str] = ()) -> PluginManager:
    """The plugins of this process, narrowed by `HARNESS_LOAD_PLUGINS` (comma-separated) and `block`."""
    listed = os.environ.get("HARNESS_LOAD_PLUGINS")
    only = None if listed is None else [name.strip() for name in listed.split(",") if name.strip()]
    return PluginManager(block, only).load()
