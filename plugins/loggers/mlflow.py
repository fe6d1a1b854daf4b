"""MLflow: one MLflow run a curve in the experiment "fathom-harness", on a server or in a database file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import time
from typing import Any, Final

from harness import hookimpl

from ._logger import SETTINGS, Logger, Point, safe

_EXPERIMENT: Final = "fathom-harness"
_TAG: Final = "harness.curve"
_MOST_IN_A_BATCH: Final = 1000  # what MLflow's server takes


class MLflow(Logger):
    name = "mlflow"
    package = "mlflow"
    target = "tracking URI, as in sqlite:///mlflow.db"

    def put(self, target: str, curves: Mapping[str, Sequence[Point]]) -> str:
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=target)
        known = client.get_experiment_by_name(_EXPERIMENT)
        experiment = client.create_experiment(_EXPERIMENT) if known is None else known.experiment_id
        for curve, points in curves.items():
            run = _run_of(client, experiment, curve, points[0])
            fresh = [
                metric for point in points for metric in _metrics(point) if not _is_there(client, run, metric)
            ]
            for start in range(0, len(fresh), _MOST_IN_A_BATCH):
                client.log_batch(run, metrics=fresh[start : start + _MOST_IN_A_BATCH])
            client.set_terminated(run)
        return f"mlflow server --backend-store-uri {target}" if "://" in target[:10] else target


def _run_of(client: Any, experiment: str, curve: str, point: Point) -> str:
    """The MLflow run of a curve, made where there is none: what is logged later goes on where it stood."""
    for run in client.search_runs([experiment], f"tags.`{_TAG}` = '{_quoted(curve)}'", max_results=1):
        return str(run.info.run_id)
    made = client.create_run(experiment, run_name=curve[:250], tags={_TAG: _quoted(curve)})
    params = {name: point.result.get(name) for name in SETTINGS} | {"series": point.series[:250]}
    for name, value in params.items():
        client.log_param(made.info.run_id, name, value)
    return str(made.info.run_id)


def _metrics(point: Point) -> list[Any]:
    from mlflow.entities import Metric

    now = int(time() * 1000)
    return [Metric(safe(name)[:250], value, now, point.step) for name, value in point.figures.items()]


def _is_there(client: Any, run: str, metric: Any) -> bool:
    """Whether the very same point was logged before."""
    history = client.get_metric_history(run, metric.key)
    return any(point.step == metric.step and point.value == metric.value for point in history)


def _quoted(text: str) -> str:
    """A curve's name as it may stand in a search."""
    return safe(text.replace("=", "_"))[:500]


LOGGER = MLflow()


@hookimpl
def harness_run_started() -> None:
    LOGGER.started()


@hookimpl
def harness_run_finished(result: dict[str, object]) -> None:
    LOGGER.finished(result)
