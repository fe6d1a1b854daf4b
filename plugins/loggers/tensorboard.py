"""TensorBoard: one run a curve, one scalar a figure. Needs neither TensorFlow nor torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from time import time

from harness import hookimpl

from ._logger import Logger, Point


class TensorBoard(Logger):
    name = "tensorboard"
    package = "tensorboard"
    target = "folder"

    def put(self, target: str, curves: Mapping[str, Sequence[Point]]) -> str:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        from harness.files import safe_name

        folder = Path(target).expanduser()
        for points in curves.values():
            place = folder / safe_name(points[0].series) / safe_name(points[0].setting)
            for point in points:
                suffix = f".harness-{safe_name(str(point.result['fingerprint']))}"
                place.mkdir(parents=True, exist_ok=True)
                # A run that is logged again replaces what was logged of it.
                for old in place.glob(f"events.out.tfevents.*{suffix}"):
                    old.unlink(missing_ok=True)
                values = [Summary.Value(tag=name, simple_value=v) for name, v in point.figures.items()]
                writer = EventFileWriter(str(place), filename_suffix=suffix)
                writer.add_event(Event(step=point.step, wall_time=time(), summary=Summary(value=values)))
                writer.close()
        return f"tensorboard --logdir {folder}"


LOGGER = TensorBoard()


@hookimpl
def harness_run_started() -> None:
    LOGGER.started()


@hookimpl
def harness_run_finished(result: dict[str, object]) -> None:
    LOGGER.finished(result)
