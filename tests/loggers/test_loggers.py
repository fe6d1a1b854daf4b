"""Scores stand where training is watched: checkpoints of one training run as one curve, during runs and after."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from harness import HarnessError
from harness.results import finished_below
from harness_plugins.loggers import tensorboard
from harness_plugins.loggers._logger import curves_of, figures_of, point_of, safe

from ..conftest import Command
from ..core.made_runs import BENCH, FIRST, LAST, make_run, two_checkpoints

PASS1 = f"{BENCH}/pass@1"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    two_checkpoints(folder)
    return folder


@pytest.fixture(scope="module")
def results(folder: Path) -> Path:
    return folder / "results"


@pytest.fixture(scope="module")
def expected(results: Path) -> dict[int, dict[str, float]]:
    """Step -> figures."""
    found = {r["model"]: figures_of(r) for r in finished_below([results]).results}
    return {21: found[FIRST], 105: found[LAST]}


def replay(folder: Path) -> list[object]:
    chains = folder / "sky_ckpts_checkpoint-105-fresh:.jsonl"
    return ["run", "--bench", BENCH, "--sampler", "replay", "--chains", chains]


def test_what_is_logged_of_a_run(results: Path) -> None:
    (result,) = [r for r in finished_below([results]).results if r["model"] == LAST]
    figures = figures_of(result)
    pass1 = result["scores"]["pass@1"]
    assert figures[PASS1] == pass1["value"]
    assert figures[f"{PASS1}_stderr"] == pass1["stderr"]
    assert [figures[f"{PASS1}_low"], figures[f"{PASS1}_high"]] == pass1["ci95"]
    assert figures[f"{BENCH}/truncated"] == result["truncated"]
    assert figures[f"{BENCH}/mean_tokens"] == result["scores"]["mean_tokens"]["value"]
    assert figures[f"{BENCH}/cost/completion_tokens"] == result["cost"]["completion_tokens"]
    assert f"{BENCH}/cost/usd" not in figures  # nobody knows it


def test_checkpoints_of_one_training_run_are_one_curve_and_protocols_are_not_mixed(results: Path) -> None:
    found = finished_below([results]).results
    short = [{**result, "max_tokens": 8192} for result in found]
    other = [{**found[0], "model": "someone/else-7B"}]
    curves = curves_of([*found, *short, *other])
    assert sorted((points[0].series, [p.step for p in points]) for points in curves.values()) == [
        ("sky", [21, 105]),
        ("sky", [21, 105]),
        ("someone/else-7B", [0]),
    ]
    assert point_of(found[0]).curve != point_of(short[0]).curve


def test_names_that_all_three_take() -> None:
    assert safe("fresh:level=1/pass@1_stderr") == "fresh_level_1/pass_at_1_stderr"


def test_nothing_is_logged_that_nobody_asked_for(harness: Command, folder: Path) -> None:
    assert harness(*replay(folder)).returncode == 0
    assert [path.name for path in harness.folder.iterdir()] == ["results"]


def test_a_logger_that_is_not_installed_is_named_and_the_run_goes_on(harness: Command, folder: Path) -> None:
    code = (
        "import importlib.util as u; find = u.find_spec; "
        "u.find_spec = lambda name, *more: None if name == 'tensorboard' else find(name, *more); "
        "from harness.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, replay(folder))],
        cwd=harness.folder,
        env=harness.environment(HARNESS_LOG="tensorboard:logs"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    said = [line for line in done.stderr.split("\n") if "tensorboard" in line]
    assert len(said) == 1
    assert "pip install 'fathom-harness[tensorboard]'" in said[0]
    assert not (harness.folder / "logs").exists()


def test_of_what_is_not_installed_it_complains_once_not_for_every_benchmark(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    logger = tensorboard.TensorBoard()
    monkeypatch.setattr(logger, "package", "no_such_package")
    monkeypatch.setattr("harness_plugins.loggers._logger._COMPLAINED", set())
    monkeypatch.setenv("HARNESS_LOG", "tensorboard:logs")
    with pytest.raises(HarnessError, match=r"pip install 'fathom-harness\[tensorboard\]'"):
        logger.started()
    logger.started()


def test_a_folder_of_its_name_is_not_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "some_logs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    logger = tensorboard.TensorBoard()
    monkeypatch.setattr(logger, "package", "some_logs")
    assert not logger.installed


@pytest.mark.parametrize(
    ("asked", "said"),
    [("wundb:x", "did you mean wandb?"), ("tensorboard", "NAME:TARGET"), ("tensorboard:", "NAME:TARGET")],
)
def test_a_mistyped_wish_is_said_and_the_run_goes_on(
    harness: Command, folder: Path, asked: str, said: str
) -> None:
    done = harness(*replay(folder), HARNESS_LOG=asked)
    assert done.returncode == 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_target_that_cannot_be_written_is_said_and_the_run_goes_on(harness: Command, folder: Path) -> None:
    pytest.importorskip("tensorboard")
    (harness.folder / "logs").write_text("a file")
    done = harness(*replay(folder), HARNESS_LOG="tensorboard:logs")
    assert done.returncode == 0
    assert "tensorboard cannot write to 'logs'" in done.stderr


def test_discovery_imports_no_logger() -> None:
    code = (
        "import sys; from harness.plugins import load_plugins; load_plugins().commands(); "
        "print(sorted({'tensorboard', 'wandb', 'mlflow', 'pydantic', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


# -- TensorBoard -------------------------------------------------------------------------------------


def scalars(folder: Path) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Run -> tag -> (step, value), as TensorBoard itself reads them."""
    code = (
        "import json, sys; from pathlib import Path\n"
        "from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator\n"
        "from tensorboard.util import tensor_util\n"
        "found = {}\n"
        "for place in {f.parent for f in Path(sys.argv[1]).rglob('events.*')}:\n"
        "    a = EventAccumulator(str(place)); a.Reload()\n"
        "    found[str(place.relative_to(sys.argv[1]))] = {\n"
        "        tag: [(e.step, float(tensor_util.make_ndarray(e.tensor_proto))) for e in a.Tensors(tag)]\n"
        "        for tag in a.Tags()['tensors']}\n"
        "print(json.dumps(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_tensorboard_shows_a_curve_over_the_steps(
    harness: Command, results: Path, expected: dict[int, dict[str, float]]
) -> None:
    pytest.importorskip("tensorboard")
    done = harness("log", "--to", "tensorboard", "logs", results)
    assert done.returncode == 0, done.stderr
    assert "2 runs -> tensorboard" in done.stdout
    ((run, tags),) = scalars(harness.folder / "logs").items()
    assert run.startswith("sky/deepseek-r1,n=4")
    assert tags.keys() == expected[21].keys()
    for tag, points in tags.items():
        assert sorted(p[0] for p in points) == [21, 105]
        for step, value in points:
            assert value == pytest.approx(expected[step][tag], rel=1e-6)


def test_logged_twice_a_point_is_there_once(harness: Command, results: Path) -> None:
    pytest.importorskip("tensorboard")
    for _ in range(2):
        assert harness("log", "--to", "tensorboard", "logs", results).returncode == 0
    assert len(list(harness.folder.rglob("events.*"))) == 2


def test_a_run_logs_itself_when_it_is_finished(
    harness: Command, folder: Path, expected: dict[int, dict[str, float]]
) -> None:
    pytest.importorskip("tensorboard")
    done = harness(*replay(folder), HARNESS_LOG="tensorboard:logs")
    assert done.returncode == 0, done.stderr
    ((_, tags),) = scalars(harness.folder / "logs").items()
    assert tags[PASS1] == [[105, pytest.approx(expected[105][PASS1], rel=1e-6)]]


# -- Weights & Biases --------------------------------------------------------------------------------


def test_wandb_offline_keeps_the_curve_until_it_is_synced(
    harness: Command, results: Path, expected: dict[int, dict[str, float]]
) -> None:
    pytest.importorskip("wandb")
    environment = {"WANDB_MODE": "offline", "HOME": str(harness.folder), "PYTHONWARNINGS": "ignore"}
    done = harness("log", "--to", "wandb", "fathom", results, **environment)
    assert done.returncode == 0, done.stderr
    assert "wandb sync" in done.stdout
    (file,) = harness.folder.rglob("run-*.wandb")
    rows = wandb_rows(file)
    assert [row["step"] for row in rows] == [21, 105]
    for row in rows:
        assert row[safe(PASS1)] == expected[row["step"]][PASS1]
        assert {safe(name) for name in expected[row["step"]]} <= row.keys()


def wandb_rows(file: Path) -> list[dict[str, Any]]:
    """The history in a run's file: records in leveldb's log format, each a protobuf message."""
    from wandb.proto import wandb_internal_pb2

    data = file.read_bytes()
    assert data[:4] == b":W&B"
    rows, start = [], 7
    while start + 7 <= len(data):
        length, kind = int.from_bytes(data[start + 4 : start + 6], "little"), data[start + 6]
        assert kind == 1, "the file of so small a run has whole records only"
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data[start + 7 : start + 7 + length])
        start += 7 + length
        if record.WhichOneof("record_type") == "history":
            items = record.history.item
            rows.append(
                {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in items}
            )
    return rows


def test_wandb_without_an_account_is_one_line(harness: Command, results: Path) -> None:
    pytest.importorskip("wandb")
    environment = {"HOME": str(harness.folder), "WANDB_API_KEY": "", "WANDB_BASE_URL": "http://127.0.0.1:9"}
    done = harness("log", "--to", "wandb", "fathom", results, **environment)
    assert done.returncode == 1
    assert "wandb cannot write to 'fathom'" in done.stderr
    assert "Traceback" not in done.stderr


# -- MLflow ------------------------------------------------------------------------------------------


def mlflow_points(harness: Command, uri: str, **env: str) -> dict[str, list[list[float]]]:
    """Metric -> (step, value) of the one run of the experiment."""
    code = (
        "import json, sys; from mlflow import MlflowClient; c = MlflowClient(tracking_uri=sys.argv[1])\n"
        "e = c.get_experiment_by_name('fathom-harness'); (run,) = c.search_runs([e.experiment_id])\n"
        "print(json.dumps({k: [(m.step, m.value) for m in c.get_metric_history(run.info.run_id, k)]\n"
        "                  for k in run.data.metrics}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, uri],
        cwd=harness.folder,
        env={**harness.environment(**env), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


@pytest.mark.parametrize("store", ["sqlite", "file"])
def test_mlflow_holds_the_curve_once_however_often_it_is_logged(
    harness: Command, results: Path, expected: dict[int, dict[str, float]], store: str
) -> None:
    pytest.importorskip("mlflow")
    if store == "sqlite":
        pytest.importorskip("sqlalchemy")
        pytest.importorskip("alembic")
    uri = "sqlite:///mlflow.db" if store == "sqlite" else (harness.folder / "runs").as_uri()
    environment = {"MLFLOW_ALLOW_FILE_STORE": "true", "PYTHONWARNINGS": "ignore"}
    for _ in range(2):
        done = harness("log", "--to", "mlflow", uri, results, **environment)
        assert done.returncode == 0, done.stderr
    points = mlflow_points(harness, uri, **environment)
    assert points.keys() == {safe(name) for name in expected[21]}
    for name in expected[21]:
        assert sorted(points[safe(name)]) == [[21, expected[21][name]], [105, expected[105][name]]]


def test_a_refusal_of_mlflow_is_one_line(harness: Command, results: Path) -> None:
    pytest.importorskip("mlflow")
    done = harness("log", "--to", "mlflow", "nonsense://x", results, PYTHONWARNINGS="ignore")
    assert done.returncode == 1
    assert "mlflow cannot write to 'nonsense://x'" in done.stderr
    assert "Traceback" not in done.stderr


# -- the command -------------------------------------------------------------------------------------


def test_unknown_loggers_and_empty_results_are_said(harness: Command, results: Path, tmp_path: Path) -> None:
    assert "did you mean tensorboard?" in harness("log", "--to", "tensorbord", "x", results).stderr
    assert "Missing option '--to'" in harness("log", results).stderr
    make_run(tmp_path, FIRST, 1, 0.5)
    for scores in tmp_path.rglob("scores.json"):
        scores.unlink()
    pytest.importorskip("tensorboard")
    assert "nothing to log" in harness("log", "--to", "tensorboard", "x", tmp_path / "results").stderr


def test_runs_that_are_not_finished_are_said_to_be_left_out(harness: Command, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    make_run(tmp_path, FIRST, 1, 0.5)
    make_run(tmp_path, LAST, 2, 0.5)
    next(tmp_path.rglob("scores.json")).unlink()
    done = harness("log", "--to", "tensorboard", tmp_path / "logs", tmp_path / "results")
    assert "1 of 2 runs are not finished and left out" in done.stderr
    assert "1 run -> tensorboard" in done.stdout
