"""Results as JSON: a list of objects, one a run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness import Reporter, hookimpl


class Json(Reporter):
    name = "json"
    description = "a list of objects with every figure, values in 0..1"

    def render(self, results: Sequence[Mapping[str, Any]]) -> str:
        return json.dumps(list(results), indent=2, ensure_ascii=False) + "\n"


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Json()]
