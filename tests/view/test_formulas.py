"""Mathematics of models and data files, rendered without trusting it."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest

pytest.importorskip("latex2mathml")
pytest.importorskip("markupsafe")

from harness_reports.view.formulas import formula, rich


class Tags(HTMLParser):
    """All elements and attributes of a piece of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.attributes |= {name for name, _ in attrs}


MATHML = {
    *(
        "math",
        "mi",
        "mn",
        "mo",
        "mtext",
        "mspace",
        "ms",
        "mrow",
        "mfrac",
        "msqrt",
        "mroot",
        "mstyle",
        "mpadded",
    ),
    *(
        "mphantom",
        "msub",
        "msup",
        "msubsup",
        "munder",
        "mover",
        "munderover",
        "mtable",
        "mtr",
        "mtd",
        "merror",
    ),
    *("mmultiscripts", "mprescripts"),
}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        (r"$\frac{1}{2}$", "<mfrac>"),
        (r"\(x^2\)", "<msup>"),
        (r"\[ \sqrt{3} \]", "<msqrt>"),
        (r"$$\sum_{i=1}^n i$$", 'display="block"'),
        (r"so \boxed{\frac{7}{9}}.", 'class="boxed"'),
        (r"\begin{align*} a &= b \\ c &= d \end{align*}", "<mtable"),
        (r"$\begin{aligned} a &= b \end{aligned}$", "<mtable"),
        (r"$\begin{pmatrix}1&2\\3&4\end{pmatrix}$", "<mtr>"),
    ],
)
def test_usual_delimiters_are_known(text: str, holds: str) -> None:
    assert holds in rich(text)


@pytest.mark.parametrize(
    "text",
    [
        "It costs $5 and $6.",
        "US$5 to US$7",
        r"\$x\$",
        "a $ b $ c",
        "$$",
        "$",
        r"\(",
        r"\[ x",
        "$x\ny$",
        r"\boxed{",
        r"\boxed{}",
        "$a$1",
    ],
)
def test_what_is_no_mathematics_stays_as_it_is(text: str) -> None:
    assert "<math" not in rich(text)


@pytest.mark.parametrize(
    "text",
    [
        r"\href{javascript:alert(1)}{x}",
        r"\style{position:fixed}{x}",
        r"\class{top}{x}",
        r"\text{<img src=x onerror=alert(1)>}",
        r"\text{</math><script>alert(1)</script>}",
        r"\mbox{&lt;script&gt;alert(1)&lt;/script&gt;}",
        r"\unicode{x3c}script\unicode{x3e}",
        r"\color{red\" onclick=\"alert(1)}{x}",
        r"\color{expression(alert(1))}{x}",
        r"\operatorname{<script>}",
        r"\begin{<script>}x\end{<script>}",
        r"\<script>alert(1)</script>",
        r"<script>alert(1)</script>",
        r"\rule{1em\" onload=\"alert(1)}{2em}",
        r"\mathrm{<svg/onload=alert(1)>}",
        r"\tag{<b>}",
        "\\text{\x1b[31m\u202e}",
    ],
)
def test_only_harmless_elements_and_attributes_come_out(text: str) -> None:
    for made in (formula(text), rich(f"${text}$")):
        if made is None:
            continue
        tags = Tags(str(made))
        assert tags.names <= MATHML
        assert not tags.attributes & {"href", "style", "onclick", "onload", "onerror", "xlink:href", "id"}
        assert "\x1b" not in made
        assert "\u202e" not in made
        assert not re.search(r'\s(href|style|class|on\w+)="', str(made))


@pytest.mark.parametrize("text", [r"\newcommand{\a}{\a\a}\a", r"\def\a{\b\b}\a", r"\let\a\b", r"\gdef\x{}"])
def test_macros_are_refused(text: str) -> None:
    assert formula(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "$" * 200_000,
        r"\(" * 100_000,
        r"\[x" * 50_000,
        r"\boxed{" * 50_000,
        r"\begin{align}" * 20_000,
        "$x$ " * 50_000,
        "$" + "{" * 900 + "}" * 900 + "$",
        "$" + r"\frac" * 400 + "$",
        r"\(" + "x^" * 900 + r"\)",
        r"\(" + r"\left(" * 300 + r"\)",
        r"\(" + r"\sqrt{" * 20 + "x" + "}" * 20 + r"\)",
        r"$\begin{matrix}" + "&" * 400 + r"\end{matrix}$",
        "${" * 60_000,
        "$$x" * 60_000,
    ],
    ids=range(14),
)
def test_no_text_takes_long(text: str) -> None:
    began = time.monotonic()
    rich(text)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "text", ["x^{", r"\left( x \right", r"\frac{1}", "}{", r"\end{align}", "\\", "^", r"\begin{array}{", "&"]
)
def test_broken_formulas_are_shown_as_they_were_written(text: str) -> None:
    import html

    assert html.unescape(re.sub("<[^>]+>", "", str(rich(f"before ${text}$ after")))).startswith("before ")
    assert "after" in rich(f"before ${text}$ after")
