"""Which answer a chain gives, by which rule, and in which time."""

from __future__ import annotations

import time

import pytest

from harness_plugins.normalizers.math import MathNormalizer

extract = MathNormalizer().extract


@pytest.mark.parametrize(
    ("text", "answer", "rule"),
    [
        ("So $x=2$. The answer is $\\boxed{42}$.", "42", "boxed"),
        ("First \\boxed{1}. No, wait.\n\nIt is \\boxed{2}.", "2", "boxed"),
        ("\\boxed{\\frac{1}{2}}", "\\frac{1}{2}", "boxed"),
        ("\\boxed{\\left\\{1, 2\\right\\}}", "\\left\\{1, 2\\right\\}", "boxed"),
        ("\\boxed{x \\mid \\{y\\}}", "x \\mid \\{y\\}", "boxed"),
        ("\\boxed {17}", "17", "boxed"),
        ("\\boxed 7", "7", "boxed"),
        ("\\boxed{ 5 } is it", "5", "boxed"),
        ("\\fbox{9}", "9", "boxed"),
        ("\\boxed{\\boxed{3}}", "3", "boxed"),
        ("Thus it is: boxed {77}.", "77", "boxed"),
        ("\\boxed{5} Now put the answer in \\boxed{}.", "5", "boxed"),
        ("$\\boxed{42$.", "42", "boxed"),
        ("\\boxed{1} and \\boxed{2}", "1, 2", "boxes"),
        ("$\\boxed{2}$, $\\boxed{3}$ and $\\boxed{5}$", "2, 3, 5", "boxes"),
        ("\\boxed{(98, 2)} \\quad \\text{and} \\quad \\boxed{(99, 503)}", "(98, 2), (99, 503)", "boxes"),
        ("$x = \\boxed{3}$, $y = \\boxed{4}$", "3, 4", "boxes"),
        ("We get \\boxed{3}, so the answer is \\boxed{3}", "3", "boxed"),
        ("We get \\boxed{3} and thus \\boxed{9}", "9", "boxed"),
        (
            "It is \\boxed{255}. The final answer is $10{,}455$. I hope it is correct.",
            "10{,}455",
            "statement",
        ),
        ("The answer is 42.", "42", "statement"),
        ("The final answer is: $\\frac{3}{4}$. Done.", "\\frac{3}{4}", "statement"),
        ("Answer: 3.14", "3.14", "statement"),
        ("**Answer:** 12", "12", "statement"),
        ("### Final Answer\n\nThe answer to the problem is $7$ meters.", "7", "statement"),
        ("So the answers are $1$ and $2$.", "1, 2", "statement"),
        ("<answer>12</answer>", "12", "tag"),
        ("So the total is 5.\n#### 42", "42", "tag"),
        ("答案：42。", "42", "statement"),
        ("We count.\n\nTherefore, Hillary has 7 nickels.", "7", "conclusion"),
        ("It follows.\n\n**73**", "73", "bold"),
        ("It follows at once.\n\nTherefore $x < 5$ is what we wanted.", "x < 5", "math"),
        ("We add.\n\n\\[ x = 5 \\]", "x = 5", "math"),
        ("1 + 0.5 = 1.5", "1 + 0.5 = 1.5", "line"),
        ("We add them up.\n75", "75", "line"),
        ("The perimeter is 7", "7", "line"),
        ("I think it's (D).", "D", "letter"),
    ],
)
def test_the_conclusion_is_found_and_the_rule_named(text: str, answer: str, rule: str) -> None:
    found = extract(text)
    assert found is not None
    assert (found.answer, found.rule) == (answer, rule)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "No boxed content here",
        "\\boxed{",
        "\\boxed{\\frac{1}{2",
        "First \\boxed{1}. Now the final one: \\boxed{\\frac{1}{2",
        "There are 3 birds and 4 storks on the fence, which makes 7 of them, and then 6 more come along.",
        "We know $x=3$ from above. Let us now look at the other case, in which there are 12 of them",
        "Let me think about that again. Alternatively,",
        "Hence in 2024 we get 3 of them, and 5 more.",
    ],
)
def test_a_text_without_a_conclusion_gives_no_answer(text: str) -> None:
    assert extract(text) is None


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>maybe \\boxed{17}</think>\n\\boxed{42}", "42"),
        ("maybe \\boxed{17}</think>\n\\boxed{42}", "42"),
        ("<think>a</think> no <think>\\boxed{1}</think> The answer is 3.", "3"),
        (
            "<|begin_of_thought|>\\boxed{1}<|end_of_thought|>\n<|begin_of_solution|>\\boxed{2}<|end_of_solution|>",
            "2",
        ),
        ("<think>maybe \\boxed{17}", None),
        ("<|begin_of_thought|> so \\boxed{17} or", None),
        ("<think>maybe \\boxed{17}</think>", None),
        ("<think>maybe \\boxed{17}</think>\nI do not know.", None),
        ("<think>a</think>\\boxed{4}<think>no, \\boxed{5}", "4"),
        ("no tags at all, \\boxed{6}", "6"),
    ],
)
def test_a_box_inside_the_reasoning_is_no_answer(text: str, answer: str | None) -> None:
    found = extract(text)
    assert (found and found.answer) == answer


BODY = "Let us compute $x^2+1$ for a while. So we get 5 \\cdot 6 = 30 in the box of size {3}.\n"
HOSTILE = {
    "plain": "a",
    "open boxes": "\\boxed{",
    "boxes": "\\boxed{1}, ",
    "empty boxes": "\\boxed{}",
    "mentions": "boxed ",
    "open tags": "<think>",
    "closed tags": "</think>",
    "dollars": "$",
    "brackets": "\\(",
    "answers": "the answer is ",
    "stars": "**",
    "blanks": " ",
    "lines": "x\n\n",
    "braces": "{",
    "prose": BODY,
    "wide prose": BODY + "≤ 𝔸",
}


def seconds(text: str) -> float:
    """CPU time of one extraction, the least of three."""
    times = []
    for _ in range(3):
        start = time.process_time()
        extract(text)
        times.append(time.process_time() - start)
    return min(times)


@pytest.mark.parametrize("name", HOSTILE)
def test_time_grows_no_faster_than_the_text(name: str) -> None:
    piece = HOSTILE[name]
    # ten times the text: linear growth is ten times the time, quadratic growth a hundred times
    short, long = (seconds(piece * (size // len(piece))) for size in (500_000, 5_000_000))
    assert long < 30 * max(short, 0.001)


@pytest.mark.parametrize("end", ["</think>\n\nSo \\boxed{73}.", "Thus \\boxed{73}."])
def test_a_long_chain_costs_little_more_than_a_short_one(end: str) -> None:
    # the answer is at the end: only the search for the end of the reasoning goes further back
    opening = "<think>" * end.startswith("</think>")
    found = extract(opening + BODY * 300 + end)
    assert found is not None
    assert found.answer == "73"
    short, long = (seconds(opening + BODY * count + end) for count in (300, 30_000))
    assert long < 20 * max(short, 0.001)


@pytest.mark.parametrize(
    ("text", "explicit"),
    [
        (r"So \boxed{4}. Let me double-check by", True),
        ("The final answer is 4. Let me", True),
        ("The final answer is 4.", True),
        ("<answer>4</answer>", True),
        (r"The answer is $\frac{4", False),
        (r"First we look at \(x\) and \(y", False),
        ("Then\n\n$x = 4$", False),
        ("So we get\n4", False),
        ("**Step 2**", False),
        ("Therefore 4", False),
    ],
)
def test_what_a_chain_merely_ends_with_is_told_from_what_it_concludes(text: str, explicit: bool):
    found = extract(text)
    assert explicit == (found is not None and found.explicit)
