"""The `integer` normalizer: AIME answers."""

from __future__ import annotations

import pytest

from harness_plugins.normalizers.integer import IntegerNormalizer

integer = IntegerNormalizer()


@pytest.mark.parametrize(
    "answer",
    ["73", "073", "0073", "73.0", "73.", "73^\\circ", "\\text{(73)}", "(73)", "m+n = 73", "x=73", "73 \\text{ cm}",
     "$73$", "\\boxed{73}", "+73", "70+3", "\\frac{146}{2}", "\\mathbf{73}", "\\dfrac{73}{1}", "７３", "73 degrees"],
)  # fmt: skip
def test_dresses_of_one_integer(answer: str) -> None:
    assert integer.same(answer, "073").same
    assert integer.key(answer) == "73"


@pytest.mark.parametrize(
    "answer",
    [
        "74",
        "-73",
        "73.5",
        "730",
        "73/2",
        "73, 74",
        "7 3",
        "73\\%",
        "\\text{seventy-three}",
        "",
        "73_8",
        "73x",
        "(7, 3)",
    ],
)
def test_what_is_not_that_integer_is_not_the_same(answer: str) -> None:
    assert not integer.same(answer, "73").same


def test_thousands_and_large_integers() -> None:
    assert integer.same("1,234,567", "1234567").same
    assert integer.same("2^{25} \\cdot 26!", str(2**25 * 403291461126605635584000000)).same
    assert not integer.same(str(10**20), str(10**20 + 1)).same
    long = "1" + "0" * 50_000
    assert integer.same(long, long).same
    assert not integer.same(long, long + "1").same


def test_answers_that_are_no_integer_keep_their_own_classes() -> None:
    assert integer.key("\\text{none}") != integer.key("73.5")
    assert integer.key("73.5") == integer.key(" 73.5 ")


def test_everything_is_decided_in_the_main_process() -> None:
    assert integer.quick_same("\\int_0^1 x dx", "73") is not None
    assert integer.quick_key("\\int_0^1 x dx") is not None
