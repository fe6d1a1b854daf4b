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
        there = client.get_experiment_by_name(_EXPERIMENT)
        experiment = client.create_experiment(_EXPERIMENT) if there is None else there.experiment_id
        for curve, points in curves.items():
            run = _run_of(client, experiment, curve, points[0])
            metrics = [metric for point in points for metric in _metrics(point)]
            # One question a metric, however many points it has.
            known = {key: _logged(client, run, key) for key in {metric.key for metric in metrics}}
            fresh = [metric for metric in metrics if (metric.step, metric.value) not in known[metric.key]]
            for start in range(0, len(fresh), _MOST_IN_A_BATCH):
                client.log_batch(run, metrics=fresh[start : start + _MOST_IN_A_BATCH])
            client.set_terminated(run)
        is_server = target.startswith(("http://", "https://")) or "://" not in target
        return target if is_server else f"mlflow server --backend-store-uri {target}"


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


def _logged(client: Any, run: str, key: str) -> set[tuple[int, float]]:
    """Step and value of the points of a metric that were logged before."""
    return {(point.step, point.value) for point in client.get_metric_history(run, key)}


def _quoted(text: str) -> str:
    """A curve's name as it may stand in a search."""
    return safe(text)[:500]


LOGGER = MLflow()


@hookimpl
def harness_run_started() -> None:
    LOGGER.started()


@hookimpl
def harness_run_finished(result: dict[str, object]) -> None:
    LOGGER.finished(result)
