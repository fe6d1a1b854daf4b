"""Chooses the sampler for a model, and says why."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

from .components import Opening, Sampler, SamplingSettings
from .config import EngineConfig
from .errors import HarnessError, UsageError, closest
from .models import ResolvedModel, resolve_model
from .plugins import PluginManager
from .text import printable


class Selection(NamedTuple):
    sampler: Sampler
    options: Mapping[str, str]
    model: ResolvedModel
    reason: str

    def opening(self, settings: SamplingSettings, longest_prompt: int = 0) -> Opening:
        """What opens the engine.

        Args:
            longest_prompt: bytes of the longest prompt that will come; 0 where that is not known.
        """
        settings = dataclasses.replace(settings, longest_prompt=longest_prompt)
        return Opening(self.sampler, self.model, settings, self.options)


_FLAGS = ("chains", "base_url", "max_in_flight", "model_args", "device")
"""Sampler options that have flags of their own."""


def select(config: EngineConfig, plugins: PluginManager) -> Selection:
    """The sampler and the model that are asked for.

    Raises:
        HarnessError: unknown names, a model that is nowhere to be had, or no sampler that can run it.
    """
    if config.sampler == "auto":
        _refuse_flags_of_others(config, plugins)
        model = _on_this_machine_or_hub(_resolve(config, plugins))
        sampler, reason = _best(plugins, model)
        options = _options(config, sampler)
        return Selection(sampler, options, model, reason)
    name, _, variant = config.sampler.partition(":")
    sampler = plugins.sampler(name)
    if variant and "variant" not in sampler.options:
        raise HarnessError(f"sampler {sampler.name} has no variants: leave out {':' + variant!r}")
    options = _options(config, sampler)
    if sampler.needs_weights:
        model = _on_this_machine_or_hub(_resolve(config, plugins))
    else:
        label = config.model or sampler.default_model(options)
        if label is None:
            raise UsageError("--model is missing: give the name under which the results are to stand")
        model = ResolvedModel(name=printable(label))
    return Selection(sampler, options, model, "asked for")


def _refuse_flags_of_others(config: EngineConfig, plugins: PluginManager) -> None:
    """A flag that only samplers without weights read means one of those, and the user has to say which."""
    for flag in _FLAGS:
        takers = [sampler.name for sampler in plugins.samplers.values() if flag in sampler.options]
        own = any(sampler.needs_weights for sampler in plugins.samplers.values() if flag in sampler.options)
        if getattr(config, flag) is not None and not own:
            named = " or ".join(f"--sampler {name}" for name in takers) or "there is none here"
            raise HarnessError(f"--{flag.replace('_', '-')} needs a sampler that reads it: add {named}")


def _resolve(config: EngineConfig, plugins: PluginManager) -> ResolvedModel:
    if config.model is None:
        raise UsageError("--model is missing: give a folder, a .gguf file, a Hub id or a known name")
    model = resolve_model(config.model, plugins.models.values())
    return dataclasses.replace(model, name=printable(model.name))


def _on_this_machine_or_hub(model: ResolvedModel) -> ResolvedModel:
    """The model, with the commit that its repository stands at; fails in seconds where it cannot be had."""
    if model.repo is None or (model.known is not None and model.known.gguf is not None):
        return model
    from .hub import file

    config = file(model.repo, "config.json", model.revision)
    commit = config.parent.name  # the Hub's cache keeps each commit in a folder of its name
    return dataclasses.replace(model, revision=model.revision or commit)


def _options(config: EngineConfig, sampler: Sampler) -> dict[str, str]:
    options = dict(config.sampler_options)
    options |= {name: str(value) for name in _FLAGS if (value := getattr(config, name)) is not None}
    if variant := config.sampler.partition(":")[2]:
        options["variant"] = variant
    for name in options:
        if name not in sampler.options:
            hint = closest(name, sampler.options) if sampler.options else "it has none"
            raise HarnessError(f"sampler {sampler.name} has no option {name!r}: {hint}")
    return options


def _best(plugins: PluginManager, model: ResolvedModel) -> tuple[Sampler, str]:
    fits = [(sampler.fit(model), sampler) for sampler in plugins.samplers.values()]
    fit, sampler = max(fits, key=lambda pair: pair[0].score)
    if fit.score <= 0:
        reasons = "; ".join(f"{s.name}: {f.reason}" for f, s in fits if f.reason)
        raise HarnessError(f"no sampler here can run {model.name}: {reasons}")
    return sampler, fit.reason
