"""Fuzzes the normalizers: any text is graded without an exception, in time, and by the laws of equality.

    python -m tests.fuzz.fuzz_grader --seconds 600 [--seed N]     # from the repository root

With atheris installed (`pip install atheris`) the modules are instrumented and libFuzzer steers the mutations;
without it the seeds are mutated at random. An input is "answer<TAB>gold". What breaks a law is written into
`seeds/found-<digest>.txt`, which the tests replay from then on.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
SEEDS = HERE / "seeds"
SLOW = 0.25
"""Seconds of CPU that one quick call may take; some fifty times what it takes, so that a busy machine is no bug."""
RULES = frozenset(["boxed", "boxes", "statement", "tag", "bold", "math", "line", "conclusion", "letter"])
PIECES = [
    *"0123456789+-*/^_=<>()[]{}|!,.;: xyeiabnkABC%'\"&~$", "\\frac", "\\sqrt", "\\pi", "\\pm", "\\text{", "\\boxed{",
    "\\left(", "\\right)", "\\{", "\\}", "\\cup", "\\cap", "\\setminus", "\\infty", "\\sin", "\\ln", "\\log_",
    "\\begin{pmatrix}", "\\end{pmatrix}", "\\begin{cases}", "\\end{cases}", "\\\\", "^\\circ", "\\cdot", " and ",
    " or ", " is ", "\x00", "\ud800", "½", "²", "≤", "\u200f", "\\sum_{k=1}^", "\\binom", "\\in", "\\mathbb{R}",
    "\\mathbb{Z}", "\\ne", "\\le", "\\pmod", "\\lfloor", "\\rfloor", "\\overline{", "\\over", "\\choose", " cm",
    " percent", " for ", "sqrt(", "max(", "x=", "f(x)=", "\\approx", "\\ldots", "|x|", "\\int_0^1", " dx", "12:30",
    " p.m.", "<think>", "</think>", "**", "answer is ", "Answer: ", "#### ", "\n", "(B)", "10^", "1e", "^T", "\t",
]  # fmt: skip


class Broken(Exception):
    """A law that does not hold."""


def normalizers() -> tuple[Any, Any, Any]:
    """The three normalizers, also where the package is not installed under its name."""
    try:
        importlib.import_module("harness_plugins.normalizers")
    except ImportError:
        sys.modules["harness_plugins"] = importlib.import_module("plugins")
    load = importlib.import_module
    return (
        load("harness_plugins.normalizers.math").MathNormalizer(),
        load("harness_plugins.normalizers.integer").IntegerNormalizer(),
        load("harness_plugins.normalizers.choice").ChoiceNormalizer(),
    )


def timely(call: Callable[..., Any], *arguments: str) -> Any:
    start = time.process_time()
    result = call(*arguments)
    if time.process_time() - start > SLOW:
        start = time.process_time()  # once more: something else may have used the processor
        call(*arguments)
        if time.process_time() - start > SLOW:
            raise Broken(f"{call.__qualname__} is slow")
    return result


def check(text: str, math: Any, integer: Any, choice: Any) -> None:
    """Hold the laws against one input.

    Raises:
        Broken: one of them does not hold.
    """
    answer, _, gold = text.partition("\t")
    for chain in (text, f"\\boxed{{{text}", f"The answer is {answer}"):
        for normalizer in (math, choice):
            found = timely(normalizer.extract, chain)
            if found is not None and (found.rule not in RULES or not isinstance(found.answer, str)):
                raise Broken(f"extraction {found}")
    for normalizer in (integer, choice):
        if not timely(normalizer.same, answer, answer).same:
            raise Broken("an answer is not itself")
        if timely(normalizer.same, answer, gold).same != timely(normalizer.same, gold, answer).same:
            raise Broken("order of two answers")
    itself = timely(math.quick_same, f" {answer}\n", answer)
    if itself is not None and not itself.same:
        raise Broken("an answer is not itself")
    one, other = timely(math.quick_same, answer, gold), timely(math.quick_same, gold, answer)
    # one of them may be left to a worker, and a rounded gold may be met one way only
    if (
        one is not None
        and other is not None
        and "rounded" not in (one.rule, other.rule)
        and one.same != other.same
    ):
        raise Broken(f"order of two answers: {one}, {other}")
    for beside in (None, gold):
        key, gold_key = timely(math.quick_key, answer, beside), timely(math.quick_key, gold, beside)
        if key is not None and key == gold_key and one is not None and not one.same:
            raise Broken(f"a wrong answer has the gold's key {key[:80]!r}")


def run_without_atheris(seconds: float, seed: int, report: Callable[[str, Exception], None]) -> int:
    """Mutate the seeds at random. Returns how many inputs were tried."""
    parts = normalizers()
    rng = random.Random(seed)
    corpus = [
        path.read_text(encoding="utf-8", errors="surrogatepass") for path in sorted(SEEDS.glob("*.txt"))
    ]
    tried, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        text = mutated(rng, corpus)
        tried += 1
        try:
            check(text, *parts)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
            report(text, error)
    return tried


def mutated(rng: random.Random, corpus: Sequence[str]) -> str:
    text = rng.choice(corpus)
    for _ in range(rng.randint(1, 5)):
        at, to = sorted((rng.randint(0, len(text)), rng.randint(0, len(text))))
        kind = rng.randrange(5)
        if kind == 0:
            text = text[:at] + rng.choice(PIECES) + text[at:]
        elif kind == 1:
            text = text[:at] + text[to:]
        elif kind == 2:
            text = text[:at] + text[at:to] * rng.choice((2, 3, 50)) + text[to:]
        elif kind == 3:
            text = text[:at] + rng.choice(PIECES) + text[to:]
        else:
            donor = rng.choice(corpus)
            text = text[:at] + donor[rng.randint(0, len(donor)) :] + text[at:]
    return text[:20_000]


def run_with_atheris(
    atheris: Any, seconds: float, seed: int, report: Callable[[str, Exception], None]
) -> None:
    with atheris.instrument_imports(include=["harness_plugins", "plugins"]):
        parts = normalizers()
        # the modules that are imported when they are first needed
        for text in (path.read_text(encoding="utf-8") for path in sorted(SEEDS.glob("[0-9]*.txt"))):
            check(text, *parts)

    def one_input(data: bytes) -> None:
        text = data.decode("utf-8", "surrogateescape")
        try:
            check(text, *parts)
        except Exception as error:
            report(text, error)
            raise

    corpus = HERE / "corpus"  # what libFuzzer finds interesting; not kept
    corpus.mkdir(exist_ok=True)
    words = HERE / "corpus.dict"
    quoted = (piece.encode("utf-8", "surrogatepass") for piece in PIECES if len(piece) > 1)
    lines = ('"' + "".join(f"\\x{byte:02x}" for byte in piece) + '"\n' for piece in quoted)
    words.write_text("".join(lines), encoding="ascii")
    options = [f"-max_total_time={seconds:g}", f"-seed={seed}", "-max_len=3000", "-rss_limit_mb=4096"]
    options += [f"-dict={words}", "-timeout=20"]
    atheris.Setup([sys.argv[0], *options, str(corpus), str(SEEDS)], one_input)
    atheris.Fuzz()


def keep(text: str, error: Exception) -> None:
    data = text.encode("utf-8", "surrogatepass")
    path = SEEDS / f"found-{hashlib.sha256(data).hexdigest()[:12]}.txt"
    path.write_bytes(data)
    print(f"{path.name}: {type(error).__name__}: {error}: {text[:200]!r}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fuzz the normalizers.")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--no-atheris", action="store_true", help="mutate at random even if atheris is installed"
    )
    options = parser.parse_args()
    atheris: Any = None
    if not options.no_atheris:
        try:
            atheris = importlib.import_module("atheris")
        except ImportError:
            print("atheris is not installed: mutating the seeds at random", file=sys.stderr)
    if atheris is not None:
        run_with_atheris(atheris, options.seconds, options.seed, keep)
    else:
        print(f"{run_without_atheris(options.seconds, options.seed, keep)} inputs tried")


if __name__ == "__main__":
    main()
