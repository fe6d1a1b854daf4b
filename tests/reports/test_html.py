"""The report as one page: it needs nothing but itself, and nothing that is measured can become part of its markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from harness import HarnessError, Published
from harness.plugins import PluginManager
from harness.report import Report
from harness_reports.tables import all_tables

from ..conftest import Command
from .made import HOSTILE, make_run, report_of, solving

pytest.importorskip("jinja2")
pytest.importorskip("altair")
pytest.importorskip("vl_convert")

NAMES = (
    HOSTILE,
    "</script><img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)',
    "{{7*7}}{% raw %}",
    "a\0b\u2028c",
)


TAGS = set(
    re.findall(
        r"\S+",
        "html head meta title style script body a header div h1 h2 h3 p button nav ul li main section table thead tbody"
        " tr th td span strong sup figure figcaption img noscript code dl dt dd footer details summary",
    )
)
"""All that the page is made of."""

SECTIONS = ("overview", "figure", "comparisons", "budgets", "votes", "problems", "lengths", "runs", "reading")


class Page(HTMLParser):
    """What a browser would find in a page."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str, str]] = []
        self.ids: list[str] = []
        self.inline: list[tuple[str, dict[str, str], str]] = []
        """Scripts and style sheets: tag, attributes, content."""
        self.words: list[str] = []
        self.cells: list[tuple[str, str | None]] = []
        self._cell: list[str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in given.items()]
        self.ids += [given["id"]] if "id" in given else []
        if tag in ("script", "style"):
            self.inline.append((tag, given, ""))
        if tag == "td":
            self._cell = []
            self.cells.append(("", given.get("data-value")))

    def handle_endtag(self, tag: str) -> None:
        if tag == "td" and self._cell is not None:
            self.cells[-1] = (" ".join("".join(self._cell).split()), self.cells[-1][1])
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is not None:
            tag, given, content = self.inline[-1]
            self.inline[-1] = (tag, given, content + data)
            return
        self.words.append(data)
        if self._cell is not None:
            self._cell.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def policy(self) -> dict[str, list[str]]:
        (policy,) = [value for tag, name, value in self.attributes if name == "content" and "-src" in value]
        return {name: values for name, *values in (part.split() for part in policy.split(";"))}


def render(report: Report) -> str:
    from harness_reports.html import Html

    return Html().render(report)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, str]:
    """A report in which every text that comes from data wants to become markup, and its page."""
    folder = tmp_path_factory.mktemp("hostile")
    evil = NAMES[1]
    results = [
        make_run(folder, name, solving(place / 5, 10), benchmark, warnings=[evil], protocol=evil, grader=evil)
        for place, name in enumerate(NAMES)
        for benchmark in ("aime25", f"fresh:{evil}")
    ]
    published = [Published(evil, evil, "aime25", {"pass@1": 0.5, "cons@64": 0.6}, 64, evil, evil)]
    report = report_of(*results, published=published, charts="svg")
    return report, render(report)


@pytest.fixture(scope="module")
def page(hostile: tuple[Report, str]) -> Page:
    return Page(hostile[1])


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    for tag, name, value in page.attributes:
        if name in (
            "src",
            "href",
            "srcset",
            "data",
            "action",
            "formaction",
            "poster",
            "background",
            "xlink:href",
        ):
            assert value.startswith(("#", "data:image/svg+xml;base64,")), (tag, name, value)
    css = next(content for tag, _, content in page.inline if tag == "style")
    assert "url(" not in css
    assert "@import" not in css
    assert not page.tags & {"link", "iframe", "object", "embed", "base", "form", "video", "audio"}


def test_the_policy_names_every_script_and_allows_nothing_else(page: Page) -> None:
    policy = page.policy
    assert policy["default-src"] == ["'none'"]
    assert policy["base-uri"] == policy["form-action"] == ["'none'"]
    assert policy["img-src"] == ["data:"]
    assert "connect-src" not in policy
    assert "unsafe" not in str(policy)
    assert policy["require-trusted-types-for"] == ["'script'"]
    for kind in ("script", "style"):
        code = [
            content
            for tag, given, content in page.inline
            if tag == kind and given.get("type", "") != "application/json"
        ]
        digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in code]
        assert policy[f"{kind}-src"] == [f"'sha256-{digest}'" for digest in digests]


def test_data_never_become_markup(page: Page) -> None:
    assert page.tags <= TAGS
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert len(page.ids) == len(set(page.ids))
    assert "alert(1)" in page.text
    assert "{{7*7}}" in page.text


def test_data_for_the_charts_survive_every_name(hostile: tuple[Report, str], page: Page) -> None:
    (content,) = [text for _, given, text in page.inline if given.get("type") == "application/json"]
    assert not re.search("[<>&\u2028]", content)
    data = json.loads(content)
    drawn = {value for tag, name, value in page.attributes if (tag, name) == ("figure", "data-chart")}
    assert drawn == set(data["charts"])
    assert "title" not in next(iter(data["charts"].values()))


def test_control_characters_do_not_reach_the_reader(hostile: tuple[Report, str]) -> None:
    assert not re.search(
        "[\0\x1b\x07\u202e\u2028]", re.sub("<script>.*?</script>", "", hostile[1], flags=re.S)
    )


def test_every_cell_of_every_table_is_on_the_page_with_what_it_sorts_by(
    tmp_path: Path, plugins: PluginManager
) -> None:
    results = [
        make_run(tmp_path, model, solving(share, 12), benchmark)
        for model, share in (("a", 0.3), ("b", 0.9), ("x/step-5", 0.5), ("x/step-6", 0.6))
        for benchmark in ("aime25", "hmmt25")
    ]
    report = report_of(*results, published=plugins.published, charts=None)
    page = Page(render(report))
    tables = all_tables(report)
    cells = [
        (" ".join((cell.text + cell.note).split()), None if cell.value is None else repr(float(cell.value)))
        for table in tables
        for row in table.rows
        for cell in row.cells[1:]
    ]
    found = [(text, None if value is None else repr(float(value))) for text, value in page.cells if text]
    assert found == [cell for cell in cells if cell[0]]
    for table in tables:
        assert table.title in page.text
        for note in table.notes:
            assert " ".join(note.split()) in page.text
        for row in table.rows:
            assert row.cells[0].text in page.text
            assert row.group in page.text


def test_the_contents_lead_to_every_section(page: Page) -> None:
    contents = [value for tag, name, value in page.attributes if (tag, name) == ("a", "href")]
    skip, *sections = contents
    assert skip == "#content"
    assert sections == [f"#{name}" for name in SECTIONS]
    assert {link.removeprefix("#") for link in contents} <= set(page.ids)


def test_without_charts_the_page_is_small_and_needs_no_chart_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("altair", "vl_convert"):
        monkeypatch.setitem(sys.modules, library, None)
    text = render(report_of(make_run(tmp_path, "m", solving(0.5)), charts=None))
    assert len(text) < 100_000
    assert "<figure" not in text
    assert "pass@1" in Page(text).text


@pytest.mark.parametrize("missing", ["altair", "vl_convert", "jinja2"])
def test_a_missing_library_is_named_with_the_command_that_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    report = report_of(make_run(tmp_path, "m", solving(0.5)), charts="svg")
    with pytest.raises(HarnessError, match=r'pip install "fathom-harness\[report\]"'):
        render(report)


def test_a_script_that_makes_a_report_runs_once(tmp_path: Path) -> None:
    make_run(tmp_path / "results", "m", solving(0.5))
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\n"
        "from harness.plugins import load_plugins\n"
        "from harness.report import Report\n"
        "from harness.results import finished_below\n"
        f"found = finished_below([Path({str(tmp_path / 'results')!r})])\n"
        "page = load_plugins().reporter('html').render(Report(found.results, charts='svg'))\n"
        "print('made', page.rstrip().endswith('</html>'))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("made True\n", "")


def test_published_figures_alone_make_a_page(plugins: PluginManager) -> None:
    page = Page(render(report_of(published=plugins.published, charts="svg")))
    assert "figure-aime25" in [value for tag, name, value in page.attributes if name == "data-chart"]
    assert "72.24" in page.text
    assert f"{len(plugins.published)} published scores" in page.text


def test_nothing_to_report_is_said() -> None:
    page = Page(render(report_of(charts="svg")))
    assert "Nothing is measured here" in page.text
    assert "img" not in page.tags


def test_a_damaged_run_is_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    results = [
        make_run(tmp_path, name, solving(share, 12)) for name, share in (("a", 0.3), ("b", 0.9), ("c", 0.5))
    ]
    (Path(results[0]["path"]) / "grades.parquet").write_bytes(b"not parquet")
    page = Page(render(report_of(*results, charts="svg")))
    assert "a on aime25 is compared with nothing" in page.text
    assert "figure-aime25" in [value for _, name, value in page.attributes if name == "data-chart"]


def test_a_script_cannot_end_its_element() -> None:
    from harness_reports.html.policy import Asset, Json

    script = Asset('a = "</script><!-- </STYLE >";\r\nb\0').__html__()
    assert script == 'a = "<\\/script><\\!-- <\\/STYLE >";\nb\\0'
    data: Any = {"</script>": "<!--&\u2028\ud800"}
    assert json.loads(Json(data).__html__()) == data


def test_harness_report_writes_the_page(harness: Command, tmp_path: Path) -> None:
    make_run(harness.folder / "results", "mine", solving(0.5))
    done = harness("report", "-o", "report.html")
    assert done.returncode == 0, done.stderr
    assert [file.name for file in harness.folder.iterdir() if file.is_file()] == ["report.html"]
    text = (harness.folder / "report.html").read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text == harness("report", "--format", "html").stdout
