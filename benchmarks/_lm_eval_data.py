"""Where a task of lm-eval has its documents from: files of the user's folder, the cache, or the Hub."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import HarnessError, hub
from harness.errors import one_line
from harness.rowfiles import SUFFIXES

from ._lm_eval_tasks import OWN, Config, Definition, build

if TYPE_CHECKING:
    from harness.data import DataSource

_FILE_FORMATS = frozenset({"json", "csv", "parquet", "text", "arrow"})
"""Names that `datasets` has for formats of local files, in the place of a data set's name."""


def dataset_name(config: Config) -> str:
    path = config.get("dataset_path") or getattr(config.get("class"), "DATASET_PATH", None) or ""
    name = config.get("dataset_name") or getattr(config.get("class"), "DATASET_NAME", None)
    return f"{path}/{name}" if name else str(path)


def task_of(
    definition: Definition, config: Config, dataset: str, fewshot: int | None, data: DataSource
) -> Any:
    """The task object, from local files where there are any."""
    path = config.get("dataset_path")
    if path in _FILE_FORMATS or (path and Path(path).is_dir()) or config.get("custom_dataset"):
        if definition.place == OWN:
            config = _anchored(config, definition.path.parent, data)
        return build(config)
    if (splits := _local_splits(definition, config, fewshot, data)) is not None:
        return build(config, splits=splits)
    data.origins.append(f"hub:{dataset}")
    with _cache_only_if_unreachable() as unreachable:
        try:
            return build(config)
        except (OSError, ValueError, RuntimeError) as error:
            why = f"the Hub cannot be reached: {unreachable}" if unreachable else one_line(error)
            stem = f"{definition.name}_{_eval_split(config)}"
            files = f"give its rows, columns as on the Hub, as {stem}.jsonl in a folder with --data DIR, or "
            raise HarnessError(
                f"lm-eval:{definition.name}: its data set {dataset} cannot be loaded ({why}): "
                f"{files if _eval_split(config) else ''}set HF_HOME to a cache that has it"
            ) from error


def _eval_split(config: Config) -> str | None:
    split = config.get("test_split") or config.get("validation_split")
    return str(split) if split else None


class _Splits(dict[str, Any]):
    """Splits of a data set from local files; says which file is missing."""

    def __init__(self, splits: Mapping[str, Any], missing: str) -> None:
        super().__init__(splits)
        self._missing = missing

    def __missing__(self, split: str) -> Any:
        raise HarnessError(self._missing.format(split=split))


def _local_splits(
    definition: Definition, config: Config, fewshot: int | None, data: DataSource
) -> Mapping[str, Any] | None:
    """Splits from files of the user's folder that are called after the task or its data set."""
    split = _eval_split(config)
    if data.folder is None or split is None:
        return None
    import datasets

    path = str(config.get("dataset_path") or "").rpartition("/")[2]
    bases = list(dict.fromkeys(filter(None, (definition.name, path, config.get("dataset_name")))))
    stem = _present(data.folder, [*(f"{base}_{split}" for base in bases), *bases])
    if stem is None:
        return None
    splits = {split: datasets.Dataset.from_list(list(data.rows(stem)))}
    for other in {config.get("training_split"), config.get("fewshot_split"), *_fewshot_split(config)} - {
        None,
        split,
    }:
        name = str(other)
        if (found := _present(data.folder, [f"{base}_{name}" for base in bases])) is not None:
            splits[name] = datasets.Dataset.from_list(list(data.rows(found)))
        elif not fewshot:
            splits[name] = splits[split]  # opened by the task, and shown to nobody
    return _Splits(
        splits,
        f"lm-eval:{definition.name} takes its examples from the split {{split}}: add {bases[0]}_{{split}}.jsonl to "
        f"{data.folder}, or ask without examples (lm-eval:{definition.name},fewshot=0)",
    )


def _fewshot_split(config: Config) -> tuple[str | None, ...]:
    settings = config.get("fewshot_config")
    return (settings.get("split"),) if isinstance(settings, dict) else ()


def _present(folder: Path, stems: list[str]) -> str | None:
    """The first stem of which the folder has a data file."""
    return next((stem for stem in stems if any((folder / f"{stem}{s}").is_file() for s in SUFFIXES)), None)


def _anchored(config: Config, folder: Path, data: DataSource) -> Config:
    """With data files beside the task's file found from wherever the command runs, and their digests noted."""

    def anchor(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: anchor(inner) for key, inner in value.items()}
        if isinstance(value, list):
            return [anchor(inner) for inner in value]
        beside = folder / str(value)
        if not isinstance(value, str) or "://" in value:
            return value
        found = beside if beside.is_file() else Path(value)
        if found.is_file():
            with found.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            data.origins.append(f"{found} sha256:{digest}")
        return str(found)

    kwargs = dict(config.get("dataset_kwargs") or {})
    if "data_files" not in kwargs:
        return config
    return {**config, "dataset_kwargs": {**kwargs, "data_files": anchor(kwargs["data_files"])}}


@contextlib.contextmanager
def _cache_only_if_unreachable() -> Iterator[str | None]:
    """Where the Hub does not answer in seconds, only the cache is looked at: its client retries for minutes.

    Yields why it does not answer.
    """
    reason = hub.reachable()
    if reason is None:
        yield None
        return
    import datasets.config
    import huggingface_hub.constants

    places: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [place.HF_HUB_OFFLINE for place in places]
    for place in places:
        place.HF_HUB_OFFLINE = True
    try:
        yield reason
    finally:
        for place, value in zip(places, before, strict=True):
            place.HF_HUB_OFFLINE = value
