"""The command starts quickly because nothing heavy is imported before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = (
    "torch",
    "transformers",
    "datasets",
    "vllm",
    "sympy",
    "pandas",
    "numpy",
    "pyarrow",
    "pydantic",
    "openvino_genai",
)


@pytest.mark.parametrize("arguments", [["--help"], ["list"], ["plugins"], ["run", "--help"]])
def test_help_and_plugin_discovery_import_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys; from harness.cli import _main; "
        f"code = _main({arguments!r}); "
        f"print('heavy:', sorted(set({HEAVY!r}) & set(sys.modules)), code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("heavy: [] 0")


def test_importing_the_library_imports_nothing_heavy() -> None:
    code = f"import sys, harness, harness.evaluation; print(sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['pydantic']\n"  # run files are checked with it; plugin discovery does without
