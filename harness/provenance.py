"""run.json: what was asked, and where the numbers come from.

What was asked is written once. Each time that chains are sampled adds a session, with what was different that day:
versions, hardware, the sampler's options.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from . import __version__
from .components import Engine, Protocol
from .models import ResolvedModel
from .protocol import data_fingerprint
from .selection import Selection
from .task import Task


def describe(
    task: Task, protocol: Protocol, seed: int, fingerprint: str, selection: Selection
) -> dict[str, Any]:
    """What was asked."""
    return asked(task, protocol, seed, fingerprint, selection.model, selection.sampler.name)


def asked(
    task: Task, protocol: Protocol, seed: int | None, fingerprint: str, model: ResolvedModel, sampler: str
) -> dict[str, Any]:
    """What was asked, also of chains that somebody else sampled."""
    benchmark = task.benchmark
    return {
        "harness": __version__,
        "fingerprint": fingerprint,
        "model": {"name": model.name, "repo": model.repo, "revision": model.revision, **model.identity()},
        "benchmark": {
            "name": benchmark.name,
            "label": benchmark.label,
            "parameters": benchmark.values,
            "origin": task.origin,
            "fingerprint": data_fingerprint(task.problems, task.prompts),
            "normalizer": protocol.normalizer or benchmark.normalizer,
            "problems": len(task.problems),
            "notes": dict(task.notes),
            "warnings": list(task.warnings),
        },
        "protocol": {name: getattr(protocol, name) for name in protocol.__dataclass_fields__},
        "seed": seed,
        "sampler": sampler,
        "sessions": [],
    }


def session(
    selection: Selection, engine: Engine, n: int, stored_before: int, replicas: int | None = None
) -> dict[str, Any]:
    """One time that chains were sampled."""
    spread = {} if replicas is None else {"replicas": replicas}
    return {
        "started": now(),
        "harness": __version__,
        "n": n,
        "stored_before": stored_before,
        "sampler": {
            "name": selection.sampler.name,
            "options": dict(selection.options),
            "why": selection.reason,
        },
        **spread,
        "engine": dict(engine.info),
        "hardware": _hardware(),
    }


def with_session(info: Mapping[str, Any], added: Mapping[str, Any]) -> dict[str, Any]:
    return {**info, "sessions": [*info.get("sessions", []), added], "status": "running"}


def with_session_so_far(info: Mapping[str, Any], session: Mapping[str, Any]) -> dict[str, Any]:
    """With what is known by now of the last session in place of what was known before."""
    return {**info, "sessions": [*info.get("sessions", [])[:-1], session]}


def _hardware() -> dict[str, Any]:
    return {
        "platform": platform.platform(),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
