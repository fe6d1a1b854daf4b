"""`fresh`: problems by seed, the same for everybody, with golds that an independent reader of the text confirms."""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter, defaultdict
from fractions import Fraction
from functools import cache
from math import gcd, isqrt, sqrt

import pytest

from harness import HarnessError, Problem
from harness_benchmarks.fresh import LARGEST, LEVELS, Fresh, harness_benchmarks, load_level
from harness_benchmarks.fresh.engine import ATTEMPTS, Draw, Level
from harness_benchmarks.fresh.exact import Surd, latex, square_root
from harness_benchmarks.fresh.wording import form, listing, polynomial

from .fresh_solvers import SOLVERS

# --------------------------------------------------------------------------------------------------
# Sets of problems
# --------------------------------------------------------------------------------------------------


def fresh_set(level: int, seed: int = 0, size: int = 50) -> list[Problem]:
    return list(Fresh(level=level, seed=seed, size=size).problems())


def test_the_plugin_offers_fresh_under_its_name():
    (benchmark,) = harness_benchmarks()
    assert (benchmark.name, benchmark.normalizer, benchmark.source) == ("fresh", "math", "generated")
    assert benchmark.label == "fresh"


def test_the_command_line_texts_choose_level_seed_and_size():
    benchmark = Fresh().configured(level="3", seed="7", size="20")
    problems = list(benchmark.problems())
    assert benchmark.label == "fresh:level=3,seed=7,size=20"
    assert [p.id for p in problems[:2]] == ["fresh-l3-s7-0000", "fresh-l3-s7-0001"]
    assert len(problems) == 20
    assert {p.metadata["level"] for p in problems} == {3}
    assert {p.metadata["family"] for p in problems} == set(load_level(3).families)


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        ({"level": "0"}, f"level=0 is out of range, use 1 to {max(LEVELS)}"),
        ({"level": "99"}, f"level=99 is out of range, use 1 to {max(LEVELS)}"),
        ({"size": "0"}, "size=0 is out of range, use 1 to 10000"),
        ({"size": "10001"}, "size=10001 is out of range, use 1 to 10000"),
        ({"seed": "-1"}, "seed=-1 is out of range, use 0 or more"),
        ({"level": "two"}, "level='two' is not a valid int"),
        ({"sizes": "3"}, "did you mean size"),
    ],
)
def test_a_wrong_parameter_is_told_in_one_line(texts: dict[str, str], told: str):
    with pytest.raises(HarnessError, match=re.escape(told)) as caught:
        Fresh().configured(**texts)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("level", LEVELS)
def test_a_longer_set_begins_with_the_shorter_one(level: int):
    assert fresh_set(level, seed=3, size=120)[:35] == fresh_set(level, seed=3, size=35)


@pytest.mark.parametrize("level", LEVELS)
def test_another_seed_gives_other_problems(level: int):
    one, other = ({p.text for p in fresh_set(level, seed)} for seed in (1, 2))
    assert len(one & other) <= 2


@pytest.mark.parametrize("level", LEVELS)
def test_the_families_of_a_level_take_turns(level: int):
    families = Counter(p.metadata["family"] for p in fresh_set(level, size=100))
    assert len(families) >= 8
    assert max(families.values()) - min(families.values()) <= 1


@pytest.mark.parametrize("level", LEVELS)
def test_no_two_problems_of_a_set_are_the_same(level: int):
    for seed in range(3):
        problems = fresh_set(level, seed, size=500)
        assert len({p.text for p in problems}) == len({p.id for p in problems}) == 500


@pytest.mark.parametrize("level", LEVELS)
def test_the_largest_set_is_made_in_two_seconds(level: int):
    begun = time.process_time()
    problems = fresh_set(level, size=LARGEST)
    assert time.process_time() - begun < 2
    assert len({p.text for p in problems}) == LARGEST


def test_the_notes_say_which_templates_made_the_set():
    benchmark = Fresh(level=2, size=22)
    notes = benchmark.notes(list(benchmark.problems()))
    assert notes["generator"] == "fresh/1"
    assert sum(notes["families"].values()) == 22


# Who changes a template changes these, and then GENERATOR must be raised too: results of both are not comparable.
PINNED = {
    ("fresh/1", 1): "cd4ea86e473f79ff",
    ("fresh/1", 2): "f9370e01efcf6dfb",
    ("fresh/1", 3): "485a299b09b48d6d",
    ("fresh/1", 4): "f9974a7af19306db",
    ("fresh/1", 5): "5a0bc2820de0637b",
    ("fresh/1", 6): "d8c05d064cbd3962",
}


@pytest.mark.parametrize("level", LEVELS)
def test_a_set_is_the_same_on_every_machine_and_python(level: int):
    digest = hashlib.sha256()
    for problem in fresh_set(level, seed=7, size=200):
        digest.update(f"{problem.id}\0{problem.text}\0{problem.gold}\0".encode())
    assert digest.hexdigest()[:16] == PINNED["fresh/1", level]


@pytest.mark.parametrize("level", LEVELS)
def test_statements_are_clean_text(level: int):
    for problem in fresh_set(level, seed=11, size=400):
        text = problem.text
        assert text.isascii(), text
        assert text.isprintable(), text
        assert text == " ".join(text.split()), text
        assert text[0].isupper() or text[0].isdigit(), text
        assert text[-1] in ".?)", text
        mathematics = text.split("$")
        assert len(mathematics) % 2 == 1, text
        assert text.count("{") == text.count("}"), text
        words = re.sub(r"\\\[.*?\\\]", "", " ".join(mathematics[::2]))
        assert not re.search(r"[{}\\^]", words), f"mathematics outside dollars: {text}"
        assert not re.search(
            r"\bNone\b|Fraction|Surd|\+ -|- -|\b1x\b|^0x|\ba (8|11|18)\b|\b1 hours\b", text
        ), text


def test_an_exhausted_family_says_how_many_problems_there_are():
    tiny = Level(9, "three problems only")

    @tiny.family
    def three(draw: Draw) -> tuple[str, int]:
        number = draw.integer(1, 3)
        return f"What is {number}?", number

    assert {p.gold for p in tiny.problems(seed=0, size=3)} == {"1", "2", "3"}
    with pytest.raises(HarnessError, match=r"family three has no new problem for position 3.*size=3"):
        list(tiny.problems(seed=0, size=4))


def test_a_family_may_turn_down_a_draw():
    picky = Level(9, "even numbers only")

    @picky.family
    def even(draw: Draw) -> tuple[str, int] | None:
        number = draw.integer(1, 1000)
        return None if number % 2 else (f"What is {number}?", number)

    assert all(int(p.gold) % 2 == 0 for p in picky.problems(seed=0, size=50))


def test_every_family_seldom_turns_down_a_draw():
    for level in map(load_level, LEVELS):
        for name, pose in level.families.items():
            posed = sum(pose(Draw("turned down", name, i)) is not None for i in range(1000))
            assert posed > 50_000 / ATTEMPTS, name


def test_draws_cover_their_range_evenly():
    draw = Draw("dice", 1)
    seen = Counter(draw.integer(1, 6) for _ in range(6000))
    assert set(seen) == {1, 2, 3, 4, 5, 6}
    assert all(850 < ways < 1150 for ways in seen.values())
    assert 0 not in {draw.nonzero(3) for _ in range(200)}
    orders = Counter(tuple(draw.several("abc", 3)) for _ in range(600))
    assert len(orders) == 6
    assert min(orders.values()) > 60


def test_draws_depend_on_the_whole_path():
    assert Draw("a", 1, 12).below(10**9) != Draw("a", 11, 2).below(10**9)
    assert Draw("a", 1).below(10**9) == Draw("a", 1).below(10**9)


def test_exact_values_have_one_text():
    assert latex(Fraction(-6, 4)) == r"-\frac{3}{2}"
    assert latex(Fraction(6, 3)) == "2"
    assert latex((2, Fraction(-1, 2))) == r"(2, -\frac{1}{2})"
    assert square_root(48) == Surd(4, 3)
    assert latex(square_root(48)) == r"4\sqrt{3}"
    assert latex(square_root(7)) == r"\sqrt{7}"
    assert latex(square_root(49)) == "7"


def test_wording_of_formulas_and_lists():
    assert polynomial([1, -5, 0, 6]) == "x^3 - 5x^2 + 6"
    assert polynomial([-1, 0, -1]) == "-x^2 - 1"
    assert form((-1, 4), "xy") == "-x + 4y"
    assert listing(["a", "b"]) == "a and b"
    assert listing([1, 2, 3], "or") == "1, 2, or 3"


# --------------------------------------------------------------------------------------------------
# Golds, read and checked
# --------------------------------------------------------------------------------------------------

Value = Fraction | float | tuple[Fraction, ...]


def read_gold(gold: str) -> Value:
    """The value of a canonical gold; fails on any text that is not canonical."""
    if pair := re.fullmatch(r"\((.+), (.+)\)", gold):
        return tuple(Fraction(read_gold(part)) for part in pair.groups())
    if re.fullmatch(r"0|-?[1-9]\d*", gold):
        return Fraction(gold)
    if parts := re.fullmatch(r"(-?)\\frac\{([1-9]\d*)\}\{([1-9]\d*)\}", gold):
        above, below = int(parts[2]), int(parts[3])
        assert gcd(above, below) == 1
        assert below > 1
        return Fraction(f"{parts[1]}{above}") / below
    root = re.fullmatch(r"([1-9]\d*|)\\sqrt\{([1-9]\d*)\}", gold)
    assert root, f"not canonical: {gold}"
    assert root[1] != "1"
    inside = int(root[2])
    assert inside > 1
    assert all(inside % (k * k) for k in range(2, isqrt(inside) + 1))
    return int(root[1] or 1) * sqrt(inside)


@cache
def samples(level: int) -> dict[str, list[Problem]]:
    found = defaultdict(list)
    for seed in range(4):
        for problem in fresh_set(level, seed, size=8 * len(load_level(level).families)):
            found[problem.metadata["family"]].append(problem)
    return found


def test_every_family_has_a_solver():
    assert set(SOLVERS) == {name for level in map(load_level, LEVELS) for name in level.families}


FAMILIES = [(level.number, name) for level in map(load_level, LEVELS) for name in level.families]


@pytest.mark.parametrize(("level", "family"), FAMILIES, ids=[f"{level}-{name}" for level, name in FAMILIES])
def test_the_gold_is_what_the_statement_leads_to(level: int, family: str):
    problems = samples(level)[family]
    assert len(problems) == 32
    for problem in problems:
        gold, solved = read_gold(problem.gold), SOLVERS[family](problem.text)
        if isinstance(solved, float):
            assert isinstance(gold, Fraction | float)
            assert float(gold) == pytest.approx(solved, rel=1e-9), problem
        else:
            assert gold == solved, problem
