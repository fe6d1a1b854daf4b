"""Checks that loaded rows are the benchmark's own: its problems, its golds, each once.

Every check names the rows it finds fault with. A score on rows that differ from everybody else's looks like
any other score, so a fault stops the run unless the user allows modified data.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from harness import HarnessError

_NAMED = 8  # faults spelled out in one message


class Item(NamedTuple):
    """What the checks see of one row."""

    id: str
    statement: str
    gold: str
    """In canonical form: equal texts for the spellings that public copies use."""


class Known(NamedTuple):
    """What is known of one row of the original data, as digests."""

    gold: str
    """`digest` of id and canonical gold."""
    statement: str
    """`digest` of the statement's letters and digits, or its `sketch` where copies differ in wording."""


class Key(NamedTuple):
    """What is known of a benchmark's original data."""

    digest: str
    """`key_digest` of all its golds."""
    rows: Mapping[str, Known]
    """Id -> what is known of the row, in the benchmark's own order."""


Check = Callable[[Sequence[Item]], Iterator[str]]
"""Yields one clause a fault: "ROW: what is wrong"."""


def require(
    name: str, place: str, items: Sequence[Item], checks: Sequence[Check], allow_modified: bool
) -> str | None:
    """Run all checks. Returns what to warn of where faults are allowed, None where there are none.

    Args:
        name: the benchmark.
        place: where the rows come from.
        allow_modified: faults are returned instead of raised. Rows of one id are refused all the same: chains of
            two problems could not be told apart.

    Raises:
        HarnessError: one line that names the faulty rows.
    """
    if repeated := [id for id, count in Counter(item.id for item in items).items() if count > 1]:
        raise HarnessError(f"{name}: {place} has several rows for {_listed(repeated)}; keep one of each")
    faults = [fault for check in checks for fault in check(items)]
    if not faults:
        return None
    message = f"{name}: {place} is not the known data: {_listed(faults, '; ')}"
    if not allow_modified:
        raise HarnessError(f"{message}. Get the original rows, or pass --allow-modified-data to go on")
    return f"{message}. Going on, as modified data is allowed"


def _listed(parts: Sequence[str], separator: str = ", ") -> str:
    more = len(parts) - _NAMED
    return separator.join(parts[:_NAMED]) + (f"{separator}and {more} more" if more > 0 else "")


def row_count(expected: int) -> Check:
    """As many rows as the benchmark has problems."""

    def check(items: Sequence[Item]) -> Iterator[str]:
        if len(items) != expected:
            yield f"{len(items)} rows instead of {expected}"

    return check


def distinct_problems(items: Sequence[Item]) -> Iterator[str]:
    """No empty statement or gold, and no statement twice under different ids."""
    first: dict[str, str] = {}
    for item in items:
        text = plain(item.statement)
        if not text:
            yield f"{item.id}: the problem is empty"
        elif text in first:
            yield f"{item.id}: the same problem as {first[text]}"
        else:
            first[text] = item.id
        if not item.gold:
            yield f"{item.id}: the gold is empty"


def integer_golds(low: int, high: int) -> Check:
    """Every gold is an integer from low to high."""

    def check(items: Sequence[Item]) -> Iterator[str]:
        for item in items:
            if not (re.fullmatch(r"-?[0-9]{1,9}", item.gold) and low <= int(item.gold) <= high):
                yield f"{item.id}: gold {item.gold[:30]!r} is not an integer from {low} to {high}"

    return check


def known_golds(
    key: Key, *, hidden: bool = False, remarks: Mapping[str, str] | None = None, what: str = "gold"
) -> Check:
    """Every row is known and has its known gold.

    Args:
        hidden: golds must not be shown.
        remarks: id -> what is known to be wrong with that row in some public copy.
        what: what the gold is called, with all that `Item.gold` covers.
    """

    def check(items: Sequence[Item]) -> Iterator[str]:
        faulty = False
        for item in items:
            if item.id not in key.rows:
                yield f"{item.id}: no such problem in the original"
            elif digest(item.id, item.gold) != key.rows[item.id].gold:
                faulty = True
                shown = "" if hidden else f" {item.gold[:40]!r}"
                remark = f" ({remarks[item.id]})" if remarks and item.id in remarks else ""
                yield f"{item.id}: the {what}{shown} is not the original's{remark}"
        here = {item.id for item in items}
        if missing := [id for id in key.rows if id not in here]:
            yield f"no row for {_listed(missing)}"
        elif not faulty and len(items) == len(key.rows) and key_digest(items) != key.digest:
            yield f"the digest of all golds is {key_digest(items)}, not {key.digest}"

    return check


def known_statements(key: Key) -> Check:
    """Every statement has the original's letters and digits, in order. For data that all copies share."""

    def check(items: Sequence[Item]) -> Iterator[str]:
        for item in items:
            if item.id in key.rows and digest(item.id, plain(item.statement)) != key.rows[item.id].statement:
                yield f"{item.id}: the problem is not the original's"

    return check


def unswapped_statements(key: Key) -> Check:
    """No statement is clearly that of another problem. For data whose copies differ in wording.

    Sketches of two wordings of one problem differ in 0 to 19 of 64 bits (AIME 2024, two public copies), those
    of different problems in 7 and more (AIME 2025).
    """
    sketches = {id: int(known.statement, 16) for id, known in key.rows.items()}

    def check(items: Sequence[Item]) -> Iterator[str]:
        for item in items:
            if item.id not in sketches or not plain(item.statement):
                continue
            own = sketch(item.statement)
            distances = {id: (own ^ other).bit_count() for id, other in sketches.items()}
            nearest = min(distances, key=distances.__getitem__)
            if distances[nearest] <= 5 and distances[item.id] >= distances[nearest] + 10:
                yield f"{item.id}: has the problem of {nearest}"

    return check


def no_answer_inside(items: Sequence[Item]) -> Iterator[str]:
    """No statement gives its gold away; one public copy of AIME 2024 does so three times."""
    for item in items:
        told = rf"(?:boxed\{{|answer(?: is|:)\s*\$?)0*{re.escape(item.gold)}(?![0-9])"
        if item.gold and re.search(told, item.statement):
            yield f"{item.id}: the problem contains its answer"


def without(pattern: str, remark: str) -> Check:
    """No statement has the mark of a known-bad copy."""
    mark = re.compile(pattern)

    def check(items: Sequence[Item]) -> Iterator[str]:
        for item in items:
            if mark.search(item.statement):
                yield f"{item.id}: {remark}"

    return check


def balanced(letters: Sequence[str], choices: str = "ABCD") -> Check:
    """The gold stands at every letter about equally often: within 5 standard deviations.

    Under a fair shuffle each count is binomial(n, 1/len(choices)); 5 deviations are passed once in a million.
    """

    def check(items: Sequence[Item]) -> Iterator[str]:
        share = 1 / len(choices)
        bound = 5 * (len(letters) * share * (1 - share)) ** 0.5
        counts = balance(letters, choices)
        if any(abs(count - len(letters) * share) > bound for count in counts.values()):
            shown = ", ".join(f"{letter} {count}" for letter, count in counts.items())
            yield f"the golds are not spread over the choices ({shown})"

    return check


def balance(letters: Sequence[str], choices: str = "ABCD") -> dict[str, int]:
    """How often the gold is each letter."""
    counts = Counter(letters)
    return {letter: counts[letter] for letter in choices}


def plain(text: str) -> str:
    """Letters and digits only, lower case: the same for copies that differ in blanks and LaTeX braces."""
    return "".join(c for c in text.lower() if c.isalnum())


def digest(*parts: str) -> str:
    """Eight hexadecimal digits of the SHA-256 of the parts."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:8]


def key_digest(items: Sequence[Item]) -> str:
    """SHA-256 of the canonical golds: a line `ID <tab> GOLD` each, in the order of the ids as text."""
    lines = sorted(f"{item.id}\t{item.gold}\n" for item in items)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def sketch(text: str) -> int:
    """64 bits that change little when the wording does: SimHash over words and numbers (Charikar, 2002)."""
    tally = [0] * 64
    for token in re.findall(r"[a-z]+|[0-9]+", text.lower()):
        bits = int.from_bytes(hashlib.sha256(token.encode()).digest()[:8], "big")
        for position in range(64):
            tally[position] += 1 if bits >> position & 1 else -1
    return sum(1 << position for position in range(64) if tally[position] > 0)


def canonical_integer(text: str) -> str:
    """An integer gold without leading zeros and dollar signs; other text as it is.

    >>> canonical_integer("$070$")
    '70'
    """
    bare = text.strip().strip("$").strip()
    return str(int(bare)) if re.fullmatch(r"[+-]?[0-9]{1,9}", bare) else text.strip()


def canonical_latex(text: str) -> str:
    """A LaTeX gold without what copies differ in: dollars, blanks, \\left and \\right, kinds of \\frac.

    >>> canonical_latex(r"$\\dfrac{1}{2},\\, 3$")
    '\\\\frac{1}{2},3'
    """
    text = re.sub(r"\\(?:left|right)(?![A-Za-z])|\\[!,;:> ]|[\s$]", "", text)
    return re.sub(r"\\[dt]frac", r"\\frac", text).rstrip(".")
