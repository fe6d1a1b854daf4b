"""Made-up reasoning chains, for measurements: as long, as varied and as compressible as real ones."""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A thought is a start, a middle with a number and a word, and an end.
_STARTS = (
    *(
        "So ",
        "Wait, ",
        "Hmm, ",
        "Then ",
        "But ",
        "Let me check: ",
        "Okay, ",
        "Since ",
        "By symmetry ",
        "Suppose ",
    ),
    *("Alternatively, ", "Therefore ", "Going back, ", "I think ", "Modulo 7, ", "No — ", "First, ", "Now, "),
)
_MIDDLES = (
    *(
        "we have %d of the %s",
        "$x = %d$ is a %s",
        "$\\frac{%d}{7}$ is the %s",
        "%d is no %s",
        "$p \\mid %d$, a %s",
    ),
    *("at most %d times the %s", "$\\binom{%d}{3}$ per %s", "∠P = %d° in the %s", "$\\sqrt{%d}$ for each %s"),
    *(
        "$2^{10} - %d$ without a %s",
        "adding %d to the %s",
        "the case $k = %d$, where the %s is",
        "%d ≡ 1 for a %s",
    ),
    *(
        "from 1 to %d every %s",
        "the expected value is %d over the %s",
        "\\[ a_{n+1} = %d a_n, \\] so the %s is",
    ),
)
_ENDS = (
    *(
        ". ",
        ".\n",
        ",\n",
        ".\n\n",
        " again. ",
        ", and ",
        " as before. ",
        " is even. ",
        " cancels. ",
        " has no root. ",
    ),
    *(
        ", which is odd. ",
        " is bounded. ",
        " if I am not mistaken.\n",
        " on both sides. ",
        ", minus one. ",
        "?\n",
    ),
)
_WORDS = (
    *(
        "triangle",
        "sequence",
        "remainder",
        "coefficient",
        "polynomial",
        "tangent",
        "diagonal",
        "digit",
        "partition",
    ),
    *(
        "vertex",
        "product",
        "permutation",
        "residue",
        "median",
        "chord",
        "factor",
        "exponent",
        "interval",
        "subset",
    ),
    *(
        "colouring",
        "path",
        "divisor",
        "root",
        "tile",
        "hexagon",
        "bisector",
        "matrix",
        "altitude",
        "quotient",
    ),
    *(
        "determinant",
        "centroid",
        "inequality",
        "circle",
        "sum",
        "term",
        "row",
        "column",
        "parity",
        "slope",
        "area",
    ),
)
_CHARACTERS_A_THOUGHT = 35  # rather less than the mean: what is too much is cut off
_CHARACTERS_A_TOKEN = 3.0


@dataclass(frozen=True, slots=True)
class ChainsFile:
    """A file of chains for `--sampler replay`."""

    path: Path
    chains: int
    correct: int
    """How many conclude with the gold."""
    text_bytes: int
    """Bytes of all texts, in UTF-8."""
    compression: float
    """How many times smaller zlib (level 6) makes a sample of the texts."""


def write_chains(
    path: Path, golds: Sequence[tuple[str, str]], per_problem: int, characters: int, seed: int = 0
) -> ChainsFile:
    """Write chains for problems; each ends in \\boxed{...}, about half of them with the gold.

    Args:
        golds: (problem id, gold) of each problem.
        per_problem: chains of each.
        characters: mean length of a chain; lengths are spread evenly over two thirds to four thirds of it.
    """
    rng = random.Random(seed)
    correct = size = 0
    sample = []
    with path.open("w", encoding="utf-8") as file:
        for id_, gold in golds:
            for index in range(per_problem):
                right = rng.random() < 0.5
                answer = gold if right else _other(gold, rng)
                text = chain(answer, round(characters * rng.uniform(2 / 3, 4 / 3)), rng)
                row = {
                    "problem_id": id_,
                    "index": index,
                    "text": text,
                    "completion_tokens": round(len(text) / _CHARACTERS_A_TOKEN),
                    "finish_reason": "stop",
                    "model": "made-up",
                }
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                correct += right
                size += len(text.encode())
                if index == 0:
                    sample.append(text)
    raw = "".join(sample).encode()
    return ChainsFile(path, len(golds) * per_problem, correct, size, len(raw) / len(zlib.compress(raw, 6)))


def chain(answer: str, characters: int, rng: random.Random) -> str:
    """One chain of about so many characters that ends in the answer in a box."""
    count = characters // _CHARACTERS_A_THOUGHT
    template = [""] * (3 * count)
    template[0::3] = rng.choices(_STARTS, k=count)
    template[1::3] = rng.choices(_MIDDLES, k=count)
    template[2::3] = rng.choices(_ENDS, k=count)
    values: list[object] = [None] * (2 * count)
    values[0::2] = [rng.getrandbits(14) for _ in range(count)]
    values[1::2] = rng.choices(_WORDS, k=count)
    thoughts = "".join(template) % tuple(values)
    end = f"\n</think>\n\nThe answer is $\\boxed{{{answer}}}$."
    return f"<think>\n{thoughts[: characters - len(end) - 8]}{end}"


def _other(gold: str, rng: random.Random) -> str:
    while (answer := str(rng.randrange(1000))) == gold:
        pass
    return answer
