"""Which problem a foreign statement is."""

from __future__ import annotations

import random
import time

from harness.imports.matching import ForeignProblem, match, told
from harness.plugins import PluginManager
from harness.records import Problem

WORDS = [
    *(
        "river",
        "stone",
        "clock",
        "garden",
        "ladder",
        "mirror",
        "candle",
        "basket",
        "window",
        "hammer",
        "ribbon",
        "barrel",
    ),
    *(
        "carries",
        "doubles",
        "paints",
        "counts",
        "buries",
        "weighs",
        "borrows",
        "divides",
        "stacks",
        "forgets",
        "hides",
    ),
]


def statements(count: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    return [
        f"Find $\\frac{{a}}{{{draw.randint(2, 999)}}}$ if "
        + " ".join(draw.choices(WORDS, k=20))
        + f" no. {i}."
        for i in range(count)
    ]


def problems(texts: list[str]) -> list[Problem]:
    return [Problem(f"p{i}", text, str(100 + i)) for i, text in enumerate(texts)]


def found(
    plugins: PluginManager, foreign: list[ForeignProblem], known: list[Problem]
) -> dict[int, tuple[str, str]]:
    matches = match(foreign, known, plugins.normalizer("integer"))
    return {
        i: (matches[one].problem.id, matches[one].means) for i, one in enumerate(foreign) if one in matches
    }


def test_each_means_by_itself(plugins: PluginManager) -> None:
    texts = statements(8)
    known = problems(texts)
    reworded = texts[4].replace("Find", "What is").replace("$", "").split(" if ")
    foreign = [
        ForeignProblem("p0", None, None),
        ForeignProblem("x", texts[1].replace(" ", "\n  "), None),
        ForeignProblem(None, f"Example: {texts[7]} Answer: 5.\n\nNow solve this: {texts[2]}\nThink.", None),
        ForeignProblem(None, texts[3].replace("\\frac", "\\dfrac").replace("$", "\\("), None),
        ForeignProblem(None, f"{reworded[0]}, given that " + reworded[1], "104"),
        ForeignProblem(None, "Something else altogether, of which not a word is shared.", "105"),
        ForeignProblem(None, texts[6], "0106"),
        ForeignProblem(None, texts[7], None),
    ]
    matches = found(plugins, foreign, known)
    assert [matches[i][0] for i in range(8)] == [f"p{i}" for i in range(8)]
    assert [matches[i][1] for i in range(8)] == [
        *("id", "statement", "prompt", "letters", "likeness", "gold", "statement", "statement"),
    ]
    summary = told(match(foreign, known, plugins.normalizer("integer")).values())
    assert summary.startswith("1 by id, 3 by statement, 1 by the statement inside the prompt")


def test_likeness_without_the_same_gold_is_not_enough(plugins: PluginManager) -> None:
    texts = statements(6)
    changed = texts[0].replace("Find", "Determine").replace(" no. 0.", " again!")
    assert found(plugins, [ForeignProblem(None, changed, "7")], problems(texts)) == {}
    assert found(plugins, [ForeignProblem(None, changed, "100")], problems(texts)) == {0: ("p0", "likeness")}


def test_a_statement_as_like_to_two_problems_is_decided_by_gold_or_not_at_all(plugins: PluginManager) -> None:
    text = statements(1)[0]
    known = problems([text + " Give x.", text + " Give y.", *statements(5, seed=2)])
    vague = text.replace("Find", "Determine")
    assert found(plugins, [ForeignProblem(None, vague, None)], known) == {}
    assert found(plugins, [ForeignProblem(None, vague, "101")], known) == {0: ("p1", "likeness")}


def test_elimination_needs_as_many_on_both_sides_and_golds_of_their_own(plugins: PluginManager) -> None:
    texts = statements(6)
    sure = [ForeignProblem(None, text, None) for text in texts[:4]]
    odd = [
        ForeignProblem(None, f"Nothing alike {i}: {c * 30}", gold)
        for i, (c, gold) in enumerate([("q", "104"), ("z", "105")])
    ]
    both = found(plugins, sure + odd, problems(texts))
    assert (both[4], both[5]) == (("p4", "gold"), ("p5", "gold"))
    assert len(found(plugins, sure + odd[:1], problems(texts))) == 4
    twins = [Problem(p.id, p.text, "104" if p.id == "p5" else p.gold) for p in problems(texts)]
    same = [odd[0], ForeignProblem(None, odd[1].text, "104")]
    assert len(found(plugins, sure + same, twins)) == 4


def test_one_benchmark_is_not_taken_for_another(plugins: PluginManager) -> None:
    known = problems(statements(30))
    foreign = [ForeignProblem(str(i), text, str(100 + i)) for i, text in enumerate(statements(30, seed=9))]
    assert found(plugins, foreign, known) == {}


def test_ids_that_are_but_numbers_do_not_overrule_statements_and_golds(plugins: PluginManager) -> None:
    texts = statements(3)
    known = [Problem(str(i + 1), text, str(100 + i)) for i, text in enumerate(texts)]
    shifted = [ForeignProblem(str(i), text, str(100 + i)) for i, text in enumerate(texts)]
    assert [found(plugins, shifted, known)[i][0] for i in range(3)] == ["1", "2", "3"]
    assert found(plugins, [ForeignProblem("1", "quite another question", "7")], known) == {}


def test_time_is_linear_in_the_texts(plugins: PluginManager) -> None:
    """1,500 prompts of 4,000 characters against 1,500 problems, none the same: a comparison of each with each, at
    the speed of difflib, would take hours."""
    texts = statements(1500)
    known = problems(texts)
    filler = "Think step by step. " * 180
    foreign = [
        ForeignProblem(
            None, f"{filler}{text.replace('Find', 'Determine').replace(' no. ', ' nr ')}", str(100 + i)
        )
        for i, text in enumerate(texts)
    ]
    started = time.monotonic()
    matches = found(plugins, foreign, known)
    assert time.monotonic() - started < 60
    assert all(matches[i][0] == f"p{i}" for i in matches)
    assert len(matches) > 1450
