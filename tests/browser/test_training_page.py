"""The training section of the html report in a real browser: costs, curves in light and dark, nothing that runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.training import Cost, Training

from ..reports.made import make_run, report_of, solving
from ..reports.training import BASE, grpo, recipe, sft
from .conftest import Noise
from .test_report_page import DRAWN, EVIL, column, write

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytest.importorskip("jinja2")
pytest.importorskip("altair")
pytest.importorskip("vl_convert")


NARROW = (
    "document.body.dataset.charts === 'drawn'"
    " && document.querySelector('#chart-learning-tiny').drawnWidth < 390"
)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("training")
    results = [make_run(folder, name, solving(share)) for name, share in ((BASE, 0.2), ("Tiny", 0.6))]
    curves = [sft(), sft(40, "tiny:v0.4"), grpo()]
    return write(report_of(*results, training=[recipe(curves=curves)], charts="svg"), folder)


def test_costs_and_curves_are_there_in_light_and_dark_and_on_a_phone(
    page: Page, address: str, noise: Noise
) -> None:
    page.emulate_media(color_scheme="light")
    page.goto(address)
    page.wait_for_selector(DRAWN)
    page.get_by_role("link", name="Training", exact=True).click()
    assert column(page, "training", 0) == [BASE, "Tiny-V0.6", "Tiny-V0.4-RSa", "Tiny"]
    assert column(page, "training", 2) == ["", "48", "0.0612", "?"]
    assert "reward 0.31 → 0.58" in page.locator("#training .notes").last.inner_text()
    curves = page.locator("#chart-learning-tiny-rl .mark-line path")
    assert curves.count() == 2
    assert page.locator("#chart-learning-tiny-rl .mark-symbol path").count() > 98
    panels = page.locator("#chart-learning-tiny .mark-line path")
    boxes = [panel.bounding_box() for panel in panels.all()]
    assert len(boxes) == 2
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert abs(boxes[0]["y"] - boxes[1]["y"]) < 5, "beside each other"
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(f"html[data-theme=dark] {DRAWN}")
    label = page.locator("#chart-learning-tiny-rl .role-legend-label text").first
    assert label.evaluate("e => getComputedStyle(e).fill") == "rgb(232, 234, 237)"
    page.set_viewport_size({"width": 390, "height": 844})
    for _ in range(200):  # the page's policy does not let the browser's own waiting evaluate anything
        if page.evaluate(NARROW):
            break
        page.wait_for_timeout(50)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    above, below = (panel.bounding_box() for panel in panels.all())
    assert above is not None
    assert below is not None
    assert below["y"] > above["y"] + above["height"], "one below the other"
    assert noise.loud == []
    assert noise.requests == [address + "#training"] or noise.requests == [address]


def test_pointing_at_a_step_tells_its_figures(page: Page, address: str, noise: Noise) -> None:
    page.goto(address)
    page.wait_for_selector(DRAWN)
    chart = page.locator("#chart-learning-tiny-rl")
    chart.scroll_into_view_if_needed()
    page.wait_for_timeout(100)  # scrolling hides what is told
    box = chart.locator(".mark-symbol.role-mark path").first.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_selector("#tip:not([hidden])")
    told = page.locator("#tip").inner_text()
    assert "step 1" in told
    assert "truncated, % 31.0" in told
    assert noise.loud == []


def test_hostile_names_of_recipes_execute_nothing(page: Page, tmp_path: Path, noise: Noise) -> None:
    training = [
        Training(
            evil,
            evil,
            evil,
            (Cost(evil, evil, 1.0, 1.0, complete=False),),
            (grpo(12, evil), sft(3, evil)),
        )
        for evil in EVIL
    ]
    address = write(report_of(training=training, charts="svg"), tmp_path)
    page.goto(address)
    page.wait_for_selector(DRAWN)
    assert (
        page.locator("#training figure svg").count()
        == page.locator("#training figure").count()
        == 2 * len(EVIL)
    )
    assert (
        page.evaluate("document.querySelectorAll('[onerror],[onload],[onfocus],iframe,object').length") == 0
    )
    assert noise.loud == []
    assert noise.requests == [address]
