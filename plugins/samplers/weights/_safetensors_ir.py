"""A checkpoint of safetensors as OpenVINO IR: every weight as it is, and positions rotated as the model wants it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.models import OPENVINO_IR
from harness.safetensors import WIDTHS, Stored, check_finite, opened

from ._cache import check_disk
from ._graph import build
from ._hf_config import read_config, shape_of
from ._tensor_names import match


def convert(folder: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Make `target` a folder with the model in `folder` as OpenVINO IR, its config.json beside it.

    The weights are written in the types that they have, so that nothing is lost. Takes about as long as reading them
    twice and writing them once. Memory: a few tens of megabytes; what is mapped from the files counts as used as well.

    Args:
        progress: called with bytes of weights looked at so far and in all.

    Raises:
        HarnessError: the model is of no family that can be converted, its files are damaged or do not fit each other,
            a weight is not a number, or the disk is too full.
    """
    import openvino

    shape = shape_of(read_config(folder), folder)
    with opened(folder) as checkpoint:
        found = {stored.name.removeprefix("model."): stored for stored, _ in match(checkpoint, shape, folder)}
        total = sum(stored.values * WIDTHS[stored.type] for stored in found.values())
        check_disk(target.parent, total)
        done = 0
        for stored in found.values():
            for values in checkpoint.pieces(stored):
                check_finite(stored, values)
                done += values.size * WIDTHS[stored.type]
                progress(done, total)

        def tensor(stored: Stored) -> Any:
            kind = {"F32": openvino.Type.f32, "F16": openvino.Type.f16, "BF16": openvino.Type.bf16}[
                stored.type
            ]
            return openvino.Tensor(checkpoint.raw(stored), openvino.Shape(list(stored.shape)), kind)

        tensors = {name: tensor(stored) for name, stored in found.items()}
        target.mkdir()
        openvino.save_model(
            build(shape, shape.rotation, tensors.get), target / OPENVINO_IR, compress_to_fp16=False
        )
        tensors.clear()
    shutil.copyfile(folder / "config.json", target / "config.json")
