"""Recipes: what the shipped ones say and where it comes from, and how a recipe of one's own is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import HarnessError
from harness.config import load_config
from harness.plugins import PluginManager
from harness_trainers.recipes import load_recipe, load_recipes, read_recipe, shipped

FIVE = (
    "fathom-r1-14b",
    "fathom-r1-14b-rs",
    "fathom-r1-14b-v0.4",
    "fathom-r1-14b-v0.4-rs",
    "fathom-r1-14b-v0.6",
)
DOUBLE = {"device_hours": "said twice"}


def stage(**values: Any) -> dict[str, Any]:
    return {"trainer": "sft", "init_from": "base", **values}


def write(folder: Path, name: str = "mine", **values: Any) -> Path:
    path = folder / f"{name}.yaml"
    recipe = {"name": name, "base": "smollm2-135m", "stages": {"sft": stage()}, **values}
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return path


def error_of(path: Path | str) -> str:
    """The one line that a bad recipe is refused with."""
    with pytest.raises(HarnessError) as caught:
        load_recipe(path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    return text


# -- the shipped ones ------------------------------------------------------------------------------


def test_the_five_published_checkpoints_are_there() -> None:
    assert set(FIVE) <= set(shipped())


@pytest.mark.parametrize("name", FIVE)
def test_every_figure_of_a_shipped_recipe_says_where_it_comes_from(name: str) -> None:
    recipe = read_recipe(shipped()[name])
    assert recipe.name == name
    assert recipe.unsourced == []
    assert all(one.parameters for one in recipe.stages.values())


@pytest.mark.parametrize("name", FIVE)
def test_what_a_shipped_recipe_names_exists(name: str, plugins: PluginManager) -> None:
    graph = load_recipe(name)
    for node in graph:
        assert node.recipe.base in plugins.models
        evaluate = node.evaluate
        assert (evaluate is not None) == node.stage.checkpoint
        if evaluate is not None:
            run = load_config(None, {"model": "some", **evaluate.flags()})
            assert run.n == 64
            assert plugins.protocol(run.protocol).max_tokens == 16_384
            assert [plugins.benchmark(bench).name for bench in run.bench] == run.bench


@pytest.mark.parametrize(("trainer", "config"), [("sft", "SFTConfig"), ("grpo", "GRPOConfig")])
def test_settings_are_those_of_trl(tmp_path: Path, trainer: str, config: str) -> None:
    """By name and by value, but for what needs a GPU."""
    trl = pytest.importorskip("trl")
    here: dict[str, Any] = {"output_dir": str(tmp_path), "use_cpu": True, "bf16": False}
    if trainer == "grpo":
        here["use_vllm"] = False
    for name in FIVE:
        for one in read_recipe(shipped()[name]).stages.values():
            if one.trainer == trainer:
                made = getattr(trl, config)(**{**one.parameters, **here})
                assert made.learning_rate == one.parameters["learning_rate"]


def test_the_curriculum_goes_from_easy_to_hard_in_each_epoch() -> None:
    """Packing and shuffling would both undo the order."""
    sft = read_recipe(shipped()["fathom-r1-14b-v0.6"]).stages["sft"]
    assert sft.data is not None
    assert (sft.data.size, sft.data.sort) == (5000, "difficulty")
    assert sft.parameters["train_sampling_strategy"] == "sequential"
    assert sft.parameters["packing"] is sft.parameters["shuffle_dataset"] is False
    assert sft.parameters["max_length"] == 16_384
    assert sft.source.by_key()["data.sort"][0] == "published"
    assert sft.source.by_key()["learning_rate"][0] == "chosen"


def test_v04_rs_is_v04_after_reinforcement() -> None:
    """Its second stage is, by the model card, all of V0.4."""
    graph = load_recipes(["fathom-r1-14b-v0.4-rs", "fathom-r1-14b-v0.4"])
    rl, second = (graph.nodes[f"fathom-r1-14b-v0.4-rs:{name}"].stage for name in ("rl", "sft"))
    alone = graph.nodes["fathom-r1-14b-v0.4:sft"].stage
    assert rl.parameters["max_completion_length"] == 6144
    assert not rl.checkpoint
    assert second.init_from == ("rl",)
    for same in ("data", "parameters", "device_hours"):
        assert getattr(second, same) == getattr(alone, same)
    assert rl.source.by_key()["device_hours"] == (
        "derived",
        "model card: 293 H100 hours of V0.4-RS less the 128 of V0.4, which is its second stage alone",
    )


def test_grpo_of_the_shipped_recipe_makes_whole_groups() -> None:
    """TRL wants the chains of a step to be whole groups; as published nearby, they are 128 problems of 8 chains."""
    rl = load_recipe("fathom-r1-14b-v0.4-rs").nodes["fathom-r1-14b-v0.4-rs:rl"]
    chains = rl.hardware.devices
    assert chains is not None
    for key in ("per_device_train_batch_size", "gradient_accumulation_steps"):
        chains *= rl.stage.parameters[key]
    assert chains == 128 * rl.stage.parameters["num_generations"]


def test_a_merge_brings_its_parents_with_it() -> None:
    graph = load_recipe("fathom-r1-14b-rs")
    assert list(graph.nodes) == [
        "fathom-r1-14b-v0.6:sft",
        "fathom-r1-14b-v0.4-rs:rl",
        "fathom-r1-14b-v0.4-rs:sft",
        "fathom-r1-14b-rs:merge",
    ]
    assert [node.title for node in graph.checkpoints()] == [
        "Fathom-R1-14B-V0.6",
        "Fathom-R1-14B-V0.4-RS",
        "Fathom-R1-14B-RS",
    ]


# -- one's own -------------------------------------------------------------------------------------


def test_a_recipe_builds_upon_one_beside_it_before_a_shipped_one(tmp_path: Path) -> None:
    merge = {"trainer": "merge", "init_from": ["sft", "fathom-r1-14b-v0.6:other"]}
    path = write(tmp_path, stages={"sft": stage(), "soup": merge})
    assert "stage 'other'" in error_of(path)
    write(tmp_path, "fathom-r1-14b-v0.6", stages={"other": stage()})
    graph = load_recipe(path)
    assert graph.nodes["mine:soup"].parents == ("mine:sft", "fathom-r1-14b-v0.6:other")


def test_stages_may_stand_in_any_order_and_come_out_as_they_can_run(tmp_path: Path) -> None:
    stages = {"c": stage(init_from="b"), "b": stage(init_from="a"), "z": stage(), "a": stage()}
    assert list(load_recipe(write(tmp_path, stages=stages)).nodes) == ["mine:z", "mine:a", "mine:b", "mine:c"]


def test_an_order_that_can_run_is_kept(tmp_path: Path) -> None:
    stages = {"a": stage(), "b": stage(init_from="a"), "c": stage(), "d": stage(init_from="c")}
    assert [node.name for node in load_recipe(write(tmp_path, stages=stages))] == ["a", "b", "c", "d"]


def test_only_what_the_asked_recipe_comes_from_is_wanted(tmp_path: Path) -> None:
    write(tmp_path, "other", stages={"used": stage(), "unused": stage()})
    path = write(tmp_path, stages={"sft": stage(init_from="other:used")})
    assert [node.id for node in load_recipe(path).wanted()] == ["other:used", "mine:sft"]


def test_a_stage_says_what_differs_from_the_recipe(tmp_path: Path) -> None:
    stages = {
        "a": stage(hardware={"device": "H200"}, evaluate={"n": 4, "max_tokens": 512}),
        "b": stage(evaluate={"bench": []}),
        "c": stage(checkpoint=False),
    }
    path = write(
        tmp_path,
        stages=stages,
        hardware={"device": "H100", "devices": 8, "usd_per_hour": 3},
        evaluate={"bench": ["fresh:level=1,seed=3", "fresh:level=2"], "n": 16},
    )
    a, b, c = load_recipe(path)
    assert (a.hardware.device, a.hardware.devices, a.hardware.usd_per_hour) == ("H200", 8, 3.0)
    assert a.evaluate is not None
    assert a.evaluate.flags() == {
        "bench": ("fresh:level=1,seed=3", "fresh:level=2"),
        "n": 4,
        "max_tokens": 512,
    }
    assert b.evaluate is None
    assert c.evaluate is None


def test_a_learning_rate_is_a_number_with_and_without_a_point(tmp_path: Path) -> None:
    """YAML takes 1e-5 for a text."""
    path = write(tmp_path, stages={"sft": stage(parameters={"learning_rate": "RATE", "note": "e5"})})
    path.write_text(path.read_text().replace("RATE", "1e-5"))
    assert load_recipe(path).nodes["mine:sft"].stage.parameters == {"learning_rate": 1e-5, "note": "e5"}


def test_a_recipe_knows_what_it_does_not_explain(tmp_path: Path) -> None:
    one = stage(
        parameters={"a": 1, "b": 2, "c": 3},
        data={"size": 5, "filters": {"kind": "word"}},
        source={"published": {"a, data.size": "the paper"}, "chosen": {"b": "it fits"}},
    )
    recipe = read_recipe(write(tmp_path, stages={"sft": one}))
    assert recipe.unsourced == ["base", "sft: c", "sft: data.filters.kind"]
    node = load_recipe(tmp_path / "mine.yaml").nodes["mine:sft"]
    assert node.origin("data.size") == ("published", "the paper")
    assert node.origin("c") is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stagse": {}}, "unknown key 'stagse': did you mean stages?"),
        ({"base": None}, "stage sft: init_from says base, and the recipe has no `base`"),
        ({"stages": {}}, "stages:"),
        ({"stages": ["sft"]}, "stages: input should be a mapping"),
        ({"stages": {"base": stage()}}, "stage base: no stage is called base"),
        ({"stages": {"../x": stage()}}, "stage ../x: a name has letters"),
        ({"stages": {"s": stage(learning_rate=1)}}, "stage s: unknown key 'learning_rate'"),
        ({"stages": {"s": stage(dta={})}}, "stage s: unknown key 'dta': did you mean data?"),
        ({"stages": {"s": stage(data={"sizes": 3})}}, "stage s: unknown key data.'sizes': did you mean size?"),
        ({"stages": {"s": stage(data={"size": "5K"})}}, "stage s: data.size: input should be a valid integer"),
        ({"stages": {"s": {"init_from": "base"}}}, "stage s: trainer is missing"),
        ({"stages": {"s": stage(device_hours=-1)}}, "stage s: device_hours: input should be greater"),
        ({"stages": {"s": stage(init_from=None)}}, "stage s: init_from: input should be a list"),
        ({"stages": {"s": stage(init_from="rl")}}, "init_from: no stage is called 'rl'"),
        ({"stages": {"s": stage(init_from="s")}}, "stage s: init_from goes in a circle, mine:s <- mine:s"),
        ({"stages": {"s": stage(init_from="a:b:c")}}, "stage s: init_from.0: a name has"),
        ({"stages": {"s": stage(init_from="fathom-r1:sft")}}, "no recipe is called 'fathom-r1': did you mean"),
        ({"stages": {"s": stage(init_from="fathom-r1-14b-v0.6:stf")}}, "did you mean sft?"),
        ({"stages": {"s": stage(trainer="merge")}}, "a merge takes a list of at least two"),
        ({"stages": {"s": stage(trainer="merge", init_from=["a", "a"])}}, "names a stage twice"),
        ({"stages": {"s": stage(source={"chosen": {"lr": "why"}})}}, "source: 'lr' is no key that is set here"),
        (
            {"stages": {"s": stage(device_hours=1, source={"published": DOUBLE, "derived": DOUBLE})}},
            "device_hours is said to be published and derived: keep one",
        ),
        ({"stages": {"s": stage(source={"guessed": {}})}}, "stage s: unknown key source.'guessed'"),
        ({"hardware": {"devices": 0}}, "hardware.devices: input should be greater"),
        ({"evaluate": {"bench": "aime25"}}, "evaluate.bench: input should be a list"),
        ({"evaluate": {"benhc": []}}, "unknown key evaluate.'benhc': did you mean bench?"),
        ({"stages": {0.6: stage()}}, "the key 0.6 is not a text: put it in quotes"),
        ({"stages": {"s": stage(parameters={"x": float("inf")})}}, "inf is not a number"),
    ],
)  # fmt: skip
def test_a_bad_recipe_is_refused_in_one_line(tmp_path: Path, values: dict[Any, Any], said: str) -> None:
    text = error_of(write(tmp_path, **values))
    assert said in text
    assert "mine" in text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty: a recipe has at least"),
        ("[1, 2]", "mapping"),
        ("name: [", "not valid YAML"),
        ("a: &a [*a]\n", "is no recipe"),
        ("a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n"
         for p, c in zip("abcdefgh", "bcdefghi", strict=True)), "is no recipe"),
        ("name: x\nbase: y\nstages: {s: {trainer: sft, init_from: base, parameters: {d: 2026-01-01}}}",
         "put it in quotes"),
        ("x: '" + "y" * 1_000_001 + "'", "has 1,000,006 bytes"),
    ],
    ids=["empty", "list", "broken", "endless", "billion laughs", "date", "huge"],
)  # fmt: skip
def test_a_file_that_is_no_recipe_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    assert said in error_of(path)


def test_circles_through_several_recipes_are_found(tmp_path: Path) -> None:
    write(tmp_path, "a", stages={"one": stage(init_from="b:two"), "three": stage()})
    path = write(tmp_path, "b", stages={"two": stage(init_from="a:one")})
    assert "circle, a:one <- b:two <- a:one" in error_of(path)
    stages = {"one": stage(init_from="three"), "three": stage(), "four": stage(init_from="b:two")}
    write(tmp_path, "a", stages=stages)
    assert [node.id for node in load_recipe(path).wanted()] == ["a:three", "a:one", "b:two"]


def test_a_recipe_must_be_called_what_it_is_built_upon_as(tmp_path: Path) -> None:
    write(tmp_path, "a").rename(tmp_path / "b.yaml")
    path = write(tmp_path, "c", stages={"s": stage(init_from="b:sft")})
    assert "holds a recipe called a, not b" in error_of(path)


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    assert "did you mean fathom-r1-14b-v0.6" in error_of("fathom-r1-14b-v06")


@st.composite
def dags(draw: st.DrawFn) -> dict[str, list[str]]:
    """Stages of random recipes: name -> what it starts from, in any order of the file."""
    count = draw(st.integers(1, 12))
    stages = {
        f"s{i}": draw(st.lists(st.sampled_from([f"s{j}" for j in range(i)]), unique=True) if i else st.just([]))
        for i in range(count)
    }  # fmt: skip
    return {name: stages[name] for name in draw(st.permutations(list(stages)))}


@settings(max_examples=60, deadline=None)
@given(dags())
def test_each_stage_comes_after_all_that_it_starts_from(parents: dict[str, list[str]]) -> None:
    from harness_trainers.recipes import Recipe, RecipeGraph

    stages = {name: stage(trainer="any", init_from=of or "base") for name, of in parents.items()}
    recipe = Recipe.model_validate({"name": "mine", "base": "m", "stages": stages})
    graph = RecipeGraph({"mine": recipe}, ("mine",))
    places = {id_.removeprefix("mine:"): place for place, id_ in enumerate(graph.nodes)}
    assert len(places) == len(parents)
    assert all(places[parent] < places[name] for name, of in parents.items() for parent in of)
