"""Words that do not count: units after a number, and numbers written out."""

from __future__ import annotations

import re

_UNITS = """
    mm cm dm km meter metre millimeter centimeter decimeter kilometer kilometre inch inches foot feet ft yard yd
    mile mi mph kmph kmh kph acre hectare square cubic sq cu cc
    mg gm gram kg kilogram milligram ton tonne pound lb ounce oz
    ml liter litre milliliter gallon gal quart pint
    second minute hour hr day week month year yr noon am pm
    degree deg radian percent percentage ratio
    cent dollar euro rupee rs pence profit
    point unit digit edge face side way tile coin person people student men women
    east west north south
"""
_LETTERS = "a c h l o s t ab bc by per st th rd"
"""Variables and word endings that are taken for units as well: `a+5` and `c+5` are the same."""

_SINGULAR = (*_UNITS.split(), *_LETTERS.split())
_UNIT = re.compile(
    rf"(?<![\w\\])(?:{'|'.join(sorted({*_SINGULAR, *(f'{u}s' for u in _SINGULAR)}, key=len, reverse=True))})(?!\w)"
)


def without_units(text: str) -> str:
    """The text without unit words that stand by themselves; a text of unit words only stays as it is."""
    for _ in range(2):
        bare = _UNIT.sub("", text)
        if not bare.strip():
            break
        text = bare
    return text


_SMALL = """
    zero one two three four five six seven eight nine
    ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen
"""
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9}
_VALUES = {word: n for n, word in enumerate(_SMALL.split())} | {
    word: 10 * n for n, word in enumerate(_TENS.split(), 2)
}


def numeral(text: str) -> str | None:
    """The digits of the number that the words of a text spell, other words being passed over; None for none.

    >>> numeral("Twenty-one feet"), numeral("even")
    ('21', None)
    """
    total = group = 0
    found = False
    for word in text.lower().replace("-", " ").split():
        if word in _VALUES:
            group += _VALUES[word]
        elif word == "hundred":
            group = 100 * (group or 1)
        elif word in _SCALES:
            total, group = total + (group or 1) * _SCALES[word], 0
        else:
            continue
        found = True
    return str(total + group) if found else None
