"""What a run is asked to do: a YAML run file, the command line, or both, with the command line on top."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from .errors import HarnessError, UsageError, closest


def _as_list(value: object) -> object:
    """`aime25,hmmt25` means two benchmarks; a comma inside `fresh:level=1,seed=7` does not.

    >>> _as_list("aime25,fresh:level=1,seed=7,hmmt25")
    ['aime25', 'fresh:level=1,seed=7', 'hmmt25']
    """
    if not isinstance(value, str):
        return value
    names: list[str] = []
    for part in value.split(","):
        if "=" in part and ":" not in part and names and ":" in names[-1]:
            names[-1] += f",{part}"
        elif part.strip():
            names.append(part.strip())
    return names


def _as_text(value: object) -> object:
    return {str(k): str(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _as_prices(value: object) -> object:
    """`0.5,2` is what a million prompt tokens and a million completion tokens cost; `2` is for both."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return (value, value)
    if isinstance(value, str):
        parts = value.split(",")
        return parts * 2 if len(parts) == 1 else parts
    return value


UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]


ConfigT = TypeVar("ConfigT", bound=BaseModel)


class EngineConfig(BaseModel):
    """Which model is to answer, and on what engine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str | None = None
    sampler: str = "auto"
    sampler_options: Annotated[dict[str, str], BeforeValidator(_as_text)] = {}
    chains: UserPath | None = None
    base_url: str | None = None
    max_in_flight: Annotated[int | None, Field(ge=1, le=100_000)] = None
    model_args: str | None = None
    device: str | None = None


class SamplingConfig(EngineConfig):
    """How it is asked. Fields that are None take the protocol's value."""

    protocol: str = "deepseek-r1"
    temperature: Annotated[float | None, Field(ge=0, le=10, allow_inf_nan=False)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1, le=10_000_000)] = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class RunConfig(SamplingConfig):
    """One `harness run`."""

    bench: Annotated[list[str], BeforeValidator(_as_list), Field(min_length=1)]
    n: Annotated[int | None, Field(ge=1, le=100_000)] = None
    replicas: Annotated[int | None, Field(ge=1, le=10_000)] = None
    ray_address: str | None = None
    stop_when_decided: bool = False
    usd_per_hour: Annotated[float | None, Field(ge=0, allow_inf_nan=False)] = None
    usd_per_mtok: Annotated[tuple[Usd, Usd] | None, BeforeValidator(_as_prices)] = None
    prices: UserPath | None = None
    data: UserPath | None = None
    limit: Annotated[int | None, Field(ge=1)] = None
    results: UserPath = Path("results")
    allow_modified_data: bool = False
    grading_deadline: Annotated[float, Field(gt=0, le=3600)] = 5.0


def load_config(file: Path | None, flags: Mapping[str, Any]) -> RunConfig:
    """The run that a YAML file and the command line ask for together.

    Args:
        file: a YAML mapping with the names of the flags, `_` for `-`; or None.
        flags: values given on the command line; None means not given.

    Raises:
        HarnessError: an unreadable file, an unknown key (with the closest one) or a value out of range.
    """
    values = {} if file is None else read_yaml(file)
    where = f"{file}: " if file is not None else ""
    for key in values:
        if key not in RunConfig.model_fields:
            raise HarnessError(f"{where}unknown key {key!r}: {closest(str(key), RunConfig.model_fields)}")
    given = {key: value for key, value in flags.items() if value is not None}
    if "sampler_options" in given and isinstance(values.get("sampler_options"), dict):
        given["sampler_options"] = {**values["sampler_options"], **given["sampler_options"]}
    return _validated(RunConfig, values, given, where)


def sampling_config(flags: Mapping[str, Any]) -> SamplingConfig:
    """What the command line says of the model, its engine and how it is asked; None means not given.

    Raises:
        UsageError: a value out of range.
    """
    return _validated(
        SamplingConfig, {}, {key: value for key, value in flags.items() if value is not None}, ""
    )


def _validated(
    kind: type[ConfigT], values: Mapping[str, Any], given: Mapping[str, Any], where: str
) -> ConfigT:
    try:
        return kind.model_validate({**values, **given})
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        flag = "--" + key.split(".")[0].replace("_", "-")
        if first["type"] == "missing":
            raise UsageError(f"{flag} is missing: give it on the command line or in --config") from None
        what = f"{first['msg']}, got {first['input']!r:.80}"
        if key.split(".")[0] in given:
            raise UsageError(f"{flag}: {what}") from None
        raise HarnessError(f"{where}{key}: {what}") from None


def read_yaml(file: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping.

    Raises:
        HarnessError: it cannot be read, is not YAML, or holds something else.
    """
    try:
        with file.open(encoding="utf-8") as stream:
            values = yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError) as error:
        raise HarnessError(f"cannot read {file}: {error}") from None
    except (yaml.YAMLError, RecursionError) as error:
        raise HarnessError(f"{file} is not valid YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise HarnessError(f"{file}: it is to be a mapping of keys to values, not a {type(values).__name__}")
    return values
