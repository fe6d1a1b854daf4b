"""Reports for the Hugging Face Hub: the `model-index` block of a model card, and files for `.eval_results/`.

Formats: https://huggingface.co/docs/hub/model-cards (`model-index`, read by `huggingface_hub`) and
https://huggingface.co/docs/hub/eval-results.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Any, Final

import yaml

from harness import HarnessError, Reporter, hookimpl
from harness.report import Report, ReportRun
from harness.text import one_row

from .figures import protocol_of, value_and_error

_HUB: Final = re.compile(
    r"hub:(?P<id>[\w.-]+/[\w.-]+?)(?:/(?P<config>[\w.-]+))?@(?P<revision>[\w./-]+)\[(?P<split>[\w.:%-]+)\]"
)
_ID: Final = re.compile(r"[\w.-]+/[\w.-]+")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_HEAD: Final = "# Put this between the two --- lines at the top of the model's README.md on the Hub.\n"


@dataclass(frozen=True, slots=True)
class Dataset:
    """A benchmark's data set as the Hub knows it."""

    id: str
    """Hub id, or the benchmark's name where it is not from the Hub."""
    config: str | None = None
    split: str | None = None
    revision: str | None = None

    @property
    def on_hub(self) -> bool:
        return _ID.fullmatch(self.id) is not None


class ModelCard(Reporter):
    name = "model-card"
    endings = (".yaml", ".yml")
    description = (
        "the model-index block of a model card on the Hugging Face Hub; with -o, .eval_results/ beside it"
    )

    def render(self, report: Report) -> str:
        index = [_entry(model, runs) for model, runs in _models(report)]
        if not index:
            raise HarnessError("a model card needs a measured model: no finished run was found")
        return _HEAD + _yaml({"model-index": index})

    def render_file(self, report: Report, path: Path) -> tuple[str, Mapping[str, bytes]]:
        models = list(_models(report))
        if len(models) == 1:
            return self.render(report), dict(_eval_results(models[0][1]))
        files: dict[str, bytes] = {}
        folders: set[str] = set()
        for model, runs in models:
            folder = _free(_slug(model), folders)
            folders.add(folder)
            files |= {f"{folder}/{name}": data for name, data in _eval_results(runs)}
        return self.render(report), files


def _models(report: Report) -> Iterator[tuple[str, list[ReportRun]]]:
    """The baseline where there is one, else every measured model."""
    for model in report.models if report.baseline is None else [report.baseline]:
        yield model, [run for run in report.runs if run.model == model]


def _entry(model: str, runs: Sequence[ReportRun]) -> dict[str, Any]:
    return {"name": one_row(model), "results": [_result(run) for run in runs]}


def _result(run: ReportRun) -> dict[str, Any]:
    dataset = dataset_of(run)
    about = {"config": dataset.config, "split": dataset.split, "revision": dataset.revision}
    source = _source()
    return {
        "task": {"type": "text-generation"},
        "dataset": {"name": one_row(run.benchmark), "type": dataset.id, **_known(about)},
        "metrics": [_metric(run, metric, name) for metric, name in _metrics(run)],
        **({"source": source} if source else {}),
    }


def _metrics(run: ReportRun) -> Iterator[tuple[str, str]]:
    """Scores that a card shows: what they are called in the result, and what the reader calls them."""
    for metric, name in (("pass@1", "pass@1"), ("cons@k", f"cons@{run.result['n']}")):
        if metric in run.result["scores"]:
            yield metric, name


def _metric(run: ReportRun, metric: str, name: str) -> dict[str, Any]:
    """A score in percent, as the Hub's leaderboards have them."""
    score, result = run.result["scores"][metric], run.result
    args = {
        "stderr": None if score["stderr"] is None else _percent(score["stderr"]),
        "ci95": None if score["ci95"] is None else [_percent(end) for end in score["ci95"]],
        **{
            key: result[key]
            for key in ("problems", "n", "protocol", "temperature", "top_p", "max_tokens", "seed")
        },
    }
    return {
        "type": name,
        "name": f"{name}, {_setting(run)}",
        "value": _percent(score["value"]),
        "args": _known(args),
        "verified": False,
    }


def _setting(run: ReportRun) -> str:
    return one_row(f"{run.result['n']} chains, {protocol_of(run.result)}")


def _percent(share: float) -> float:
    return round(100 * share, 2)


def _known(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: one_row(value) if isinstance(value, str) else value
        for key, value in values.items()
        if value is not None
    }


def _eval_results(runs: Iterable[ReportRun]) -> Iterator[tuple[str, bytes]]:
    """File name and content for each run on a data set of the Hub: pass@1, which the leaderboards collect.

    A benchmark with parameters of its own is another one than the leaderboard's and has no file.
    """
    taken: set[str] = set()
    for run in runs:
        dataset, score = dataset_of(run), run.result["scores"].get("pass@1")
        if not dataset.on_hub or score is None or ":" in run.benchmark:
            continue
        stem = _free(_slug(run.benchmark), taken)
        taken.add(stem)
        entry: dict[str, Any] = {
            "dataset": {
                "id": dataset.id,
                "task_id": dataset.config or "default",
                **_known({"revision": dataset.revision}),
            },
            "value": _percent(score["value"]),
        }
        if source := _source():
            entry["source"] = source
        entry["notes"] = (
            f"pass@1 {value_and_error(score)}, {run.result['problems']} problems, {_setting(run)}"
        )
        yield f".eval_results/{stem}.yaml", _yaml([entry]).encode()


def dataset_of(run: ReportRun) -> Dataset:
    """Where the benchmark's rows are on the Hub, as the run or else the benchmark says."""
    about = run.info.get("benchmark")
    origin = str(about.get("origin", "")) if isinstance(about, Mapping) else ""
    name = run.benchmark.partition(":")[0]
    benchmark = _benchmarks().get(name)
    # Rows from a file of the user's have no revision of the Hub's, but the same data set.
    for text, read_there in ((origin, True), (str(getattr(benchmark, "hub", "")), False)):
        if (found := _HUB.fullmatch(text)) is not None:
            commit = found["revision"] if read_there and _COMMIT.fullmatch(found["revision"]) else None
            return Dataset(found["id"], found["config"], found["split"], commit)
    source = _ID.match(getattr(benchmark, "source", ""))
    return Dataset(source[0] if source else one_row(name))


@cache
def _benchmarks() -> Mapping[str, Any]:
    from harness.plugins import load_plugins

    return load_plugins().benchmarks


@cache
def _source() -> Mapping[str, str]:
    """Who measured; empty where the project has no address, which the Hub asks of a source."""
    try:
        urls = metadata("fathom-harness").get_all("Project-URL") or []
    except PackageNotFoundError:
        return {}
    addresses = [url.partition(", ")[2] for url in urls]
    return {"name": "fathom-harness", "url": addresses[0]} if addresses else {}


def _slug(name: str) -> str:
    """A name as a file's or folder's."""
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "model"


def _free(name: str, taken: Collection[str]) -> str:
    """The name, numbered where it is taken."""
    places = itertools.count(2)
    found = name
    while found in taken:
        found = f"{name}_{next(places)}"
    return found


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [ModelCard()]
