"""fathom-small: fits where it says, trains on nothing that it is evaluated on, and says where its figures come from."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from harness import StageSize
from harness.config import load_config
from harness.plugins import PluginManager
from harness_trainers.planning import estimate_grpo, estimate_sft
from harness_trainers.recipes import Node, load_recipe, read_recipe, shipped

from .test_planning import QWEN_05B

GRAPH = load_recipe("fathom-small")


def test_every_figure_says_where_it_comes_from() -> None:
    assert read_recipe(shipped()["fathom-small"]).unsourced == []


def test_the_five_checkpoints_come_about_as_the_large_ones_do() -> None:
    assert [node.title for node in GRAPH.checkpoints()] == [
        "Fathom-Small-V0.6",
        "Fathom-Small-V0.4",
        "Fathom-Small-V0.4-RS",
        "Fathom-Small",
        "Fathom-Small-RS",
    ]
    large = load_recipe("fathom-r1-14b-v0.4-rs").nodes
    for small, of_large in (("v0.4", "sft"), ("rl", "rl")):
        ours = GRAPH.nodes[f"fathom-small:{small}"].stage
        theirs = large[f"fathom-r1-14b-v0.4-rs:{of_large}"].stage
        same = {"learning_rate", "loss_type", "num_generations", "beta", "epsilon", "temperature", "packing"}
        for name in same & set(theirs.parameters):
            assert ours.parameters[name] == theirs.parameters[name]
    curriculum = GRAPH.nodes["fathom-small:v0.6"].stage
    assert curriculum.data is not None
    assert curriculum.data.sort == "difficulty"
    assert curriculum.parameters["train_sampling_strategy"] == "sequential"


def test_both_merges_inherit_from_v06() -> None:
    for name, parents in (("merge", ["v0.6", "v0.4"]), ("merge-rs", ["v0.6", "v0.4-rs"])):
        assert list(GRAPH.nodes[f"fathom-small:{name}"].parents) == [
            f"fathom-small:{parent}" for parent in parents
        ]


def test_the_trainers_take_its_parameters_and_the_harness_its_evaluation(plugins: PluginManager) -> None:
    for node in GRAPH:
        plugins.trainers[node.stage.trainer].check(node.stage.parameters, len(node.stage.init_from))
        if node.evaluate is not None:
            run = load_config(None, {"model": "some", **node.evaluate.flags()})
            assert run.n == 16
            assert all(plugins.benchmark(bench).values["size"] == 100 for bench in run.bench)


def test_no_problem_is_trained_on_that_is_evaluated(plugins: PluginManager) -> None:
    """Seeds differ, and templates could still give the same problem twice."""

    def texts(benches: Any) -> set[str]:
        return {
            p.text for p in chain.from_iterable(plugins.benchmark(bench).problems(None) for bench in benches)
        }  # type: ignore[arg-type]

    evaluated = texts(GRAPH.recipes["fathom-small"].evaluate.bench)  # type: ignore[union-attr]
    sources = {
        bench for node in GRAPH if node.stage.data is not None for bench in node.stage.data.source or ()
    }
    assert len(evaluated) == 200
    assert not evaluated & texts(sources)


@pytest.mark.parametrize(
    "node", [node for node in GRAPH if node.stage.data is not None], ids=lambda node: node.name
)
def test_it_fits_on_a_gpu_of_24_gb(node: Node) -> None:
    estimate = estimate_grpo if node.stage.trainer == "grpo" else estimate_sft
    assert node.stage.data is not None
    found = estimate(
        StageSize(
            parameters=node.stage.parameters,
            config=QWEN_05B,
            weights=None,
            rows=node.stage.data.size,
            prompt_tokens=120.0,
            completion_tokens=250.0,
            device=node.hardware.device,
            devices=1,
        )
    )
    assert found.memory_bytes is not None
    assert found.memory_bytes < 21.6e9
    assert not [note for note in found.notes if "fit" in note or "tight" in note]
