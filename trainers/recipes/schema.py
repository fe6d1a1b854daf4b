"""What a recipe's file may say. How files become recipes, with errors that name file, stage and key: reading.py."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from harness import closest

BASE: Final = "base"
"""What a stage starts from that starts from the recipe's base model."""

Kind = Literal["measured", "published", "derived", "estimated", "chosen"]
KINDS: Final[tuple[Kind, ...]] = ("measured", "published", "derived", "estimated", "chosen")
"""Where a figure comes from: measured here, published by the authors, computed from what is published, estimated
before anything ran, or chosen by whoever wrote the recipe."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_EXPONENT: Final = re.compile(r"[-+]?\d+(?:\.\d*)?[eE][-+]?\d{1,3}")

Value = bool | int | float | str | None
Setting = Value | list[Any] | dict[str, Any]


def checked_name(name: str) -> str:
    """
    Raises:
        ValueError: it would not do as the name of a folder, or as half of RECIPE:STAGE.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("a name has letters, digits and . _ - in it, and begins with a letter or digit")
    return name


def _not_base(name: str) -> str:
    if name == BASE:
        raise ValueError(f"no stage is called {BASE}: that is the model which the recipe starts from")
    return name


def _as_numbers(value: object) -> object:
    """YAML takes 1e-5, without a point, for a text."""
    if isinstance(value, str) and _EXPONENT.fullmatch(value) and math.isfinite(number := float(value)):
        return number
    if isinstance(value, dict):
        return {key: _as_numbers(inner) for key, inner in value.items()}
    return [_as_numbers(inner) for inner in value] if isinstance(value, list) else value


def _as_names(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _parent(name: str) -> str:
    for part in name.split(":", 1):
        checked_name(part)
    return name


Name = Annotated[str, AfterValidator(checked_name)]
Parent = Annotated[str, AfterValidator(_parent)]
Text = Annotated[str, Field(min_length=1, max_length=2000)]
Settings = Annotated[dict[str, Setting], BeforeValidator(_as_numbers)]


class Strict(BaseModel):
    """Frozen, without unknown keys, and without infinities."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, strict=True)


class Sampled(Strict):
    """Chains of a model on the problems of a benchmark, graded: what pass rates and shortest chains are taken from."""

    model: Parent = BASE
    """`base`, a stage of this recipe, or RECIPE:STAGE."""
    n: Annotated[int, Field(ge=1, le=10_000)] = 8
    temperature: Annotated[float, Field(ge=0, le=10)] = 0.6
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.95
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] = 16_384
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    sampler: Text | None = None


class Data(Strict):
    """What a stage is trained on."""

    source: Annotated[tuple[Text, ...] | None, Field(strict=False), BeforeValidator(_as_names)] = None
    """Files, folders, Hub ids or benchmarks, one after the other; None: to be named where the recipe is used."""
    sample: Sampled | None = None
    """None: the source has chains of its own (or its problems' worked solutions), or none are needed."""
    size: Annotated[int | None, Field(ge=1)] = None
    """Examples."""
    filters: Settings = {}
    """What is true of each of them, as names and values; those that can be looked at are applied (docs/training.md)."""
    sort: Text | None = None
    """Column by whose values the examples are put in order, low to high, before training; None: as they come."""


class Hardware(Strict):
    """What a stage runs on. In a stage: what differs from the recipe's."""

    device: Text | None = None
    devices: Annotated[int | None, Field(ge=1, le=1_000_000)] = None
    usd_per_hour: Annotated[float | None, Field(ge=0, lt=1e9)] = None
    """Of one device."""

    def over(self, other: Hardware) -> Hardware:
        """These settings on top of the other ones."""
        return Hardware.model_construct(**{**other.model_dump(), **self.model_dump(exclude_none=True)})


class Evaluate(Strict):
    """How checkpoints are evaluated, in the words of a run file. In a stage: what differs from the recipe's."""

    bench: Annotated[tuple[Text, ...] | None, Field(strict=False)] = None
    """Benchmarks; an empty list: this checkpoint is not evaluated."""
    n: Annotated[int | None, Field(ge=1, le=100_000)] = None
    protocol: Text | None = None
    temperature: Annotated[float | None, Field(ge=0, le=10)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**63)] = None
    limit: Annotated[int | None, Field(ge=1)] = None
    sampler: Text | None = None
    sampler_options: dict[str, Value] | None = None
    saves: bool | None = None
    """Whether the checkpoints on the way (`save_strategy`, `save_steps`) are evaluated too, not only the last one."""

    def over(self, other: Evaluate) -> Evaluate:
        """These settings on top of the other ones."""
        return Evaluate.model_construct(**{**other.model_dump(), **self.model_dump(exclude_none=True)})

    def flags(self) -> dict[str, Any]:
        """What `harness.config.load_config` takes: name of the flag -> value, of those that are given."""
        return self.model_dump(exclude_none=True, exclude={"saves"})


class Provenance(Strict):
    """Where figures come from: key, or several with commas between, -> where that stands, or why it was chosen."""

    measured: dict[str, Text] = {}
    published: dict[str, Text] = {}
    derived: dict[str, Text] = {}
    estimated: dict[str, Text] = {}
    chosen: dict[str, Text] = {}

    def by_key(self) -> dict[str, tuple[Kind, str]]:
        """Key -> kind and text.

        Raises:
            ValueError: a key stands twice.
        """
        found: dict[str, tuple[Kind, str]] = {}
        for kind in KINDS:
            for keys, text in getattr(self, kind).items():
                for key in (part.strip() for part in keys.split(",")):
                    if key in found:
                        raise ValueError(f"source: {key} is said to be {found[key][0]} and {kind}: keep one")
                    found[key] = (kind, text)
        return found

    def check(self, known: Mapping[str, object]) -> None:
        """
        Raises:
            ValueError: it speaks of a key that is not there.
        """
        for key in self.by_key():
            if key not in known:
                raise ValueError(f"source: {key!r:.60} is no key that is set here: {closest(key, known)}")


class Stage(Strict):
    """One run of a trainer."""

    trainer: Name
    init_from: Annotated[tuple[Parent, ...], BeforeValidator(_as_names), Field(strict=False, max_length=64)]
    """`base`, a stage of this recipe, or RECIPE:STAGE; several where models are merged; an empty list where a model
    is made from nothing."""
    title: Text | None = None
    """What its checkpoint is called in tables; None: RECIPE:STAGE."""
    description: Annotated[str, Field(max_length=2000)] = ""
    """What is done, as the column "made from" says it."""
    data: Data | None = None
    parameters: Settings = {}
    hardware: Hardware = Hardware()
    checkpoint: bool = True
    """Whether its model is a checkpoint of its own: evaluated, and a row of the cost table."""
    device_hours: Annotated[float | None, Field(ge=0, lt=1e12)] = None
    """Of this stage alone; None: not known."""
    evaluate: Evaluate | None = None
    source: Provenance = Provenance()

    def figures(self) -> dict[str, object]:
        """Everything that is set and comes from somewhere: parameters under their own names, others with dots."""
        found: dict[str, object] = dict(self.parameters)
        if self.device_hours is not None:
            found["device_hours"] = self.device_hours
        if self.data is not None:
            found |= _dotted("data", self.data.model_dump(exclude={"filters", "sample"}))
            if self.data.sample is not None:
                found |= _dotted("data.sample", self.data.sample.model_dump(exclude_unset=True))
            found |= _dotted("data.filters", self.data.filters)
        found |= _dotted("hardware", self.hardware.model_dump())
        return found | _dotted("evaluate", self.evaluate.model_dump() if self.evaluate else {})

    @property
    def samples_from(self) -> str | None:
        """The model whose chains its data is made of: `base`, a stage, or None where nothing is sampled."""
        return self.data.sample.model if self.data is not None and self.data.sample is not None else None

    @property
    def unsourced(self) -> list[str]:
        """Figures of which the recipe does not say where they come from."""
        return sorted(self.figures().keys() - self.source.by_key().keys())

    @model_validator(mode="after")
    def _is_sound(self) -> Stage:
        if len(set(self.init_from)) < len(self.init_from):
            raise ValueError("init_from names a stage twice")
        if self.trainer == "merge" and len(self.init_from) < 2:
            raise ValueError("init_from is one model: a merge takes a list of at least two stages")
        self.source.check(self.figures())
        return self


class Recipe(Strict):
    """One recipe, as its file says it."""

    name: Name
    description: Annotated[str, Field(max_length=2000)] = ""
    base: Text | None = None
    """Model that it starts from: a known name, a Hub id or a folder; None where its first stage makes one."""
    hardware: Hardware = Hardware()
    evaluate: Evaluate | None = None
    stages: Annotated[
        dict[Annotated[Name, AfterValidator(_not_base)], Stage], Field(min_length=1, max_length=200)
    ]
    source: Provenance = Provenance()

    def figures(self) -> dict[str, object]:
        """As those of a stage, of what is said for all stages."""
        found = {
            **({"base": self.base} if self.base else {}),
            **_dotted("hardware", self.hardware.model_dump()),
        }
        return found | _dotted("evaluate", self.evaluate.model_dump() if self.evaluate else {})

    @property
    def unsourced(self) -> list[str]:
        """Figures of which the recipe does not say where they come from, those of its stages as `STAGE: KEY`."""
        own = sorted(self.figures().keys() - self.source.by_key().keys())
        return own + [f"{name}: {key}" for name, stage in self.stages.items() for key in stage.unsourced]

    @model_validator(mode="after")
    def _is_sound(self) -> Recipe:
        self.source.check(self.figures())
        for name, stage in self.stages.items():
            named = {"init_from": BASE in stage.init_from, "data.sample.model": stage.samples_from == BASE}
            if self.base is None and any(named.values()):
                key = next(key for key, is_base in named.items() if is_base)
                raise ValueError(
                    f"stage {name}: {key} says {BASE}, and the recipe has no `base`: name a model"
                )
        return self


def _dotted(prefix: str, values: Mapping[str, object]) -> dict[str, object]:
    return {f"{prefix}.{key}": value for key, value in values.items() if value is not None}
