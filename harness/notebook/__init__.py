"""The harness in Python: run, load and compare, with objects that a notebook shows as tables.

    import harness

    results = harness.run(model="Qwen/Qwen3-0.6B", bench="aime25", n=16)
    results = harness.load("results")
    results.scores                                   # a pandas frame
    harness.compare("results/first", "results/last")

Whatever the user can mend is a `HarnessError`; nothing here ends the process.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import HarnessError, closest
from ..plugins import load_plugins
from ..progress import Progress
from .comparisons import Comparisons, compare
from .results import RenderedReport, Results, load

__all__ = ["Comparisons", "RenderedReport", "Results", "compare", "load", "run"]


def run(
    model: str | os.PathLike[str] | None = None,
    bench: str | Sequence[str] | None = None,
    *,
    config: str | os.PathLike[str] | None = None,
    progress: bool | Progress = True,
    **flags: Any,
) -> Results:
    """Sample chains, grade them and score them, as `harness run` does; the same call goes on where it stopped.

    Args:
        model: a folder, a .gguf file, a Hub id, or a known name.
        bench: benchmarks, as a list or separated by commas.
        config: a YAML run file; arguments stand above it.
        progress: show how the run goes on; or an object that is told.
        flags: the flags of `harness run`, with `_` for `-`: n=16, max_tokens=4096, results="folder".

    Raises:
        HarnessError: anything the user can mend; chains sampled so far are stored.
        Interrupted: stopped by the user; the same call goes on.
    """
    from ..config import RunConfig, load_config
    from ..evaluation import evaluate
    from .progress import watching

    for name in flags:
        if name not in RunConfig.model_fields:
            raise HarnessError(
                f"harness.run has no argument {name!r}: {closest(name, RunConfig.model_fields)}"
            )
    if bench is None and config is None:
        raise HarnessError("harness.run needs a benchmark, as in bench='aime25'")
    asked = {"model": None if model is None else os.fspath(model), "bench": bench, **flags}
    run_config = load_config(None if config is None else Path(config), asked)
    plugins = load_plugins()
    with watching(progress) as told:
        for problem in plugins.problems:
            told.note(f"plugin {problem.name} ({problem.distribution}) has a problem: {problem.reason}")
        plugins.on_problem = lambda p: told.note(f"plugin {p.name} has a problem: {p.reason}")
        return Results(evaluate(run_config, plugins, told), plugins=plugins)
