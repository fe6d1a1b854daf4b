"""Costs: the published bills, what a ledger measured, and that nothing is counted twice or lost."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.plugins import PluginManager
from harness_trainers.ledger import Entry, Ledger, bill
from harness_trainers.recipes import Recipe, RecipeGraph, load_recipe, load_recipes

from ..conftest import Command, one_line_error
from .test_recipes import dags, stage, write

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(name: str, hours: float, minute: int = 0, **values: Any) -> Entry:
    begun = START + timedelta(minutes=minute)
    said = {"stage": name, "device": "cpu", "devices": 2, "wall_seconds": hours * 1800, "started": begun}
    return Entry.model_validate({**said, "finished": begun + timedelta(hours=hours / 2), **values})


def rows_of(text: str) -> list[list[str]]:
    """Cells of the first table of a markdown text, without its head."""
    table = text.split("\n\n")[0].strip().split("\n")
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


# -- the published table ---------------------------------------------------------------------------


def test_the_published_bills_come_out_to_the_dollar(shared: Path) -> None:
    with (shared / "data" / "published_costs.csv").open(encoding="utf-8") as file:
        published = list(csv.DictReader(line for line in file if not line.startswith("#")))
    found = bill(load_recipes(["fathom-r1-14b", "fathom-r1-14b-rs"]), usd_per_hour=2.8355)
    costs = {row.checkpoint: row for row in found.checkpoints}
    assert len(published) == len(costs) == 5
    for row in published:
        cost = costs[row["checkpoint"]]
        assert cost.device_hours == float(row["gpu_hours"])
        assert cost.usd is not None
        assert round(cost.usd) == int(row["usd"])
        assert cost.made_from == row["made_from"]


def test_the_command_prints_the_family_as_published(harness: Command) -> None:
    done = harness("cost", "fathom-r1-14b-rs")
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert [(row[0], row[2], row[3]) for row in rows_of(done.stdout)] == [
        ("Fathom-R1-14B-V0.6", "48", "136"),
        ("Fathom-R1-14B-V0.4-RS", "293", "831"),
        ("Fathom-R1-14B-RS", "341", "967"),
    ]
    assert "GPU hours" in done.stdout
    assert "| fathom-r1-14b-v0.4-rs:rl  | grpo    | H100    |       165 |" in done.stdout
    assert "derived (model card: 293 H100 hours" in done.stdout
    assert "At 2.8355 USD per device-hour." in done.stdout


def test_another_price_and_json(harness: Command) -> None:
    done = harness("cost", "fathom-r1-14b", "--usd-per-hour", "2", "--format", "json")
    found = json.loads(done.stdout)
    assert [(row["checkpoint"], row["device_hours"], row["usd"]) for row in found["checkpoints"]] == [
        ("Fathom-R1-14B-V0.6", 48, 96),
        ("Fathom-R1-14B-V0.4", 128, 256),
        ("Fathom-R1-14B", 176, 352),
    ]
    assert [(row["id"], row["usd"], row["source"]) for row in found["stages"]] == [
        ("fathom-r1-14b-v0.6:sft", 96, "published"),
        ("fathom-r1-14b-v0.4:sft", 256, "published"),
        ("fathom-r1-14b:merge", 0, "derived"),
    ]
    assert found["usd_per_hour"] == [2]


@pytest.mark.parametrize(
    ("arguments", "said", "code"),
    [
        ((), "name a recipe: fathom-r1-14b, fathom-r1-14b-rs, fathom-r1-14b-v0.4, ", 2),
        (("fathom-r1-41b",), "did you mean fathom-r1-14b", 1),
        (("gone.yaml",), "cannot read gone.yaml", 1),
        ((".",), "has no ledger.jsonl", 1),
        (("fathom-r1-14b", "--usd-per-hour", "nan"), "--usd-per-hour", 2),
        (("fathom-r1-14b", "--usd-per-hour", "-1"), "--usd-per-hour", 2),
    ],
)
def test_bad_input_is_one_line(harness: Command, arguments: tuple[str, ...], said: str, code: int) -> None:
    done = harness("cost", *arguments)
    assert said in one_line_error(done)
    assert done.returncode == code
    assert done.stdout == ""


def test_it_is_a_plugin_and_imports_nothing_heavy(plugins: PluginManager) -> None:
    assert "cost" in plugins.commands()
    code = "import sys, harness_trainers.cost; print([m for m in ('pydantic', 'yaml', 'numpy') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- what was measured -----------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a recipe of two stages and a merge, whose hours are estimates."""
    stages = {
        "sft": stage(device_hours=4, source={"estimated": {"device_hours": "the plan"}}),
        "rl": stage(init_from="sft", checkpoint=False, device_hours=8),
        "soup": {"trainer": "merge", "init_from": ["sft", "rl"], "device_hours": 0},
    }
    folder = tmp_path / "run"
    folder.mkdir()
    write(folder, stages=stages, hardware={"device": "cpu", "devices": 2, "usd_per_hour": 0.1})
    return (folder / "mine.yaml").rename(folder / "recipe.yaml").parent


def test_measured_costs_count_and_others_are_marked(run: Path, harness: Command) -> None:
    ledger = Ledger(run)
    ledger.append(entry("mine:sft", 1.0, energy_kwh=0.5))
    ledger.append(entry("mine:sft", 0.5, minute=60, energy_kwh=0.25))
    ledger.append(entry("gone:sft", 7.0))
    done = harness("cost", run, "--format", "json")
    assert "not in the recipe and on no bill: gone:sft" in done.stderr
    found = json.loads(done.stdout)
    sft, soup = found["checkpoints"]
    assert (sft["device_hours"], sft["usd"], sft["sources"], sft["energy_kwh"]) == (
        1.5,
        0.15,
        ["measured"],
        0.75,
    )
    assert (soup["device_hours"], soup["usd"]) == (9.5, 0.95)
    assert soup["sources"] == ["measured", "estimated"]
    assert soup["energy_kwh"] is None
    assert found["stages"][0]["sessions"] == 2
    shown = harness("cost", run).stdout
    assert rows_of(shown)[0] == ["mine:sft", "sft on smollm2-135m", "1.5", "0.15", "measured"]
    assert rows_of(shown)[1][-1] == "measured + estimated"
    assert "device hours" in shown
    assert "GPU" not in shown
    assert "measured, 2 sessions" in shown


def test_what_was_paid_counts_unless_a_price_is_given(run: Path) -> None:
    graph = load_recipe(run / "recipe.yaml")
    paid = [entry("mine:sft", 2.0, usd=7.0)]
    assert bill(graph, paid).checkpoints[0].usd == 7.0
    assert bill(graph, paid, 3.0).checkpoints[0].usd == 6.0


def test_a_stage_without_hours_leaves_no_sum_that_is_too_small(run: Path) -> None:
    text = (run / "recipe.yaml").read_text()
    assert "device_hours: 8" in text
    (run / "recipe.yaml").write_text(text.replace("device_hours: 8", "device_hours: null"))
    sft, soup = bill(load_recipe(run / "recipe.yaml")).checkpoints
    assert sft.device_hours == 4
    assert (soup.device_hours, soup.usd) == (None, None)
    assert "unknown" in soup.sources


def test_the_default_price_is_the_published_one(tmp_path: Path) -> None:
    path = write(tmp_path, stages={"sft": stage(device_hours=10)})
    assert bill(load_recipe(path)).checkpoints[0].usd == pytest.approx(28.355)


def test_a_ledger_without_its_recipe_is_read_by_the_shipped_one(tmp_path: Path, harness: Command) -> None:
    Ledger(tmp_path / "run").append(entry("fathom-r1-14b-v0.6:sft", 10.0, device="H100"))
    rows = rows_of(harness("cost", tmp_path / "run").stdout)
    assert [(row[0], row[2], row[3], row[4]) for row in rows] == [
        ("Fathom-R1-14B-V0.6", "10", "28", "measured")
    ]
    Ledger(tmp_path / "other").append(entry("gone:sft", 10.0))
    assert "names no recipe" in one_line_error(harness("cost", tmp_path / "other"))


# -- the file --------------------------------------------------------------------------------------


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "new" / "run")
    assert ledger.entries() == []
    wanted = [entry("a:b", 1.0, energy_kwh=0.1, usd=3.0), entry("a:c", 2.0, complete=False)]
    for one in wanted:
        ledger.append(one)
    assert ledger.entries() == wanted
    assert wanted[0].device_hours == 1.0
    assert [json.loads(line)["stage"] for line in ledger.path.read_text().split("\n")[:2]] == ["a:b", "a:c"]


@pytest.mark.parametrize("torn", [b'{"stage": "a:b", "wall_sec', b'{"stage": "a:b"}', b"\xff" * 5, b" "])
def test_a_torn_last_line_does_not_count_and_is_cut_off(tmp_path: Path, torn: bytes) -> None:
    ledger = Ledger(tmp_path)
    ledger.append(entry("a:b", 1.0))
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + torn)
    assert [one.stage for one in ledger.entries()] == ["a:b"]
    assert ledger.damaged == []
    ledger.append(entry("a:c", 1.0))
    assert ledger.path.read_bytes().startswith(whole + b'{"stage":"a:c"')
    assert [one.stage for one in ledger.entries()] == ["a:b", "a:c"]


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "[" * 100_000,
        "x" * 300_000,
        "null",
        '{"stage": "a:b"}',
        json.dumps(entry("a:b", 1.0).model_dump(mode="json") | {"wall_seconds": -1}),
        json.dumps(entry("a:b", 1.0).model_dump(mode="json") | {"wall_seconds": 10**400, "device_hours": None}),
        json.dumps(entry("a:b", 1.0).model_dump(mode="json") | {"device_hours": float("nan")}),
        json.dumps(entry("a:b", 1.0).model_dump(mode="json") | {"started": "2026-01-01T00:00:00"}),
    ],
    ids=["words", "nested", "long", "null", "short", "negative", "huge", "nan", "no time zone"],
)  # fmt: skip
def test_a_damaged_line_costs_only_its_own_entry_and_is_told_of(
    run: Path, line: str, harness: Command
) -> None:
    ledger = Ledger(run)
    ledger.append(entry("mine:sft", 1.0))
    with ledger.path.open("a") as file:
        file.write(line + "\n")
    ledger.append(entry("mine:rl", 1.0))
    assert [one.stage for one in ledger.entries()] == ["mine:sft", "mine:rl"]
    assert ledger.damaged == [2]
    done = harness("cost", run)
    assert done.returncode == 0
    assert "no entry can be read in line 2" in one_line_error(done)


def test_many_processes_append_at_the_same_time(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness_trainers.ledger import Entry, Ledger\n"
        "ledger, entry = Ledger(Path(sys.argv[1])), Entry.model_validate_json(sys.argv[2])\n"
        "for i in range(30): ledger.append(entry.model_copy(update={'stage': f'{entry.stage}{i}'}))\n"
    )
    lines = [entry(f"a:{name}", 1.0, device=name * 250).model_dump_json() for name in "xyz"]
    writers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), line]) for line in lines]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    ledger = Ledger(tmp_path)
    assert len(ledger.entries()) == 90
    assert ledger.damaged == []


def test_a_session_notes_itself_and_counts_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.session("a:b", "H100", 4, energy_kwh=lambda: 0.25, usd_per_hour=3600.0) as session:
        time.sleep(0.02)
        early = session.note()
        assert [one.complete for one in ledger.entries()] == [False]
        time.sleep(0.02)
    (last,) = ledger.entries()
    assert last.complete
    assert last.wall_seconds > early.wall_seconds >= 0.02
    assert last.device_hours == pytest.approx(4 * last.wall_seconds / 3600, abs=1e-6)
    assert last.usd == pytest.approx(4 * last.wall_seconds, abs=0.01)
    assert last.energy_kwh == 0.25
    assert last.finished > last.started
    with pytest.raises(ZeroDivisionError), ledger.session("a:b", "H100", 4):
        raise ZeroDivisionError
    assert [one.complete for one in ledger.entries()] == [True, False]


def test_what_a_killed_stage_noted_stays_on_the_bill(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from harness_trainers.ledger import Ledger\n"
        "with Ledger(Path(sys.argv[1])).session('mine:sft', 'cpu', 2) as session:\n"
        "    time.sleep(0.05); session.note(); print('noted', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        os.kill(process.pid, signal.SIGKILL)
    path = write(tmp_path)
    found = bill(load_recipe(path), Ledger(tmp_path).entries()).stages[0]
    assert not found.complete
    assert found.device_hours is not None
    assert found.device_hours >= 2 * 0.05 / 3600


# -- each ancestor once ----------------------------------------------------------------------------


def test_a_diamond_is_not_paid_for_twice(tmp_path: Path) -> None:
    stages = {
        "root": stage(device_hours=100),
        "left": stage(init_from="root", device_hours=10),
        "right": stage(init_from="root", device_hours=1),
        "soup": {"trainer": "merge", "init_from": ["left", "right"], "device_hours": 0},
    }
    costs = {
        row.id: row.device_hours for row in bill(load_recipe(write(tmp_path, stages=stages))).checkpoints
    }
    assert costs == {"mine:root": 100, "mine:left": 110, "mine:right": 101, "mine:soup": 111}


def costs_of(parents: dict[str, list[str]], hours: dict[str, float]) -> dict[str, float | None]:
    stages = {
        name: stage(trainer="any", init_from=of or "base", device_hours=hours[name])
        for name, of in parents.items()
    }
    recipe = Recipe.model_validate({"name": "m", "base": "x", "stages": stages})
    rows = bill(RecipeGraph({"m": recipe}, ("m",)), usd_per_hour=1.0).checkpoints
    assert all(row.usd == row.device_hours for row in rows)
    return {row.id.removeprefix("m:"): row.device_hours for row in rows}


@settings(max_examples=80, deadline=None)
@given(dags(), st.data())
def test_each_ancestor_counts_once_in_any_order_of_the_file(
    parents: dict[str, list[str]], data: st.DataObject
) -> None:
    # Powers of two: the sum tells which stages are in it, and would tell one that is in it twice.
    hours = {name: 2.0 ** int(name[1:]) for name in parents}
    found = costs_of(parents, hours)

    def reached(name: str) -> set[str]:
        return {name}.union(*(reached(parent) for parent in parents[name]))

    assert found == {name: sum(hours[one] for one in reached(name)) for name in parents}
    awkward = {name: float(data.draw(st.floats(0, 1e6))) for name in parents}
    shuffled = {
        name: data.draw(st.permutations(parents[name])) for name in data.draw(st.permutations(list(parents)))
    }
    assert costs_of(parents, awkward) == costs_of(shuffled, awkward)


def test_the_recipe_of_a_run_folder_may_build_upon_others_in_it(run: Path) -> None:
    other = yaml.safe_load((run / "recipe.yaml").read_text())
    write(run, "upper", stages={"s": stage(init_from="lower:sft", device_hours=1)}).rename(
        run / "recipe.yaml"
    )
    write(run, "lower", stages={"sft": other["stages"]["sft"]})
    rows = bill(load_recipe(run / "recipe.yaml"), [entry("lower:sft", 3.0)]).checkpoints
    assert [(row.id, row.device_hours) for row in rows] == [("lower:sft", 3.0), ("upper:s", 4.0)]


def test_a_stage_that_was_thrown_away_and_begun_anew_is_not_complete() -> None:
    graph = load_recipe("fathom-r1-14b-v0.6")
    name = "fathom-r1-14b-v0.6:sft"
    done = bill(graph, [entry(name, 1.0, 0, complete=False), entry(name, 2.0, 100)])
    assert done.checkpoints[0].complete
    anew = bill(graph, [entry(name, 2.0, 0), entry(name, 1.0, 300, complete=False)])
    assert not anew.checkpoints[0].complete
    assert anew.checkpoints[0].device_hours == 3.0
