"""The laws that the fuzzer holds, on its seeds, on what it once found and on a few mutations of them."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from .fuzz_grader import SEEDS, check, mutated, normalizers


@pytest.mark.parametrize("path", sorted(SEEDS.glob("*.txt")), ids=lambda path: path.stem)
def test_a_seed_is_graded_by_the_laws(path: Path) -> None:
    check(path.read_text(encoding="utf-8", errors="surrogatepass"), *normalizers())


def test_mutations_of_the_seeds_are_graded_by_the_laws() -> None:
    rng = random.Random(20_260_801)
    corpus = [
        path.read_text(encoding="utf-8", errors="surrogatepass") for path in sorted(SEEDS.glob("[0-9]*.txt"))
    ]
    parts = normalizers()
    for _ in range(1500):
        check(mutated(rng, corpus), *parts)
