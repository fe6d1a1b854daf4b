"""Which of a benchmark's problems a foreign problem is: by its id, its statement, what it resembles, or its gold.

Other copies of a statement are set in other LaTeX or are reworded, and prompts bury them in instructions and examples.
Nothing is guessed: what no rule decides stays unmatched, and every match says by which means it came about.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from ..chainfile import squeeze
from ..components import Normalizer
from ..records import Problem

Means = Literal["id", "statement", "prompt", "letters", "likeness", "gold"]

MEANS: Final[dict[Means, str]] = {
    "id": "by id",
    "statement": "by statement",
    "prompt": "by the statement inside the prompt",
    "letters": "by the statement's letters and digits",
    "likeness": "by likeness of the statement",
    "gold": "as the only one left with this gold",
}
"""In words, in the order in which they are tried."""

_TAIL: Final = 12  # characters of a squeezed statement's end by which it is looked for inside prompts
_GRAM: Final = 4  # letters and digits; four tell statements of one contest apart best
_LONG_ENOUGH: Final = 60  # letters and digits
_LONGEST: Final = 100_000  # characters of a prompt that are compared, from its end
_LIKE: Final = 0.3  # likeness of the same problem in other words; of others in one contest it is below
_CLEAR: Final = 1.3  # times as like as any other
_TWICE: Final = 2.0
_VERY_LIKE: Final = 0.6
_ALIKE: Final = 0.8  # without golds to go by
_MOST: Final = 2 / 3  # of the foreign problems, before elimination means anything
_FEW: Final = 300  # left to eliminate among: there each gold is compared with each


@dataclass(frozen=True, slots=True)
class ForeignProblem:
    """A problem as another program names and words it."""

    id: str | None
    text: str | None
    """The statement, or a prompt that contains it."""
    gold: str | None


class Match(NamedTuple):
    problem: Problem
    means: Means


def match(
    foreign: Sequence[ForeignProblem], problems: Sequence[Problem], normalizer: Normalizer
) -> dict[ForeignProblem, Match]:
    """The benchmark's problem for each foreign one; those that cannot be told are left out.

    Time is about linear in the texts. Several foreign problems may be one and the same by id or statement (prompts that
    differ), but a problem is given away once by likeness or by gold.
    """
    matcher = _Matcher(problems, normalizer)
    found: dict[ForeignProblem, Match] = {}
    for rule in (matcher.by_name, matcher.by_text):
        for one in foreign:
            if one not in found and (match := rule(one)) is not None:
                found[one] = match
    rest = [one for one in foreign if one not in found]
    if rest:
        matcher.take(match.problem for match in found.values())
        found |= matcher.by_likeness(rest)
        rest = [one for one in rest if one not in found]
    if rest and len(found) >= _MOST * len(foreign):
        found |= matcher.by_elimination(rest)
    return found


def told(matches: Iterable[Match]) -> str:
    """How many problems were matched by which means, in words."""
    counts = Counter(match.means for match in matches)
    return ", ".join(f"{counts[means]} {words}" for means, words in MEANS.items() if counts[means])


def same_gold(normalizer: Normalizer, one: str, other: str) -> bool:
    """Whether two golds are the same, as far as that can be told at once."""
    if squeeze(one) == squeeze(other):
        return True
    try:
        verdict = normalizer.quick_same(one, other)
    except Exception:  # noqa: BLE001 - a stranger's code: golds that it cannot compare are not known to be the same
        return False
    return verdict is not None and verdict.same


class _Matcher:
    def __init__(self, problems: Sequence[Problem], normalizer: Normalizer) -> None:
        self._problems = problems
        self._by_id = {problem.id: problem for problem in problems}
        self._by_statement = _unique((squeeze(problem.text), problem) for problem in problems)
        self._by_letters = _unique((_letters(problem.text), problem) for problem in problems)
        self._normalizer = normalizer
        # Letters of options are those of one order of the options, and orders differ between programs.
        self._golds_tell = not any(problem.choices for problem in problems)
        self._taken: set[str] = set()
        self._tails: dict[str, list[tuple[str, Problem]]] = defaultdict(list)
        for problem in problems:
            if len(text := squeeze(problem.text)) >= _TAIL:
                self._tails[text[-_TAIL:]].append((text, problem))
        self._likeness = _Likeness(problems)

    def take(self, problems: Iterable[Problem]) -> None:
        self._taken |= {problem.id for problem in problems}

    def by_name(self, one: ForeignProblem) -> Match | None:
        """By id or by the whole statement; where they disagree, the statement is what the model was asked."""
        if one.text is not None and (problem := self._by_statement.get(squeeze(one.text))) is not None:
            by_id = one.id is not None and one.id == problem.id
            return Match(problem, "id" if by_id else "statement")
        problem = self._by_id.get(one.id) if one.id is not None else None
        # Programs number problems from 1: an id that is a mere coincidence mostly has another gold.
        return None if problem is None or not self._may_be(one, problem) else Match(problem, "id")

    def by_text(self, one: ForeignProblem) -> Match | None:
        if one.text is None:
            return None
        if (problem := self._inside(squeeze(one.text[-_LONGEST:]))) is not None:
            return Match(problem, "prompt")
        problem = self._by_letters.get(letters := _letters(one.text))
        if problem is None or (one.gold is None and len(letters) < _LONG_ENOUGH):
            return None  # signs may differ where letters do not
        return Match(problem, "letters") if self._may_be(one, problem) else None

    def _inside(self, prompt: str) -> Problem | None:
        """The problem whose statement stands in a prompt: the last one, since examples come first."""
        for end in range(len(prompt), _TAIL - 1, -1):
            ending = self._tails.get(prompt[end - _TAIL : end], ())
            found = [(text, problem) for text, problem in ending if prompt.endswith(text, 0, end)]
            if found:
                return max(found, key=lambda pair: len(pair[0]))[1]
        return None

    def by_likeness(self, foreign: Sequence[ForeignProblem]) -> dict[ForeignProblem, Match]:
        likely = []
        for one in foreign:
            if one.text is not None and (best := self._most_like(one, one.text)) is not None:
                likely.append((best[0], one, best[1]))
        found: dict[ForeignProblem, Match] = {}
        for _, one, problem in sorted(likely, key=lambda item: -item[0]):
            if problem.id not in self._taken:
                self._taken.add(problem.id)
                found[one] = Match(problem, "likeness")
        return found

    def _most_like(self, one: ForeignProblem, text: str) -> tuple[float, Problem] | None:
        """The problem that this one resembles clearly more than any other, and whose gold it has."""
        scores = self._likeness.of(text)
        top = max(scores.values(), default=0.0)
        rivals = [(score, self._problems[i]) for i, score in scores.items() if score * _CLEAR >= top]
        if one.gold is None or not self._golds_tell:
            alone = sum(score * _TWICE > top for score in scores.values()) == 1
            enough = _VERY_LIKE if alone else _ALIKE
            return rivals[0] if len(rivals) == 1 and top >= enough else None
        fits = [rival for rival in rivals if same_gold(self._normalizer, one.gold, rival[1].gold)]
        enough = _LIKE if len(rivals) == 1 else _VERY_LIKE
        return fits[0] if len(fits) == 1 and fits[0][0] >= enough else None

    def _may_be(self, one: ForeignProblem, problem: Problem) -> bool:
        """Whether golds, where there are any to go by, do not speak against it."""
        return one.gold is None or not self._golds_tell or same_gold(self._normalizer, one.gold, problem.gold)

    def by_elimination(self, foreign: Sequence[ForeignProblem]) -> dict[ForeignProblem, Match]:
        """What is left has to be what is left: as many on both sides, and a gold that no other of them has."""
        left = [problem for problem in self._problems if problem.id not in self._taken]
        if len(left) != len(foreign) or len(left) > _FEW or not self._golds_tell:
            return {}
        fits = {
            one: [problem for problem in left if same_gold(self._normalizer, one.gold, problem.gold)]
            for one in foreign
            if one.gold is not None and one.text is not None
        }
        wanted = Counter(problem.id for candidates in fits.values() for problem in candidates)
        return {
            one: Match(candidates[0], "gold")
            for one, candidates in fits.items()
            if len(candidates) == 1 and wanted[candidates[0].id] == 1
        }


class _Likeness:
    """How much of a problem's statement stands in a text, in 0..1: its 4-grams of letters and digits, weighted by how
    few problems have them (inverse document frequency), so that what contests always say counts little."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        grams = [set(_grams(problem.text)) for problem in problems]
        spread = Counter(gram for one in grams for gram in one)
        self._weights = {gram: math.log((1 + len(grams)) / (0.5 + count)) for gram, count in spread.items()}
        self._holders: dict[str, list[int]] = defaultdict(list)
        self._whole = [sum(self._weights[gram] for gram in one) for one in grams]
        for i, one in enumerate(grams):
            for gram in one:
                # What a fifth of many problems share tells nothing, and costs the most.
                if len(grams) < 100 or spread[gram] * 5 < len(grams):
                    self._holders[gram].append(i)

    def of(self, text: str) -> Mapping[int, float]:
        """Likeness by the problem's position; problems that share nothing are left out."""
        shared: defaultdict[int, float] = defaultdict(float)
        for gram in set(_grams(text[-_LONGEST:])):
            for i in self._holders.get(gram, ()):
                shared[i] += self._weights[gram]
        return {i: weight / self._whole[i] for i, weight in shared.items() if self._whole[i] > 0}


def _letters(text: str) -> str:
    """Letters and digits, without the names of LaTeX's commands."""
    return "".join(c for c in re.sub(r"\\[A-Za-z]+", " ", text[-_LONGEST:]).lower() if c.isalnum())


def _grams(text: str) -> Iterator[str]:
    letters = _letters(text)
    return (letters[i : i + _GRAM] for i in range(len(letters) - _GRAM + 1))


def _unique(pairs: Iterable[tuple[str, Problem]]) -> dict[str, Problem]:
    """Texts that belong to one problem; those of several, and empty ones, tell nothing."""
    found: dict[str, list[Problem]] = defaultdict(list)
    for text, problem in pairs:
        found[text].append(problem)
    return {text: owners[0] for text, owners in found.items() if text and len(owners) == 1}
