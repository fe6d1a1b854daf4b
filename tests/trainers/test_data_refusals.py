"""What cannot be made into stage data is one clear line."""

from __future__ import annotations

from typing import Any

import pytest

from harness import HarnessError

from .prepared import SECRET, SOLVED, USER, Make

P = {"problem": "1 + 1?"}
BAD: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "other columns": (
        [{"story": SECRET, "x": 1}],
        "chains",
        "has 'story', 'x': it needs a problem .* and a chain",
    ),
    "no chain": ([{**P, "answer": "2"}], "chains", r"has 'problem', 'answer': it needs .* a chain \(chain, "),
    "no gold": (
        [{**P, "completion": "x"}],
        "golds",
        r"has 'problem', 'completion': .* and a gold \(gold, answer",
    ),
    "empty chains": ([{**P, "chain": " "}, {**P, "chain": None}], "chains", "2 read, 2 with an empty chain"),
    "chains of numbers": ([{**P, "chain": 5}], "chains", "1 whose chain is not a text"),
    "empty problems": ([{"problem": "", "chain": "x"}], "chains", "1 with an empty problem"),
    "empty gold": ([{**P, "gold": ""}], "golds", "1 with an empty gold"),
    "a gold that is an object": ([{**P, "gold": {"a": SECRET}}], "golds", "1 whose gold is not a text"),
    "a gold that is an essay": ([{**P, "gold": SECRET * 999}], "golds", "longer than an answer can be"),
    "no assistant": ([{"messages": [USER]}], "chains", "1 whose messages have no turn of the assistant"),
    "nobody asks": (
        [{"messages": [{"role": "assistant", "content": SECRET}]}],
        "chains",
        "1 whose messages do not begin with a user",
    ),
    "a stranger talks": (
        [{"messages": [{"role": SECRET, "content": "x"}]}],
        "chains",
        "neither user nor assistant",
    ),
    "no messages": ([{"messages": [SECRET]}], "chains", "1 whose messages are not messages"),
    "a prompt that is answered": (
        [{"prompt": [USER, {"role": "assistant", "content": "x"}], "completion": "y"}],
        "chains",
        "ends with a turn of the assistant",
    ),
    "verdicts on other chains": (
        [{**P, "chains": ["a", "b"], "correctness": [True]}],
        "chains",
        "1 with another number of correctness than of chains",
    ),
    "no right chain": (
        [{**P, "chains": ["a", "b"], "correctness": [False, False]}],
        "chains",
        "1 without a correct",
    ),
    "nobody says which": ([{**P, "chains": ["a", "b"]}], "chains", "no word on which are correct"),
    "cut off": ([{**P, "chains": ["a"], "finish_reasons": ["length"]}], "chains", "chains that were cut off"),
}


@pytest.mark.parametrize(("rows", "needs", "said"), BAD.values(), ids=BAD)
def test_rows_that_cannot_be_used_are_one_line_that_quotes_nothing(
    make: Make, rows: list[dict[str, Any]], needs: str, said: str
) -> None:
    with pytest.raises(HarnessError, match=said) as caught:
        make(rows, needs=needs)

    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "no source": ({"source": None}, "data.source is missing"),
    "an unknown source": ({"source": "sumz:size=3"}, "did you mean sums"),
    "a file that is not there": ({"source": "./nowhere.jsonl"}, "nowhere.jsonl does not exist"),
    "a benchmark's odd parameter": ({"source": "sums:sice=3"}, "no parameter 'sice': did you mean size"),
    "a source twice": ({"source": ["sums", "sums"]}, "names a source twice"),
    "a hidden benchmark": ({"source": "secret"}, "not to be shown, so they are not to be learnt"),
    "a benchmark without messages": ({"source": "plain"}, "asks without a chat template"),
    "an unsolved benchmark": ({"source": "sums:solved=no"}, "tells no worked solutions"),
    "an unknown filter": ({"filters": {"pass_rate_over": 0.2}}, "did you mean pass_rate_above"),
    "a bound that is a text": ({"filters": {"pass_rate_above": "low"}}, "'low' is not a number"),
    "per cent": ({"filters": {"pass_rate_below": 70}}, "70 is not a share from 0 to 1"),
    "a band the wrong way round": (
        {"filters": {"pass_rate_above": 0.7, "pass_rate_below": 0.2}},
        "leave nothing: is it the other way round",
    ),
    "an unknown choice": (
        {"filters": {"chain": "shortest"}},
        "no way to choose a chain: did you mean shortest correct",
    ),
    "checks of other chains": (
        {"filters": {"checks": [1], "chain": "all correct"}},
        "checks go with worked solutions",
    ),
    "no checks": ({"filters": {"checks": []}}, "is not a list of whole numbers"),
    "weights of nothing": ({"filters": {"check_weights": [1]}}, "no `checks` that they weigh"),
    "other weights": ({"filters": {"checks": [0, 1], "check_weights": [1]}}, "is not a list of 2 weights"),
    "no tokens": ({"filters": {"max_tokens": 0}}, "max_tokens: 0 is not a whole number from 1"),
    "nobody counts": ({"filters": {"tokens_at_most": 5}}, "tokens_at_most: tokens cannot be counted"),
    "a pass rate of nobody": (
        {"filters": {"pass_rate_above": 0.2}},
        "have no pass_rate: let a model answer them",
    ),
    "a choice of nothing": ({"filters": {"chain": "shortest correct"}}, "has no chains to choose"),
    "an order of nothing": ({"sort": "difficulty"}, "4 of 4 rows have no difficulty to be sorted by"),
    "a sampler without a model": ({"sample": {}}, r"no model to sample from \(base\)"),
    "everything filtered": (
        {"filters": {"difficulty_above": 3}, "source": "sums"},
        "the problems of sums have no difficulty",
    ),
}


@pytest.mark.parametrize(("said", "expected"), SAID.values(), ids=SAID)
def test_what_a_recipe_says_wrongly_is_one_line(make: Make, said: dict[str, Any], expected: str) -> None:
    with pytest.raises(HarnessError, match=expected) as caught:
        make(**{"source": "sums", **said})

    assert "\n" not in str(caught.value)


def test_nothing_left_says_what_became_of_the_rows(make: Make) -> None:
    with pytest.raises(
        HarnessError, match=r"no row is left: .*11 of 11 rows are left out: 11 by pass_rate_above 1"
    ):
        make(SOLVED, filters={"pass_rate_above": 1})
