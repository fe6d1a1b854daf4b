"""Documentation and code say the same: every hook is documented with its arguments, and has a test."""

from __future__ import annotations

import inspect
import re

import pytest

from harness import hookspecs
from harness.plugins import hook_names

from .conftest import ROOT


@pytest.mark.parametrize("name", hook_names())
def test_every_hook_is_documented_with_its_arguments(name: str) -> None:
    arguments = ", ".join(inspect.signature(getattr(hookspecs, name)).parameters)
    headings = re.findall(
        r"^### (.+)$", (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert f"{name}({arguments})" in headings


@pytest.mark.parametrize("name", hook_names())
def test_every_hook_has_a_docstring_and_a_test(name: str) -> None:
    assert getattr(hookspecs, name).__doc__
    tests = "".join(
        file.read_text(encoding="utf-8")
        for file in (ROOT / "tests").rglob("*.py")
        if file.name != "test_docs.py"
    )
    assert name in tests


def test_no_documented_hook_is_gone() -> None:
    text = (ROOT / "docs" / "hooks.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (harness_\w+)", text, re.MULTILINE)) == set(hook_names())


def test_the_example_in_the_readme_is_the_tested_package() -> None:
    example = (ROOT / "tests" / "third_party" / "squares" / "harness_squares.py").read_text(encoding="utf-8")
    assert example.strip() in (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (\w+)", (ROOT / "README.md").read_text(encoding="utf-8"))):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
