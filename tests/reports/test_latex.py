"""The report as LaTeX: tables for a paper, in which a model's name is text and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.plugins import PluginManager

from .made import HOSTILE, make_run, report_of, solving


def render(plugins: PluginManager, *results: dict[str, object], **options: object) -> str:
    return plugins.reporter("latex").render(report_of(*results, **options))


def test_scores_and_comparisons_are_booktabs_tables(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, name, solving(share), benchmark)
        for name, share in (("good", 0.9), ("bad", 0.2))
        for benchmark in ("aime25", "hmmt25")
    ]
    text = render(plugins, *runs)
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 2
    assert r"\label{tab:overview}" in text
    assert r" & \multicolumn{2}{c}{aime25} & \multicolumn{2}{c}{hmmt25} & " in text
    assert r"\cmidrule(lr){2-3}\cmidrule(lr){4-5}" in text
    (row,) = [line for line in text.split("\n") if line.startswith("good & ")]
    assert r"\textbf{90.00 $\pm$ " in row
    tabular = text[text.index(r"\begin{tabular}") : text.index(r"\bottomrule")]
    assert tabular.index("good") < tabular.index("bad")


def test_every_row_has_all_columns(plugins: PluginManager, tmp_path: Path) -> None:
    text = render(plugins, *(make_run(tmp_path, name, solving(0.5)) for name in (HOSTILE, "b & c")))
    for table in text.split(r"\midrule")[1:]:
        body = table[: table.index(r"\bottomrule")].strip().split("\n")
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in body}) == 1


def test_a_name_runs_nothing(plugins: PluginManager, tmp_path: Path) -> None:
    text = render(plugins, make_run(tmp_path, HOSTILE, solving(0.5)), make_run(tmp_path, "b", solving(0.5)))
    assert r"\input" not in text
    assert r"\textbackslash{}input\{/etc/passwd\}" in text
    bare = re.sub(r"\\[\\{}$&#%_]", "", text)
    assert bare.count("{") == bare.count("}")
    assert bare.count("$") % 2 == 0
    assert "#" not in bare


def test_without_results_there_is_a_comment(plugins: PluginManager) -> None:
    assert render(plugins) == "% no results\n"


def test_published_figures_bear_their_footnotes(plugins: PluginManager) -> None:
    text = render(plugins, published=plugins.published)
    assert r"o1{-}preview\textsuperscript{a,b}" in text
    assert r"\textsuperscript{b}\,3 runs only" in text


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
def test_it_can_be_set(plugins: PluginManager, tmp_path: Path) -> None:
    runs = [make_run(tmp_path, name, solving(share)) for name, share in ((HOSTILE, 0.9), ("bad", 0.2))]
    runs[0]["warnings"] = ["\\undefined $ % {"]
    head = "\\documentclass{article}\\usepackage{booktabs,graphicx}\\begin{document}\n"
    text = render(plugins, *runs, published=plugins.published)
    (tmp_path / "paper.tex").write_text(f"{head}{text}\\end{{document}}\n", encoding="utf-8")
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
        cwd=tmp_path,
        capture_output=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
