"""`harness view` in a real browser: from runs to a chain, by mouse and by keys, with models that mean harm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from ..view.conftest import Made, bad, good, made, served
from ..view.serving import Served, Writer, key_of, serving
from .conftest import Noise

if TYPE_CHECKING:
    from playwright.sync_api import Page

__all__ = ["bad", "good", "made", "served"]  # fixtures

COLOUR = "getComputedStyle(document.body).backgroundColor"


@pytest.fixture(autouse=True)
def quiet(noise: Noise, page: Page) -> Iterator[None]:
    """Whatever a test does: no dialog, no error, no complaint of the browser, no request to anywhere else."""
    yield
    assert noise.loud == []


def at(page: Page, selector: str) -> None:
    """Wait for a page that has this and hears keys."""
    page.wait_for_selector(f"body.scripted {selector}")


def models(page: Page) -> list[str]:
    return page.locator("a.row").all_inner_texts()


def test_one_walks_from_the_runs_to_a_chain_and_back(page: Page, served: Served, made: Made) -> None:
    page.goto(served.url)
    assert models(page) == ["bad<b>model", "good/model-7B"]
    page.get_by_role("link", name="good/model-7B").click()
    page.wait_for_selector("h1:has-text('good/model-7B')")
    assert page.locator("a.row").count() == 6
    page.get_by_role("link", name=made.problems[0]).click()
    page.wait_for_selector("table.votes")
    assert page.locator("a.row").count() == 8
    page.locator("a.row").nth(3).click()
    page.wait_for_selector("article .boxed")
    assert "chain 3" in page.inner_text("h1")
    page.locator("summary", has_text="Reasoning").click()
    fraction = page.locator("math mfrac").first
    box = fraction.bounding_box()
    assert box is not None
    assert box["height"] > box["width"]  # one above the other: the browser takes it for mathematics
    page.locator(".crumbs a").first.click()
    page.wait_for_selector("h1:has-text('Runs')")


def test_a_click_on_a_heading_sorts_and_the_address_can_be_shared(page: Page, served: Served) -> None:
    page.goto(served.url)
    page.get_by_role("link", name="pass@1").click()
    page.wait_for_selector("th[aria-sort=descending]")
    assert models(page) == ["good/model-7B", "bad<b>model"]
    assert page.url.endswith("/?sort=-pass1")
    page.get_by_role("link", name="pass@1").click()
    page.wait_for_selector("th[aria-sort=ascending]")
    assert models(page) == ["bad<b>model", "good/model-7B"]
    page.goto(f"{served.url}/?sort=-pass1")
    assert models(page) == ["good/model-7B", "bad<b>model"]


def test_problems_and_chains_are_filtered(page: Page, served: Served, made: Made, bad: str) -> None:
    page.goto(served.url + bad)
    page.fill("input[name=q]", made.problems[4])
    page.keyboard.press("Enter")
    page.wait_for_url("**?q=*")
    assert models(page) == [made.problems[4]]
    assert "kind=" not in page.url  # what was left empty does not stand in the address
    page.goto(f"{served.url}{bad}/problem/{made.problems[1]}")
    page.select_option("select[name=status]", "incorrect")
    page.wait_for_url("**status=incorrect*")
    verdicts = set(page.locator("table.chains .badge").all_inner_texts())
    assert verdicts == {"incorrect"}
    page.get_by_role("link", name="Clear").click()
    page.locator("a.row").nth(7).wait_for()


def test_two_runs_are_chosen_and_compared(page: Page, served: Served, made: Made) -> None:
    page.goto(served.url)
    button = page.get_by_role("button", name="Compare")
    assert button.is_disabled()
    page.get_by_label("A: good/model-7B").check()
    page.get_by_label("B: bad<b>model").check()
    button.click()
    page.wait_for_selector("svg.scatter")
    assert page.locator("svg.scatter circle").count() == 6
    assert page.locator(".heat .pair").count() == 6
    assert "A is better" in page.inner_text("table.tests")
    page.locator("a.row").first.click()
    page.wait_for_selector(".sides")
    page.locator(".side").nth(1).locator(".pick").nth(4).click()
    page.wait_for_url("**bi=4*")
    assert "chain 4" in page.locator(".side").nth(1).locator(".about").inner_text()


def test_light_and_dark_by_the_system_and_by_choice(page: Page, served: Served) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(served.url)
    light = page.evaluate(COLOUR)
    page.emulate_media(color_scheme="dark")
    dark = page.evaluate(COLOUR)
    assert dark != light
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(COLOUR) == light
    page.reload()
    assert page.evaluate(COLOUR) == light
    page.keyboard.press("t")
    assert page.evaluate(COLOUR) == dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(COLOUR) == dark


def test_everything_can_be_reached_by_keys(page: Page, served: Served, made: Made) -> None:
    page.goto(served.url)
    for key in ("j", "j"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.textContent") == "good/model-7B"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    at(page, "table.problems")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    at(page, "table.chains")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    at(page, ".verdict")
    page.keyboard.press("j")
    at(page, "h1:has-text('chain 1')")
    page.keyboard.press("ArrowRight")
    at(page, "h1:has-text('chain 2')")
    page.keyboard.press("k")
    at(page, "h1:has-text('chain 1')")
    page.keyboard.press("m")
    at(page, "article .text.source")
    page.keyboard.press("n")
    at(page, "h1 .s-incorrect")
    page.keyboard.press("u")
    at(page, "table.chains")
    page.keyboard.press("u")
    at(page, "table.problems")
    page.keyboard.press("/")
    page.keyboard.type("jk?t")
    assert page.input_value("input[name=q]") == "jk?t"
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    assert page.locator("#keys").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#keys").is_visible()


@pytest.mark.parametrize("view", ["", "?view=source"])
def test_nothing_that_a_model_wrote_runs(page: Page, served: Served, made: Made, bad: str, view: str) -> None:
    for index in (0, 1):
        page.goto(f"{served.url}{bad}/chain/{made.problems[0]}/{index}{view}")
        page.wait_for_timeout(150)
        said = page.inner_text("article")
        for piece in (
            "<script>alert(1)</script>",
            "onerror=alert(2)",
            "[x](javascript:alert(3))",
            "␛[31m",
            "]]>",
            "</textarea>",
            "{{ 7*7 }}",
        ):
            assert piece in said
        assert (
            page.locator(
                "article script, article img, article a, article svg, article b, article [style]"
            ).count()
            == 0
        )
        page.get_by_role("link", name="Raw").click()
        page.wait_for_url("**/raw/**")
        assert page.evaluate("document.contentType") == "text/plain"
        page.go_back()
    problem = f"{served.url}{bad}/problem/{made.problems[0]}"
    pair = urlencode({"a": key_of(made.bad), "b": key_of(made.good), "ai": 1, "bi": 0})
    for address in (
        problem,
        f"{served.url}/search?q=onerror",
        f"{served.url}/compare/problem/{made.problems[0]}?{pair}",
    ):
        page.goto(address)
        page.wait_for_timeout(150)


def test_the_policy_stops_what_slipped_through(page: Page, served: Served, noise: Noise) -> None:
    page.goto(served.url)
    page.evaluate(
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.ran = 1\"><p style=\"color:red\">')"
    )
    page.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = 2'}))"
    )
    page.wait_for_timeout(200)
    assert page.evaluate("window.ran") is None
    assert any("Content Security Policy" in line for line in noise.console)
    noise.console.clear()
    page.evaluate("fetch('http://other.example/').catch(() => 0)")
    page.wait_for_timeout(100)
    assert noise.blocked == []  # the policy was there before the network was asked
    noise.console.clear()


def test_five_megabytes_are_shown_when_asked_for(page: Page, served: Served, made: Made, bad: str) -> None:
    page.goto(f"{served.url}{bad}/chain/{made.problems[0]}/2")
    page.locator("summary", has_text="Reasoning").click()
    gap = page.locator("[data-gap]")
    assert "characters are left out" in gap.inner_text()
    assert len(page.content()) < 500_000
    gap.get_by_role("button", name="Show all").click()
    page.wait_for_selector("[data-gap]", state="detached", timeout=60_000)
    length = page.evaluate("document.querySelector('#reasoning .text').textContent.trim().length")
    assert length == len("Many words. " * 430_000) - 1
    page.keyboard.press("k")
    page.wait_for_selector("h1:has-text('chain 1')")


def test_chains_of_hidden_benchmarks_are_shown_by_a_button(
    page: Page, made: Made, good: str, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(made.results, results)
    for name in ("scores.json", "run.json"):
        for path in results.rglob(name):
            path.write_text(path.read_text().replace("fresh:level=1,seed=3,size=6", "gpqa-diamond"))
    with serving(results) as viewer:
        page.goto(f"{viewer.url}{good}/chain/{made.problems[0]}/0")
        assert page.locator("article").count() == 0
        page.get_by_role("link", name="Show them").click()
        at(page, "article")
        page.keyboard.press("j")
        page.wait_for_selector("h1:has-text('chain 1')")
        assert page.locator("article").count() == 1
        page.goto("about:blank")


def test_a_page_keeps_up_with_a_run_that_is_written(page: Page, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "writer" / "made-up" / "f00d", n=30)
    try:
        writer("chain", 60)
        with serving(tmp_path) as viewer:
            page.goto(f"{viewer.url}/run/writer/made-up/f00d/problem/p0?sort=-index")
            assert page.locator("a.row").count() == 20
            page.locator("a.row").nth(15).focus()
            page.evaluate("scrollTo(0, 200)")
            page.fill("input[name=answer]", "half typed")
            page.locator("a.row").nth(15).focus()
            top = page.evaluate("scrollY")
            writer("half")
            page.wait_for_timeout(200)
            writer.end()
            writer = Writer(tmp_path / "writer" / "made-up" / "f00d", n=30)  # mends the torn line
            writer("complete")
            page.wait_for_selector("text=0 of", state="detached")
            assert page.input_value("input[name=answer]") == "half typed"
            assert page.evaluate("scrollY") == top
            assert "sort=-index" in page.url
            assert page.locator("a.row").count() == 20
            page.goto("about:blank")
    finally:
        writer.end()


def test_new_chains_appear_without_a_reload(page: Page, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "writer" / "made-up" / "f00d", n=30)
    try:
        writer("chain", 3)
        with serving(tmp_path) as viewer:
            page.goto(f"{viewer.url}/run/writer/made-up/f00d/problem/p0")
            page.evaluate("window.mark = 1")
            assert page.locator("a.row").count() == 1
            page.fill("input[name=q]", "half typed")
            writer("chain", 6)
            page.locator("a.row").nth(2).wait_for()
            assert page.input_value("input[name=q]") == "half typed"
            assert page.evaluate("window.mark") == 1
            page.goto(viewer.url)
            page.wait_for_selector("text=9 of 90 chains")
            writer("chain", 81)
            writer("complete")
            page.wait_for_selector("text=complete")
            page.goto("about:blank")
    finally:
        writer.end()


def test_verdicts_appear_without_a_reload(page: Page, tmp_path: Path) -> None:
    writer = Writer(tmp_path / "writer" / "made-up" / "f00d", n=30)
    try:
        writer("chain", 9)
        with serving(tmp_path) as viewer:
            run = f"{viewer.url}/run/writer/made-up/f00d"
            page.goto(f"{run}/chain/p0/2")
            assert page.inner_text("h1 .badge") == "not graded"
            page.evaluate("window.mark = 1")
            writer("grade", 7)
            page.wait_for_selector("h1 .badge:has-text('incorrect')")
            assert "<b>2" in page.inner_text("#verdict")
            assert "boxed/<i>spelling" in page.inner_text("#verdict")
            assert page.evaluate("window.mark") == 1
            page.goto(run)
            assert "pass@1 so far 88.9 of 7 graded chains" in " ".join(page.inner_text("#head").split())
            page.evaluate("window.mark = 2")
            writer("grade", 2)
            page.wait_for_selector("#head:has-text('66.7')")
            assert page.evaluate("window.mark") == 2
            page.keyboard.press("j")
            page.keyboard.press("Enter")
            at(page, "table.votes")
            page.locator("a.row").first.click()
            at(page, "#verdict")
            page.keyboard.press("n")
            page.wait_for_url("**/chain/p0/2*")
            page.goto("about:blank")
    finally:
        writer.end()


def test_links_out_of_the_results_lead_nowhere(
    page: Page, served: Served, made: Made, good: str, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(next(made.results.glob("good*")), results / "good_model-7B")
    (results / "elsewhere").symlink_to(made.results)
    (results / "up").symlink_to("..")
    with serving(results) as viewer:
        page.goto(viewer.url)
        assert models(page) == ["good/model-7B"]
        page.goto("about:blank")


def test_everything_is_readable_without_a_script(
    browser: object, served: Served, made: Made, good: str
) -> None:
    context = browser.new_context(java_script_enabled=False)  # type: ignore[attr-defined]
    try:
        page = context.new_page()
        page.goto(served.url)
        page.get_by_role("link", name="pass@1").click()
        page.wait_for_url("**sort=-pass1")
        page.get_by_role("link", name="good/model-7B").click()
        page.get_by_role("link", name=made.problems[0]).click()
        page.locator("a.row").first.click()
        assert "So" in page.inner_text("article")
        page.get_by_role("link", name="next →").click()
        page.wait_for_url("**/1")
    finally:
        context.close()


@pytest.mark.parametrize("width", [360, 768])
def test_no_page_is_wider_than_a_phone(page: Page, served: Served, made: Made, bad: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    pair = urlencode({"a": key_of(made.good), "b": key_of(made.bad)})
    addresses = [
        "/",
        bad,
        f"{bad}/problem/{made.problems[0]}",
        f"{bad}/chain/{made.problems[0]}/0",
        f"/compare?{pair}",
    ]
    for address in [*addresses, f"/compare/problem/{made.problems[0]}?{pair}", "/search?q=1", "/compare"]:
        page.goto(served.url + address)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_the_server_going_away_is_said(page: Page, made: Made, noise: Noise) -> None:
    with serving(made.results) as viewer:
        page.goto(viewer.url)
    page.wait_for_selector(".lost-note", state="visible")
    assert all("ERR_CONNECTION" in line for line in noise.console)
    noise.console.clear()
    page.goto("about:blank")
    noise.console.clear()
