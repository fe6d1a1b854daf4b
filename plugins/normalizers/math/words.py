"""Words that the parser knows: functions, separators, units. Data only."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


INVERTIBLE = word_set("sin cos tan cot sec csc sinh cosh tanh")

FUNCTIONS: dict[str, str] = {
    **{name: name for name in word_set("sin cos tan cot sec csc sinh cosh tanh coth sech csch exp ln log lg")},
    **{name: name for name in word_set("sqrt cbrt max min gcd lcm floor ceil abs det")},
    **{f"a{name}": f"a{name}" for name in INVERTIBLE},
    **{f"arc{name}": f"a{name}" for name in INVERTIBLE},
    "cis": "cis", "tg": "tan", "ctg": "cot", "cosec": "csc", "arctg": "atan", "arsinh": "asinh", "arcosh": "acosh",
    "artanh": "atanh", "binom": "binom", "factorial": "factorial", "sgn": "sgn", "Re": "re", "Im": "im",
}  # fmt: skip
"""Written name -> the name used in the tree."""

INVERSES = {name: f"a{name}" for name in INVERTIBLE}

BASES = {"binary": 2, "octal": 8, "decimal": 10, "hex": 16}
"""Bases by name; others are numbers in words."""

ANSWER_WORDS = (
    "respuesta", "réponse", "antwort", "risposta", "resposta", "ответ", "відповідь", "antwoord", "odpowiedź", "odpověď",
    "svar", "vastaus", "cevap", "jawaban", "răspuns", "απάντηση", "válasz", "đáp án", "الجواب", "الإجابة", "پاسخ",
    "תשובה",
)  # fmt: skip
ANSWER_SIGNS = ("答案", "答え", "正解", "정답", "답", "उत्तर", "คำตอบ", "উত্তর")
"""Answer in scripts whose words are not set apart."""

SCALES = {"hundred": 100, "thousand": 1000, "million": 10**6, "billion": 10**9, "trillion": 10**12}
"""Words that multiply the number before them."""
_COUNTED = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen twenty
"""
NUMBERS = {name: number for number, name in enumerate(_COUNTED.split())}
NUMBERS.update(thirty=30, forty=40, fifty=50, sixty=60, seventy=70, eighty=80, ninety=90)
"""Numbers in words."""

SEPARATORS = frozenset({"and", "or", "und"})
CONDITIONS = frozenset({"for", "where", "when", "if", "with", "since", "provided", "unless", "given", "such"})
RESULT_WORDS = frozenset({"is", "are", "equals", "be", "equal", "was", "becomes"})
"""In a sentence, what stands behind the last of these is the answer."""

ALL_REALS = frozenset({"all real numbers", "all reals", "real numbers", "the real numbers", "all real x"})

NO_SOLUTION = frozenset({"no solution", "no solutions", "the empty set", "empty set"})
CONSTANTS = frozenset({"pi", "infinity", "infty", "inf", "oo"})

PERCENT = frozenset({"percent", "pct", "percentage", "percents", "%"})

DEGREES = word_set("degree degrees deg")
ORDINALS = word_set("st nd rd th")
UNIT_LETTERS = word_set("m g s h L l J K N V W A C F T H Q M")
"""Upright letters that are units behind a number."""

UNITS = word_set(
    """
    mm cm dm km nm um kg mg ug lb lbs oz ft yd mi in hr hrs min mins sec secs ms ns us kj kw kwh mw gw
    hz khz mhz ghz ev kev mev gev cal kcal ml cl dl kl mol kmol pa kpa mpa atm psi rpm mph kph kmh kmph
    km/h m/s cc sq cu rad deg usd eur gbp rs cents cent dollars dollar pm am inches inch feet foot yards
    yard miles mile meters meter metres metre grams gram liters liter litres litre hours hour minutes
    minute seconds second days day weeks week months month years year degrees degree radians radian
    units unit square cubic points point people students ways bits bit tons ton joules joule watts watt
    newtons newton volts volt ohms ohm pounds pound ounces ounce gallons gallon quarts quart cups cup
    yuan rupees rupee pesos euros euro
    """
)
"""Words of two letters or more that may follow a number without changing it. Lower case."""

_SAME_UNIT = {
    "centimeter": "cm", "centimetre": "cm", "millimeter": "mm", "millimetre": "mm",
    "kilometer": "km", "kilometre": "km",
    "meter": "m", "metre": "m", "inch": "in", "inches": "in", "foot": "ft", "feet": "ft", "yard": "yd", "mile": "mi",
    "gram": "g", "kilogram": "kg", "liter": "l", "litre": "l", "hour": "h", "hr": "h", "minute": "min", "second": "s",
    "sec": "s", "dollar": "dollar", "cent": "cent", "degree": "degree", "radian": "rad", "joule": "j",
    "kilojoule": "kj", "watt": "w", "kilowatt": "kw", "newton": "n", "volt": "v", "day": "day", "week": "week",
    "month": "month", "year": "year", "pound": "lb", "ounce": "oz", "gallon": "gallon",
}  # fmt: skip
_SYMBOLS = frozenset({"m", "g", "s", "h", "l", "j", "w", "n", "v"}) | frozenset(_SAME_UNIT.values())


def unit_key(unit: str) -> str | None:
    """One name for a known plain unit ("inches", "in"), None for words that are no known unit.

    >>> unit_key("inches") == unit_key("in")
    True
    """
    name = unit.replace(".", "").strip().casefold()
    forms = (name, name.removesuffix("s"), name.removesuffix("es"))
    for form in forms:
        if form in _SAME_UNIT:
            return _SAME_UNIT[form]
    known = [form for form in forms if form in _SYMBOLS or form in UNITS]
    return known[-1] if known else None
