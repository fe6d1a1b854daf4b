"""The `choice` normalizer: letters in all common dresses, and never a letter out of prose."""

from __future__ import annotations

import pytest

from harness_plugins.normalizers.choice import ChoiceNormalizer

choice = ChoiceNormalizer()


@pytest.mark.parametrize(
    "text",
    [
        "\\boxed{B}",
        "\\boxed{\\text{B}}",
        "\\boxed{\\text{(B)}}",
        "\\boxed{(B)}",
        "\\boxed{\\textbf{(B)}~12}",
        "\\boxed{\\textbf{(B)}\\ \\frac{1}{2}}",
        "\\boxed{\\mathrm{b}}",
        "\\boxed{B) 42}",
        "\\boxed{B. 42}",
        "\\boxed{\\text{B: the second one}}",
        "\\boxed{\\text{Option B}}",
        "<think>\\boxed{A}</think> So $\\boxed{B}$.",
        "Answer: B",
        "Answer: (B)",
        "**Answer: B**",
        "**Answer:** B",
        "The answer is B.",
        "The correct answer is **B**.",
        "The final answer is $B$",
        "the answer: B, it makes no sense for it to be A or C",
        "So the answer is (B) Au.",
        "Answer: B) 42",
        "**B**",
        "(B)",
        "B",
        "B) 42",
        "B. Because A is not valid",
        "option B",
        "I think it's (B).",
        "It is not A, therefore I think it's B",
        "The correct option is B",
        "Option A is wrong, so the answer must be option B.",
        "<answer>B</answer>",
    ],
)
def test_the_letter_is_read_in_every_dress(text: str) -> None:
    found = choice.extract(text)
    assert found is not None
    assert found.answer == "B"
    assert choice.same(found.answer, "B").same
    assert not choice.same(found.answer, "A").same


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A dog is an animal that barks.",
        "No letter here",
        "I had A plan, and B was better",
        "The vitamin is C and the point is E on the line",
        "<think>The answer is B.",
        "\\boxed{",
        "A line through B meets C.",
    ],
)
def test_a_letter_in_prose_is_no_answer(text: str) -> None:
    assert choice.extract(text) is None


def test_a_box_without_a_letter_is_kept_and_is_wrong() -> None:
    found = choice.extract("\\boxed{42}")
    assert found is not None
    assert found.answer == "42"
    assert not choice.same("42", "B").same
    assert choice.key("42") != choice.key("43")


@pytest.mark.parametrize("answer", ["B", "(B)", "b", "\\text{(B)}", "B.", "B) the second", "**B**", "$B$"])
def test_key_is_the_letter(answer: str) -> None:
    assert choice.key(answer) == "B"
    assert choice.quick_key(answer) == "B"


@pytest.mark.parametrize("answer", ["A big one", "Boron", "a 5", "AB", "K", "42"])
def test_words_are_no_letters(answer: str) -> None:
    assert choice.key(answer).startswith("text:")
