"""Installs a stranger's plugin for processes that are started with a certain PYTHONPATH, Ray's workers among them."""

from __future__ import annotations

import os
import shutil
import tomllib
from pathlib import Path

PACKAGES = Path(__file__).resolve().parent.parent / "third_party"


def install(package: str, folder: Path) -> str:
    """Put a package of tests/third_party into a folder as an installer would. Returns the PYTHONPATH for it."""
    source = PACKAGES / package
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    points = project["entry-points"]["harness"]
    (info / "entry_points.txt").write_text(
        "[harness]\n" + "".join(f"{name} = {module}\n" for name, module in points.items())
    )
    for file in source.glob("*.py"):
        shutil.copy(file, folder)
    return os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
