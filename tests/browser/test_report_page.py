"""The html report in a real browser: it works from a file, without a network, and runs nothing but its own scripts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness import Published
from harness.report import Report

from ..reports.made import HOSTILE, make_run, report_of
from .conftest import Noise

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("jinja2")
pytest.importorskip("altair")
pytest.importorskip("vl_convert")

DRAWN = "body[data-charts=drawn]"

EVIL = (
    HOSTILE,
    "</script><img src=x onerror=alert(1)>",
    "<svg/onload=alert(2)>",
    '" onfocus=alert(3) autofocus x="',
    "javascript:alert(4)",
    "${alert(5)}",
    "datum.constructor.constructor('alert(6)')()",
)


def mixed(seed: int, problems: int = 30, n: int = 8) -> list[str]:
    draw = random.Random(seed)
    share = [min(1.0, draw.random() * (0.6 + seed / 10)) for _ in range(problems)]
    return ["".join("c" if draw.random() < s else draw.choice("abt-") for _ in range(n)) for s in share]


def write(report: Report, folder: Path) -> str:
    from harness_reports.html import Html

    file = folder / "report.html"
    file.write_text(Html().render(report), encoding="utf-8")
    return file.as_uri()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("page")
    models = ("alpha-9", "beta-10", "gamma-2", "sky/step-10", "sky/step-20")
    results = [
        make_run(folder, model, mixed(seed), benchmark)
        for seed, model in enumerate(models)
        for benchmark in ("aime25", "hmmt25")
    ]
    published = [
        Published(
            f"a-model-with-a-name-instruct-{size}B", "closed", "aime25", {"pass@1": 0.5, "cons@64": 0.6}, 64
        )
        for size in (14, 32)
    ]
    return write(report_of(*results, published=published, charts="svg"), folder)


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("evil")
    results = [
        make_run(folder, name, mixed(seed), benchmark, warnings=[name], protocol=EVIL[1])
        for seed, name in enumerate(EVIL)
        for benchmark in ("aime25", f"fresh:{EVIL[1]}")
    ]
    published = [Published(name, name, "aime25", {"pass@1": 0.5}, 64, name, name) for name in EVIL]
    return write(report_of(*results, published=published, charts="svg"), folder)


@pytest.fixture
def opened(page: Page, address: str) -> Page:
    page.goto(address)
    page.wait_for_selector(DRAWN)
    return page


def column(page: Page, section: str, place: int) -> list[str]:
    """Texts of a column of the first table of a section, as they stand on the screen."""
    rows = page.locator(f"#{section} table").first.locator("tbody tr:not(.heading)")
    return [" ".join(text.split()) for text in rows.locator(f"> :nth-child({place + 1})").all_inner_texts()]


def test_it_opens_from_a_file_draws_its_charts_and_asks_for_nothing(
    opened: Page, address: str, noise: Noise
) -> None:
    figures = opened.locator("figure")
    assert figures.count() == 15
    for place in range(figures.count()):
        marks = figures.nth(place).locator(
            ".plot svg .mark-rect path, .plot svg .mark-line path, .plot svg .mark-rule line"
        )
        assert marks.count() > 3, figures.nth(place).get_attribute("data-chart")
    assert opened.locator(".plot img").count() == 0, "the pictures for readers without scripts are gone"
    assert noise.requests == [address]
    assert noise.loud == []


def test_a_click_sorts_by_number_the_next_turns_it_the_third_restores_it(opened: Page, noise: Noise) -> None:
    head = opened.locator("#runs table thead tr:last-child th").nth(3)
    assert head.inner_text().startswith("pass@1")
    before = column(opened, "runs", 3)
    numbers = [float(text.split()[0]) for text in before]
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    assert [float(text.split()[0]) for text in column(opened, "runs", 3)] == sorted(numbers, reverse=True)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert [float(text.split()[0]) for text in column(opened, "runs", 3)] == sorted(numbers)
    head.locator("button").click()
    assert head.get_attribute("aria-sort") is None
    assert column(opened, "runs", 3) == before
    assert noise.loud == []


def test_the_keyboard_sorts_names_as_people_do(opened: Page) -> None:
    head = opened.locator("#runs table thead tr:last-child th").nth(0)
    head.locator("button").focus()
    opened.keyboard.press("Enter")
    assert head.get_attribute("aria-sort") == "ascending"
    names = column(opened, "runs", 0)
    assert names[:4] == ["alpha-9", "alpha-9", "beta-10", "beta-10"]
    opened.keyboard.press("Tab")
    opened.keyboard.press("Space")
    assert head.get_attribute("aria-sort") is None
    assert opened.locator("#runs th[aria-sort]").count() == 1


def test_what_is_not_known_stands_last_whichever_way_one_sorts(opened: Page) -> None:
    heads = opened.locator("#overview table thead tr:last-child th")
    place = next(i for i in range(heads.count()) if heads.nth(i).inner_text().startswith("truncated"))
    for _ in range(2):
        heads.nth(place).locator("button").click()
        assert column(opened, "overview", place)[-1] in ("", "?")
        assert opened.locator("#overview tr.heading").first.is_hidden()
    heads.nth(place).locator("button").click()
    assert opened.locator("#overview tr.heading").first.is_visible()


def test_the_theme_follows_the_system_and_the_reader_and_is_remembered(page: Page, address: str) -> None:
    def colours() -> tuple[str, str]:
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        ink = page.locator("#chart-cons-aime25 .role-axis-title text").first
        return paper, ink.evaluate("e => getComputedStyle(e).fill")

    page.emulate_media(color_scheme="light")
    page.goto(address)
    page.wait_for_selector(DRAWN)
    light = colours()
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(DRAWN)
    page.wait_for_function("document.documentElement.dataset.theme === 'dark'")
    page.wait_for_selector(DRAWN)
    dark = colours()
    assert light[0] == "rgb(255, 255, 255)"
    assert dark[0] != light[0]
    assert dark[1] != light[1], "charts follow"
    page.get_by_role("button", name="Light").click()
    page.wait_for_selector(DRAWN)
    assert colours() == light
    page.reload()
    page.wait_for_selector(DRAWN)
    assert colours() == light, "the choice outlives the page"


def test_on_a_phone_only_tables_scroll_sideways(page: Page, address: str, noise: Noise) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(address)
    page.wait_for_selector(DRAWN)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    box = page.locator("#overview .scroll").first
    assert box.evaluate("e => e.scrollWidth > e.clientWidth")
    first = box.locator("tbody tr:not(.heading) th").first
    left = first.bounding_box()
    box.evaluate("e => e.scrollLeft = 200")
    assert first.bounding_box() == left, "the models' names stay in sight"
    names = page.locator("#chart-figure-aime25 .role-axis-label text").all_text_contents()
    assert {name[-3:] for name in names if "…" in name} == {"14B", "32B"}, "names keep their ends"
    legend = page.locator(".role-legend-label text").all_text_contents()
    assert not [name for name in legend if name.endswith("…")]
    for svg in page.locator(".plot svg").all():
        shape = svg.bounding_box()
        assert shape is not None
        assert shape["x"] + shape["width"] <= 390
    assert noise.loud == []


def test_a_narrower_window_draws_the_charts_anew(opened: Page) -> None:
    chart = opened.locator("#chart-figure-aime25 svg")
    wide = chart.bounding_box()
    opened.set_viewport_size({"width": 420, "height": 800})
    opened.wait_for_function(
        "document.querySelector('#chart-figure-aime25 svg').getBoundingClientRect().width < 420"
        " && document.body.dataset.charts === 'drawn'"
    )
    narrow = chart.bounding_box()
    assert wide is not None
    assert narrow is not None
    assert narrow["width"] < wide["width"]
    assert narrow["height"] > 200


def test_pointing_at_a_mark_tells_its_numbers_as_text(page: Page, evil: str, noise: Noise) -> None:
    page.goto(evil)
    page.wait_for_selector(DRAWN)
    chart = page.locator("#chart-figure-aime25")
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(100)  # scrolling hides what is told
    bars = chart.locator(".mark-rect path").all()
    assert len(bars) >= 2 * len(EVIL)
    for bar in bars:
        box = bar.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        page.wait_for_selector("#tip:not([hidden])")
    assert "pass@1" in page.locator("#tip").inner_text()
    assert page.locator("#tip *:not(div):not(span)").count() == 0
    assert noise.loud == []


def test_a_click_on_a_name_shows_its_line_alone(opened: Page) -> None:
    def opacities() -> list[float]:
        lines = opened.locator("#chart-cons-aime25 .mark-line path")
        return sorted(float(line.get_attribute("opacity") or 1) for line in lines.all())

    assert opacities() == [1, 1, 1, 1, 1]
    opened.locator("#chart-cons-aime25 .role-legend-label text", has_text="beta-10").click()
    opened.wait_for_function(
        "document.querySelectorAll('#chart-cons-aime25 .mark-line path[opacity=\"0.12\"]').length === 4"
    )
    assert opacities() == [0.12, 0.12, 0.12, 0.12, 1]


def test_hostile_names_execute_nothing(page: Page, evil: str, noise: Noise) -> None:
    page.goto(evil)
    page.wait_for_selector(DRAWN)
    for head in page.locator("thead button").all():
        head.click()
    page.get_by_role("button", name="Dark").click()
    page.wait_for_selector(DRAWN)
    assert page.locator("figure svg").count() == page.locator("figure").count()
    assert (
        page.evaluate("document.querySelectorAll('[onerror],[onload],[onfocus],iframe,object').length") == 0
    )
    assert page.evaluate("document.querySelectorAll('a:not([href^=\"#\"])').length") == 0
    assert page.locator("main img").count() == 0
    assert noise.loud == []
    assert noise.requests == [evil]


def test_the_policy_stops_what_the_page_itself_never_does(opened: Page, noise: Noise) -> None:
    ran = opened.evaluate(
        """() => {
          window.ran = [];
          try { eval("window.ran.push('eval')"); } catch (error) { /* refused */ }
          try { document.body.innerHTML = "<img src=x onerror=ran.push('markup')>"; } catch (error) { /* refused */ }
          const script = document.createElement("script");
          script.append("window.ran.push('script')");
          try { document.head.append(script); } catch (error) { /* refused */ }
          fetch("http://127.0.0.1:9/").catch(() => 0);
          return new Promise(done => setTimeout(() => done(window.ran), 200));
        }"""
    )
    assert [what for what in ran if what != "eval"] == []  # the debugger itself may evaluate
    assert any("Content Security Policy" in text for text in noise.console)
    assert noise.requests == noise.requests[:1], "nothing was asked for"


def test_without_scripts_tables_and_the_figure_are_there(browser: object, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(address)
    picture = page.locator("#chart-figure-aime25 img")
    box = picture.bounding_box()
    assert box is not None
    assert box["width"] > 300
    assert box["height"] > 100
    assert page.locator("noscript").first.is_visible()
    assert page.locator("#runs tbody tr").count() == 10
    assert page.locator("#theme").is_hidden()
    context.close()


def test_printed_it_has_no_buttons_and_whole_tables(opened: Page) -> None:
    opened.emulate_media(media="print")
    assert opened.locator("#theme").is_hidden()
    assert opened.locator("nav").is_hidden()
    assert opened.locator("#runs .scroll").evaluate("e => getComputedStyle(e).overflowX") == "visible"
    assert opened.pdf()[:5] == b"%PDF-"
