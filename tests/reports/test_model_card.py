"""The report for a model's page on the Hub, as the Hub's own library reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import yaml
from huggingface_hub.repocard_data import model_index_to_eval_results

from harness import HarnessError
from harness.plugins import PluginManager
from harness.report import Report

from .made import HOSTILE, make_run, report_of, solving

COMMIT = "633f5ee89ab8ad4522a9f850766b73f62147ffdd"
FROM_HUB = {"benchmark": {"origin": f"hub:Idavidrein/gpqa/gpqa_diamond@{COMMIT}[train]"}}


def card(plugins: PluginManager, report: Report) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(plugins.reporter("model-card").render(report))["model-index"]
    return found


def test_the_hub_reads_the_scores(plugins: PluginManager, tmp_path: Path) -> None:
    result = make_run(tmp_path, "me/mine", solving(0.5), "gpqa-diamond", info=FROM_HUB)
    name, results = model_index_to_eval_results(card(plugins, report_of(result)))
    assert name == "me/mine"
    by_metric = {item.metric_type: item for item in results}
    assert set(by_metric) == {"pass@1", "cons@4"}
    pass1 = by_metric["pass@1"]
    assert pass1.metric_value == 50.0
    assert pass1.task_type == "text-generation"
    assert (pass1.dataset_name, pass1.dataset_type) == ("gpqa-diamond", "Idavidrein/gpqa")
    assert (pass1.dataset_config, pass1.dataset_split, pass1.dataset_revision) == (
        "gpqa_diamond",
        "train",
        COMMIT,
    )
    assert pass1.verified is False
    assert pass1.metric_args["n"] == 4
    assert pass1.metric_args["stderr"] == pytest.approx(9.28, abs=0.01)


def test_it_goes_into_a_card(plugins: PluginManager, tmp_path: Path) -> None:
    text = plugins.reporter("model-card").render(report_of(make_run(tmp_path, "m", solving(0.5))))
    data = huggingface_hub.ModelCard(f"---\n{text}---\n# My model\n").data
    assert [item.metric_value for item in data.eval_results] == [50.0, 50.0]


def test_rows_from_a_file_are_of_the_data_set_without_its_commit(
    plugins: PluginManager, tmp_path: Path
) -> None:
    info = {"benchmark": {"origin": "/home/me/secret/aime25.jsonl sha256:00"}}
    text = plugins.reporter("model-card").render(
        report_of(make_run(tmp_path, "m", solving(0.5), "aime25", info=info))
    )
    (dataset,) = [result["dataset"] for result in yaml.safe_load(text)["model-index"][0]["results"]]
    assert dataset == {"name": "aime25", "type": "MathArena/aime_2025", "split": "train"}
    assert "secret" not in text
    assert str(tmp_path) not in text


def test_a_benchmark_of_nobodys_is_named_as_it_is(plugins: PluginManager, tmp_path: Path) -> None:
    (entry,) = card(plugins, report_of(make_run(tmp_path, "m", ["cw"] * 2, "fresh:level=2")))
    assert entry["results"][0]["dataset"] == {"name": "fresh:level=2", "type": "fresh"}


def test_the_baseline_alone_where_there_is_one_else_every_model(
    plugins: PluginManager, tmp_path: Path
) -> None:
    runs = [make_run(tmp_path, name, ["cw"] * 2) for name in ("a", "b")]
    assert [entry["name"] for entry in card(plugins, report_of(*runs))] == ["a", "b"]
    assert [entry["name"] for entry in card(plugins, report_of(*runs, baseline="b"))] == ["b"]


def test_names_stay_names(plugins: PluginManager, tmp_path: Path) -> None:
    (entry,) = card(plugins, report_of(make_run(tmp_path, HOSTILE, ["cw"] * 2, temperature=None)))
    assert entry["name"] == HOSTILE.replace("\n", " ")
    assert "temperature" not in entry["results"][0]["metrics"][0]["args"]


def test_without_a_measured_model_there_is_no_card(plugins: PluginManager) -> None:
    with pytest.raises(HarnessError, match="needs a measured model"):
        plugins.reporter("model-card").render(report_of(published=plugins.published))


def test_files_for_the_leaderboards_lie_beside_the_card(plugins: PluginManager, tmp_path: Path) -> None:
    parse = getattr(huggingface_hub, "parse_eval_result_entries", None)
    if parse is None:
        pytest.skip("this huggingface_hub does not know .eval_results/")
    runs = [
        make_run(tmp_path, "m", solving(0.5), "gpqa-diamond", info=FROM_HUB),
        make_run(tmp_path, "m", solving(0.5), "gpqa-diamond:order=published", info=FROM_HUB),
        make_run(tmp_path, "m", solving(0.5), "fresh"),
    ]
    _, files = plugins.reporter("model-card").render_file(report_of(*runs), tmp_path / "card.yaml")
    # Another order of the choices is another benchmark than the leaderboard's, and made-up problems have none.
    assert set(files) == {".eval_results/gpqa-diamond.yaml"}
    (entry,) = parse(yaml.safe_load(files[".eval_results/gpqa-diamond.yaml"]))
    assert (entry.dataset_id, entry.task_id, entry.dataset_revision) == (
        "Idavidrein/gpqa",
        "gpqa_diamond",
        COMMIT,
    )
    assert entry.value == 50.0
    assert entry.notes.startswith("pass@1 50.00 ± 9.28, 30 problems, 4 chains, ")


def test_several_models_have_a_folder_each(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, ["cw"] * 2, "aime25") for name in ("me/a", "me_a", "../../b")]
    _, files = plugins.reporter("model-card").render_file(report_of(*runs), tmp_path / "card.yaml")
    assert set(files) == {f"{folder}/.eval_results/aime25.yaml" for folder in ("me_a", "me_a_2", "b")}
