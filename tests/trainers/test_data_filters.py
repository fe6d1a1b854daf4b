"""Filters: what passes a bound, whatever the numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import HarnessError
from harness_trainers.data.columns import as_number, read_row
from harness_trainers.data.completions import from_solution
from harness_trainers.data.filters import DESCRIPTIVE, Filters, read_filters
from harness_trainers.data.records import Item, LeftOut, Tally, Wanted

rates = st.floats(0, 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


def passing(filters: dict[str, Any], values: list[float]) -> list[float]:
    bounds = read_filters(filters).bounds
    return [value for value in values if all(bound.passes(value) for bound in bounds)]


@given(st.lists(rates), rates)
def test_above_and_at_most_part_the_rows_and_so_do_below_and_at_least(
    values: list[float], limit: float
) -> None:
    for one, other in (("above", "at_most"), ("below", "at_least")):
        parts = [passing({f"pass_rate_{how}": limit}, values) for how in (one, other)]
        assert sorted(parts[0] + parts[1]) == sorted(values)
        assert not set(parts[0]) & set(parts[1])


@given(st.lists(st.floats(allow_nan=False)), st.lists(st.integers(-9, 9), min_size=1, unique=True))
def test_bands_that_touch_part_the_rows(values: list[float], cuts: list[int]) -> None:
    edges = sorted(cuts)
    bands: list[dict[str, Any]] = [{"difficulty_below": edges[0]}, {"difficulty_at_least": edges[-1]}]
    bands += [{"difficulty_at_least": low, "difficulty_below": high} for low, high in pairwise(edges)]

    assert sorted(value for band in bands for value in passing(band, values)) == sorted(values)


@given(rates, rates, st.sampled_from(["above", "at_least"]), st.sampled_from(["below", "at_most"]))
def test_a_band_is_refused_just_where_nothing_could_pass(
    low: float, high: float, lower: str, upper: str
) -> None:
    filters = {f"pass_rate_{lower}": low, f"pass_rate_{upper}": high}
    possible = low < high or (low == high and (lower, upper) == ("at_least", "at_most"))

    if possible:
        assert len(read_filters(filters).bounds) == 2
    else:
        with pytest.raises(HarnessError, match="leave nothing"):
            read_filters(filters)


@given(
    st.dictionaries(
        st.sampled_from(["chain", "checks", "max_tokens", "not_in", "pass_rate_above", *DESCRIPTIVE]),
        json_values,
    )
)
def test_any_value_is_understood_or_refused_in_one_line(settings: dict[str, Any]) -> None:
    said = ""
    try:
        read_filters(settings)
    except HarnessError as error:
        said = str(error)
    assert "\n" not in said


names = st.sampled_from(
    [
        "id",
        "prompt",
        "completion",
        "messages",
        "problem",
        "chain",
        "generations",
        "correctness",
        "solution",
        "gold",
        "correct",
        "finish_reasons",
        "pass_rate",
        "tokens",
    ]
)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "x"]), "content": json_values})
)


@given(
    st.dictionaries(names, json_values | messages | st.text(min_size=1), max_size=6),
    st.builds(Wanted, st.booleans(), st.booleans(), st.booleans()),
)
def test_any_row_is_understood_or_left_out(row: dict[str, Any], wanted: Wanted) -> None:
    try:
        item = read_row(row, 1, wanted, lambda problem: (), Tally("rows"))
    except LeftOut:
        return
    assert item.problem.strip()
    assert item.chains or not wanted.chain
    assert any(chain.text.strip() for chain in item.chains) or not wanted.chain
    assert item.gold or not wanted.gold


@given(json_values)
def test_numbers_are_finite(value: object) -> None:
    number = as_number(value)
    assert number is None or abs(number) < 1e300


@given(st.text(min_size=1), st.integers(0, 9), st.lists(st.integers(0, 3), min_size=1, max_size=3))
def test_checks_are_among_those_asked_for_and_always_the_same(id_: str, seed: int, checks: list[int]) -> None:
    filters = Filters(checks=tuple(checks), check_weights=(1.0,) * len(checks))
    item = Item(id_, (), "p", "7", "math", solution="seven")

    chain = from_solution(item, filters, seed).text

    assert chain == from_solution(item, filters, seed).text
    assert chain.count("seven") - 1 in checks
    assert chain.endswith("</think>\n\nThe answer is $\\boxed{7}$.")
