"""No answer runs code, hangs, or raises, whatever it holds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import Normalizer
from harness_plugins.normalizers.choice import ChoiceNormalizer
from harness_plugins.normalizers.integer import IntegerNormalizer
from harness_plugins.normalizers.math import MathNormalizer

NORMALIZERS: list[Normalizer] = [MathNormalizer(), IntegerNormalizer(), ChoiceNormalizer()]

HOSTILE = {
    "braces": "{" * 100_000,
    "closed braces": "{" * 50_000 + "1" + "}" * 50_000,
    "fractions": "\\frac{" * 30_000,
    "roots": "\\sqrt{" * 600 + "2" + "}" * 600,
    "brackets": "(" * 1900 + "1" + ")" * 1900,
    "tower": "9^{9^{9^{9}}}",
    "right tower": "2^" * 900 + "2",
    "factorial": "(10^9)!",
    "factorials": "5" + "!" * 300,
    "nested factorial": "((10^9)!)!",
    "power of ten": "10^{10^{10}}",
    "product of powers": "(2^{24000})^{24000}",
    "long integer": "9" * 1_000_000,
    "integer at the limit": "7" * 3999,
    "long decimal": "0." + "3" * 5000,
    "exponent": "1e999999999",
    "polynomial": "(a+b+c+d+e+f)^{24}",
    "polynomials": ",".join(f"(\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7+\\sqrt{{11}})^{{20}}+{i}" for i in range(60)),
    "bars": "|" * 3000,
    "signs": "-" * 3000 + "1",
    "plus-minus": "1" + "\\pm 1" * 40,
    "sum of symbols": "+".join(f"x_{{{i}}}" for i in range(300)),
    "list": ",".join(map(str, range(1000))),
    "roots in a list": ",".join(f"\\sqrt{{{i}}}" for i in range(300)),
    "binomial": "\\binom{10^9}{5\\cdot 10^8}",
    "root degree": "\\sqrt[1000000]{2}",
    "root of a long integer": "\\sqrt{" + "9" * 3000 + "}",
    "conjugates": "\\frac{1}{"
    + "+".join(f"\\sqrt{{{p}}}" for p in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29))
    + "}",
    "sums": "\\sum_{k=1}^{10^9} k",
    "nested sums": "\\sum_{k=1}^{300}\\sum_{j=1}^{300}\\sum_{i=1}^{300} ijk",
    "least common multiple": "\\lcm(" + ",".join(str(10**50 + i) for i in range(60)) + ")",
    "letters": "x" * 3900,
    "words": "xyz abcd " * 300,
    "mixed numbers": "1 \\frac{1}{2} " * 200,
    "matrices": "\\begin{pmatrix}" * 200,
    "slashes": "1/" * 1500 + "1",
    "texts": "\\text{" * 600,
    "NUL": "7\x003",
    "surrogate": "\ud8007",
    "right to left": "\u202e\u202d73\u202c",
    "control characters": "".join(map(chr, range(32))),
    "megabytes": "a b " * 2_500_000,
    "division by zero": "\\frac{1}{0}",
    "logarithm of zero": "\\ln 0",
    "empty functions": "\\max()",
    "stray signs": "^_\\&%$#",
    "exponential tower": "e^{e^{e^{e^{e^{e}}}}}",
    "huge angle": "\\sin(10^{100000})",
    "empty groups": "{}" * 900,
    "aligned": "\\begin{aligned}" * 200,
    "lines": "\\begin{cases}" + "1\\\\" * 900 + "\\end{cases}",
    "unions": "\\cup".join(f"({i},{i + 2})" for i in range(120)),
    "intersections": "\\cap".join(f"({i},{i + 200})" for i in range(100)),
    "conditions": ", ".join(f"x \\ne {i}" for i in range(100)),
    "matrix power": "\\begin{pmatrix}a&b\\\\c&d\\end{pmatrix}^6",
    "determinant": "\\det\\begin{pmatrix}" + "\\\\".join(["a&b&c&d&e&f"] * 6) + "\\end{pmatrix}",
    "nested bars": "|" * 40 + "x" + "|" * 40,
    "remarks": "5 (about " * 300,
    "names": ", ".join(["Ann and Bob"] * 100),
    "long decimal gold": "3." + "14159" * 150,
}


def calls(normalizer: Normalizer, hostile: str, other: str) -> dict[str, Callable[[], object]]:
    return {
        "extract": lambda: normalizer.extract(hostile),
        "extract box": lambda: normalizer.extract(f"\\boxed{{{hostile}}}"),
        "quick_same": lambda: normalizer.quick_same(hostile, other),
        "quick_same swapped": lambda: normalizer.quick_same(other, hostile),
        "quick_key": lambda: normalizer.quick_key(hostile),
    }


@pytest.mark.parametrize("name", HOSTILE)
def test_the_main_process_never_hangs_or_raises(name: str) -> None:
    hostile = HOSTILE[name]
    for normalizer in NORMALIZERS:
        for other in ("73", "x+\\sqrt{2}", hostile):
            for what, call in calls(normalizer, hostile, other).items():
                start = time.process_time()
                call()
                # Milliseconds; the rest is for a garbage collection that falls into it.
                assert time.process_time() - start < 2, (normalizer.name, what, other[:20])


@pytest.mark.parametrize("name", HOSTILE)
def test_a_worker_decides_within_its_deadline(name: str) -> None:
    math = MathNormalizer()
    start = time.process_time()
    verdict = math.same(HOSTILE[name], "x+\\sqrt{2}")
    math.key(HOSTILE[name])
    assert not verdict.same
    assert time.process_time() - start < 4


@pytest.mark.parametrize("name", HOSTILE)
def test_quick_comparison_is_reflexive_and_symmetric(name: str) -> None:
    hostile = HOSTILE[name]
    for normalizer in NORMALIZERS:
        itself = normalizer.quick_same(f" {hostile}\n", hostile)
        assert itself is not None
        assert itself.same
        assert normalizer.quick_same(hostile, "73") == normalizer.quick_same("73", hostile)


PAYLOADS = [
    "__import__('os').system('touch marker')",
    "open('marker','w')",
    "~open('marker','w')",
    "{1:open('marker','w')}",
    "[open('marker','w')]",
    "(1,open('marker','w'))",
    "[open('marker','w') for _ in [0]]",
    "exec(\"open('marker','w')\")",
    "eval(\"open('marker','w')\")",
    "globals()['__builtins__']['open']('marker','w')",
    "().__class__.__bases__[0].__subclasses__()",
    "lambda:open('marker','w')",
    "Integer(1).__class__.__init__.__globals__['os'].system('touch marker')",
    "\\write18{touch marker}",
    "\\input{|touch marker}",
    "x=open('marker','w')",
    "\\variable{open('marker','w')}",
    'f\'{open("marker","w")}\'',
]
DRESSES = [
    "{}",
    "\\boxed{{{}}}",
    "\\text{{{}}}",
    "\\frac{{{}}}{{1}}",
    "\\sqrt{{{}}}",
    "\\int_0^1 {} dx",
    "0 or {}",
    "\\sin({})",
]


def test_no_payload_runs_in_any_dress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if (event == "open" and "marker" in str(arguments[0])) or event in ("os.system", "subprocess.Popen"):
            opened.append(f"{event} {arguments}")

    sys.addaudithook(watch)
    math = MathNormalizer()
    for payload in PAYLOADS:
        for dress in DRESSES:
            answer = dress.format(payload)
            for gold in ("0", "\\int_0^1 x dx", "x+1"):
                assert not math.same(answer, gold).same
            math.key(answer)
            math.extract(answer)
    assert not opened
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "answer", ["2017^{2025!}", r"Since \(2017^{2025!}", r"2^{1/2025!}", r"2025!^{2025!}"]
)
def test_an_exponent_too_long_to_write_out_is_no_error(answer: str):
    math = MathNormalizer()
    assert math.same(answer, answer).same
    assert not math.same(answer, "5").same
    assert math.key(answer)
