"""Names of checkpoints: which training run, which step."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_STEP: Final = re.compile(
    r"^(?P<series>.*?)[-_/.]*(?:(?:checkpoint|ckpt|global_step|step|iter|epoch)s?[-_]?)(?P<step>\d{1,12})$",
    re.IGNORECASE,
)


class Checkpoint(NamedTuple):
    series: str
    """What the checkpoints of one training run have in common; may be empty."""
    step: int


def checkpoint_of(model: str) -> Checkpoint | None:
    """The training run and the step that a model's name tells of: "sky/ckpts_checkpoint-105" is step 105 of "sky"."""
    found = _STEP.match(model)
    if found is None:
        return None
    series = re.sub(r"[-_/.]*(?:ckpts?|checkpoints?)$", "", found["series"], flags=re.IGNORECASE)
    return Checkpoint(series, int(found["step"]))


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sort key by which step 21 comes before step 105."""
    parts = re.split(r"(\d{1,18})", name.lower())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part)
