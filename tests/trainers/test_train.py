"""`harness train`: the plan, what is found out before anything runs, and what a run leaves behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import HarnessError
from harness.training import read_training
from harness_trainers.ledger import Ledger
from harness_trainers.recipes import load_recipe
from harness_trainers.runner import evaluating
from harness_trainers.runner.changes import changed, find_stage
from harness_trainers.runner.energy import Energy
from harness_trainers.runner.sharing import fitting, parameters_for

from .checkpoints import read
from .recipes_of_pupils import EVALUATE, School, pupil
from .watched import Moody, scores_of

Train = Callable[..., tuple[int, str, str]]


@pytest.fixture
def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> School:
    return School(tmp_path / "school", monkeypatch)


@pytest.fixture
def train(school: School, capfd: pytest.CaptureFixture[str]) -> Train:
    """The command in this process: exit code, standard output, standard error."""

    def run(*flags: object, recipe: str = "school.yaml") -> tuple[int, str, str]:
        capfd.readouterr()
        code = school.train(*flags, recipe=recipe)
        return code, *capfd.readouterr()

    return run


def refused(result: tuple[int, str, str]) -> str:
    """The one line that a command is refused with."""
    code, out, err = result
    assert code in (1, 2), err
    assert out == ""
    lines = [line for line in err.split("\n") if line.startswith("harness: ")]
    assert "Traceback" not in err
    assert len(lines[-1]) < 600
    return lines[-1]


# -- the plan --------------------------------------------------------------------------------------


def test_a_plan_says_what_every_stage_takes_and_runs_nothing(school: School, train: Train) -> None:
    school.usual()
    code, out, err = train("--dry-run")
    assert (code, err) == (0, "")
    assert "school:first (First)" in out
    assert "rows.jsonl, up to 6 rows" in out
    assert "First, Second" in out
    assert out.count("to do") == 3
    assert not school.out.exists()


def test_a_plan_for_programs(school: School, train: Train) -> None:
    school.usual(steps=6)
    _, out, _ = train("--dry-run", "--format", "json", "--usd-per-hour", "2")
    plan = json.loads(out)
    first, second, mean = plan["stages"]
    assert (first["stage"], first["checkpoint"], first["steps"], first["usd"]) == (
        "school:first",
        "First",
        6,
        1.0,
    )
    assert first["data"]["rows"] == second["data"]["rows"] == 6
    assert (mean["data"], mean["starts_from"]) == (None, ["First", "Second"])
    assert (plan["device_hours"], plan["usd"]) == (1.0, 2.0)


def test_a_published_recipe_can_be_planned_without_its_model_and_data(train: Train) -> None:
    code, out, err = train("--dry-run", "--format", "json", recipe="fathom-r1-14b-rs")
    assert code == 0, err
    plan = json.loads(out)
    rl = next(stage for stage in plan["stages"] if stage["stage"] == "fathom-r1-14b-v0.4-rs:rl")
    assert (rl["device"], rl["devices"], rl["steps"]) == ("H100", 8, 49)
    assert rl["memory_bytes"] > 10e9
    assert rl["state"] == "waits for data"
    assert "--data fathom-r1-14b-v0.4-rs:rl=FILE" in rl["data"]["problem"]
    assert all(stage["device_hours"] is not None for stage in plan["stages"])
    assert plan["usd"] == pytest.approx(plan["device_hours"] * 2.8355)


def test_one_stage_is_planned_with_what_it_needs(school: School, train: Train) -> None:
    school.recipe(a=pupil(), b=pupil(init_from="a", title="Bee"), c=pupil())
    for name in ("b", "school:b", "bee"):
        _, out, _ = train("--dry-run", "--format", "json", "--stage", name)
        assert [stage["stage"] for stage in json.loads(out)["stages"]] == ["school:a", "school:b"]
    assert "no stage is called 'beee'" in refused(train("--dry-run", "--stage", "beee"))


def test_a_stage_whose_data_another_samples_comes_after_it(school: School, train: Train) -> None:
    sampled = {"source": "fresh:level=1,size=2", "sample": {"model": "a", "n": 2}}
    school.recipe(b=pupil(data=sampled), a=pupil())
    _, out, _ = train("--dry-run", "--format", "json", "--stage", "b")
    stages = json.loads(out)["stages"]
    assert [stage["stage"] for stage in stages] == ["school:a", "school:b"]
    assert stages[1]["starts_from"] == [str(school.base)]


# -- what is wrong is found before anything runs ---------------------------------------------------


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (
            pupil(init_from="mean", stepz=3),
            "stage school:last: pupil has no parameter 'stepz': did you mean steps?",
        ),
        (
            {**pupil(init_from="mean"), "trainer": "pupill"},
            "stage school:last: no trainer is called 'pupill': did you mean pupil?",
        ),
        (pupil(data={"source": "missing.jsonl"}), "stage school:last waits for data: "),
        ({**pupil(), "data": None}, "--data school:last=FILE"),
        (pupil(title="first"), "would both make models/"),
        (
            {"trainer": "merge", "init_from": ["first", "second"], "parameters": {"method": "mean"}},
            "no method is called 'mean'",
        ),
    ],
)
def test_a_mistake_in_the_last_stage_is_found_before_the_first_begins(
    school: School, train: Train, stage: dict[str, Any], said: str
) -> None:
    school.recipe(
        first=pupil(title="First"),
        second=pupil(title="Second"),
        mean={"trainer": "merge", "init_from": ["first", "second"], "title": "Mean"},
        last=stage,
    )
    assert said in refused(train("--evaluate", "never"))
    assert not (school.out / "models" / "First").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--set", "frist.steps=3"], "no stage is called 'frist': did you mean first?"),
        (["--set", "first.steps"], "is not STAGE.KEY=VALUE"),
        (["--set", "steps=3"], "names no stage"),
        (["--set", "first.data.size=-1"], "stage first: data.size"),
        (["--set", "first.hardware.devises=2"], "did you mean device"),
        (["--data", "first"], "is not STAGE=SOURCE"),
        (["--base", "nowhere-at-all"], "unknown model 'nowhere-at-all'"),
        (["--base", "./none"], "there is no such file or folder"),
        (["--out", "rows.jsonl"], "rows.jsonl is no folder"),
        (["--devices", "3"], "these numbers of devices work: 1, 2, 4, 8"),
    ],
)
def test_flags_that_make_no_sense_are_one_line(
    school: School, train: Train, flags: list[str], said: str
) -> None:
    school.usual(gradient_accumulation_steps=8)
    assert said in refused(train("--dry-run", *flags))


def test_no_recipe_and_an_unknown_one(train: Train) -> None:
    assert "did you mean fathom-r1-14b" in refused(train(recipe="fathom-r1-14"))


def test_a_deep_ladder_of_merges_is_planned_at_once(school: School, train: Train) -> None:
    """Each rung is made of both of the one below: a model has more ways back to the first than there is time for."""
    stages: dict[str, Any] = {"a0": pupil(init_from=[]), "b0": pupil(init_from=[])}
    for n in range(1, 60):
        for side in "ab":
            stages[f"{side}{n}"] = {"trainer": "merge", "init_from": [f"a{n - 1}", f"b{n - 1}"]}
    recipe = {"name": "school", "stages": stages}
    (school.folder / "school.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    code, out, err = train("--dry-run")
    assert code == 0, err
    assert out.count("to do") == 120


def test_a_recipe_whose_file_would_be_that_of_the_run_is_refused(school: School, train: Train) -> None:
    school.recipe("recipe", a=pupil())
    school.recipe(b=pupil(init_from="recipe:a"))
    assert "builds upon a recipe called recipe" in refused(train("--dry-run"))
    assert train("--dry-run", recipe="recipe.yaml")[0] == 0


# -- changes by the command line -------------------------------------------------------------------


def test_settings_from_the_command_line_are_in_the_run_s_recipe(school: School, train: Train) -> None:
    school.usual()
    rows = school.folder / "others.jsonl"
    rows.write_bytes((school.folder / "rows.jsonl").read_bytes() * 2)
    code, _, err = train(
        *("--evaluate", "never", "--stage", "second", "--data", "second=others.jsonl"),
        *("--set", "second.steps=3", "--set", "second.learning_rate=1e-4", "--set", "evaluate.n=4"),
    )
    assert code == 0, err
    recipe = load_recipe(school.out / "recipe.yaml").recipes["school"]
    second = recipe.stages["second"]
    assert second.parameters == {"steps": 3, "learning_rate": 1e-4}
    assert second.data is not None
    assert second.data.source == ("others.jsonl",)
    assert second.source.by_key()["steps"] == ("chosen", "given on the command line")
    assert recipe.evaluate is not None
    assert recipe.evaluate.n == 4
    job = json.loads((school.work("second") / "job.json").read_text())
    assert job["parameters"]["steps"] == 3
    assert len(Path(job["data"]).read_text().split("\n")) - 1 == 12


def test_stages_with_dots_in_their_names_can_be_changed(school: School) -> None:
    school.recipe(**{"v0": pupil(), "v0.4": pupil()})
    graph = changed(load_recipe("school.yaml"), None, [], ["v0.4.steps=9", "school:v0.steps=8"])
    steps = {name: stage.parameters["steps"] for name, stage in graph.recipes["school"].stages.items()}
    assert steps == {"v0": 8, "v0.4": 9}
    assert find_stage(graph, "v0.4", "--stage").name == "v0.4"


def test_a_published_figure_that_is_changed_is_not_published_any_more() -> None:
    graph = changed(
        load_recipe("fathom-r1-14b"), "qwen2.5-coder-0.5b", [], ["fathom-r1-14b-v0.6:sft.max_length=512"]
    )
    recipe = graph.recipes["fathom-r1-14b-v0.6"]
    assert recipe.stages["sft"].source.by_key()["max_length"][0] == "chosen"
    assert recipe.stages["sft"].source.by_key()["packing"][0] == "derived"
    assert recipe.stages["sft"].source.by_key()["data.size"][0] == "published"
    assert {recipe.base for recipe in graph.recipes.values()} == {"qwen2.5-coder-0.5b"}
    assert recipe.unsourced == []


# -- sharing a stage among devices -----------------------------------------------------------------


def test_the_batch_stays_the_same_however_many_share_it(school: School) -> None:
    values = {"gradient_accumulation_steps": 16, "steps_per_generation": 32}
    school.recipe(rl=pupil(hardware={"devices": 8}, **values))
    rl = load_recipe("school.yaml").nodes["school:rl"]
    for devices, accumulation in ((8, 16), (1, 128), (64, 2)):
        shared = parameters_for(rl, devices)
        assert shared["gradient_accumulation_steps"] == accumulation
        assert shared["steps_per_generation"] == 2 * accumulation
    assert fitting(rl, 7) == [1, 2, 4]
    with pytest.raises(HarnessError, match="these numbers of devices work: 1, 2, 4, 8, 16, 32, 64, 128"):
        parameters_for(rl, 3)


# -- a run -----------------------------------------------------------------------------------------


def test_a_run_leaves_models_costs_curves_and_a_report(
    school: School, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    moody = Moody(tmp_path / "moody")
    monkeypatch.syspath_prepend(str(moody.folder))
    monkeypatch.setenv("PYTHONPATH", moody.path)
    school.usual(evaluate={**EVALUATE, "saves": True}, steps=3)
    code, out, err = train("--no-published")
    assert code == 0, err

    models = {path.name for path in (school.out / "models").iterdir()}
    assert models >= {"First", "Second", "Mean"}
    assert list(read(school.out / "models" / "First")["learnt"]) == [3, 6]
    assert list(read(school.out / "models" / "Mean")["learnt"]) == [2.5, 6]
    assert not (school.work("first") / "state").exists()

    scores = scores_of(school.folder / "results")
    assert set(scores) == models | {"base"}
    order = [line.split()[0] for line in moody.lines("opened")]
    assert order[0] == "base"
    assert order[-1] == "Mean"

    training = read_training(school.out)
    costs = {cost.checkpoint: cost for cost in training.costs}
    assert (training.recipe, training.device, training.base) == ("school", "CPU", "base")
    assert set(costs) == {"First", "Second", "Mean"}
    entries = Ledger(school.out).entries()
    assert [entry.stage for entry in entries] == ["school:first", "school:second", "school:mean"]
    hours = [entry.device_hours for entry in entries]
    assert costs["Mean"].device_hours == pytest.approx(sum(hours))
    assert costs["First"].usd == pytest.approx(hours[0] * 3.6)
    assert all(cost.complete for cost in training.costs)
    curves = {curve.stage: curve for curve in training.curves}
    assert curves["school:first"].steps == (1, 2, 3)
    assert curves["school:first"].series["loss"][0] == 1.0
    assert curves["school:first"].checkpoint == "First"

    assert "Training: school" in out
    assert "Training: school" in (school.out / "report.md").read_text()
    assert (school.out / "report.html").stat().st_size > 1000
    heard = (school.folder / "heard").read_text().split("\n")
    assert "school:first 3 First" in heard
    assert "school:first 2 checkpoint-2" in heard
    assert "school:first 3 checkpoint-3" not in heard


def test_an_evaluation_that_fails_stops_nothing_and_is_told_of(
    school: School, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    school.usual(evaluate={**EVALUATE, "sampler": "nobody-knows-it"})
    monkeypatch.setattr(evaluating, "Evaluations", partial(evaluating.Evaluations, attempts=1))
    code, out, err = train("--stage", "first")
    assert code == 1
    assert (school.out / "models" / "First").is_dir()
    assert "not everything is evaluated (base, First): the same command tries again" in err
    assert "| First" in out


def used(*looks: tuple[float, float | None]) -> float | None:
    """kWh, after looks at a time in seconds that found a power in watts."""
    now = [0.0]
    powers = iter([watts for _, watts in looks])
    energy = Energy(lambda: next(powers), clock=lambda: now[0])
    for now[0], _ in looks:
        energy.look()
    return energy.kwh()


def test_energy_is_power_over_time() -> None:
    assert used((0, 100)) is None
    assert used((0, 100), (30, 300), (60, 300)) == pytest.approx((30 * 200 + 30 * 300) / 3.6e6)


def test_no_energy_is_made_up_for_a_time_in_which_nobody_looked() -> None:
    assert used((0, 100), (10, 100), (10_000, 100), (10_010, 100)) == pytest.approx(2000 / 3.6e6)
    assert used((0, 100), (10, None), (20, 100), (30, 100)) == pytest.approx(1000 / 3.6e6)


def test_where_nothing_measures_it_energy_is_not_known() -> None:
    with Energy(None) as energy:
        pass
    assert energy.kwh() is None
