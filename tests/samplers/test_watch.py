"""Text as it grows: where it stops, and what is told of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness_plugins.samplers.openvino._watch import Watch

END = 256


def decode(ids: list[int]) -> str:
    """A token a byte, as in the worst of cases."""
    return bytes(ids).decode("utf-8", "replace")


def follow(tokens: list[int], stops: list[str], burst: int = 1) -> tuple[Watch, list[str], str]:
    pieces: list[str] = []
    watch = Watch(decode, stops, frozenset({END}), pieces.append)
    for at in range(0, len(tokens), burst):
        watch.add(tokens[at : at + burst])
    return watch, pieces, watch.finish()


def cut(text: str, stops: list[str]) -> str:
    return text[: min((text.find(stop) for stop in stops if stop and stop in text), default=len(text))]


@given(
    st.text(alphabet="ab€𝄞é\u0301\ufffd", max_size=60),
    st.lists(st.text(alphabet="ab€", min_size=0, max_size=4), max_size=3),
    st.integers(1, 5),
)
def test_what_is_told_is_the_text_up_to_the_first_stop(text: str, stops: list[str], burst: int) -> None:
    watch, pieces, whole = follow([*text.encode(), END], stops, burst)
    ends = sorted(text.find(stop) + len(stop) for stop in stops if stop and stop in text)
    if ends:  # the stop text that is whole first ends the chain
        shown = text[: ends[0]]
        assert whole == cut(shown, stops)
        assert watch.stopped
    else:
        assert whole == text
        assert not watch.stopped
    assert "".join(pieces) == whole
    assert all(pieces)


@given(st.binary(max_size=200))
def test_no_character_is_torn_whatever_bytes_come(data: bytes) -> None:
    told = ""

    def take(piece: str) -> None:
        nonlocal told
        told += piece
        assert decode(list(data)).startswith(told)

    watch = Watch(decode, [], frozenset(), take)
    for byte in data:
        watch.add([byte])
    assert watch.finish() == told == decode(list(data))


def test_endless_bytes_that_are_no_text_take_no_endless_time() -> None:
    longest = 0

    def measured(ids: list[int]) -> str:
        nonlocal longest
        longest = max(longest, len(ids))
        return decode(ids)

    watch = Watch(measured, [], frozenset())
    watch.add([0xE2] * 2000)
    assert watch.finish() == decode([0xE2] * 2000)
    assert longest < 100


def test_tokens_after_a_stop_are_not_counted() -> None:
    watch, pieces, text = follow([*b"one two three"], ["two"], burst=4)
    assert (text, "".join(pieces)) == ("one ", "one ")
    assert len(watch.ids) == 7


def test_the_beginning_of_a_stop_is_held_back_until_it_is_none() -> None:
    pieces: list[str] = []
    watch = Watch(decode, ["stop"], frozenset(), pieces.append)
    watch.add(b"a st")
    assert pieces == ["a", " "]
    watch.add(b"ar")
    assert "".join(pieces) == "a star"
    assert watch.finish() == "a star"


@pytest.mark.parametrize("stops", [[], [""], ["zzz"]])
def test_an_end_token_is_no_text(stops: list[str]) -> None:
    watch, pieces, text = follow([*b"ok", END], stops)
    assert (text, "".join(pieces), len(watch.ids)) == ("ok", "ok", 3)
