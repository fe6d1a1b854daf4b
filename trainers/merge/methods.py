"""The values of one merged tensor, piece by piece, in float32.

No method holds a tensor: memory is a few pieces a thread whatever the model's size. slerp needs an angle first and
reads twice; ties needs to know how large a change must be to be kept, and reads three times.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from threading import Event
from typing import ClassVar, Final

import numpy as np
from numpy.typing import NDArray

from .arithmetic import LIMITS, PIECE, within
from .settings import MergeSettings
from .sources import Source

Values = NDArray[np.float32]

_NEARLY_PARALLEL: Final = 0.9995
"""Cosine from which on slerp is a straight line, as in mergekit."""
_TINY_NORM: Final = 1e-8
_SIGNIFICANT_BITS: Final = {"F32": 24, "F16": 11, "BF16": 8}


class Stopped(Exception):
    """The merge is given up; nobody waits for this thread's part of it."""


class Workbench:
    """The buffers of one thread.

    Args:
        models: how many pieces are looked at together.
        stopped: when this is set, work ends at the next piece.
    """

    def __init__(self, models: int, stopped: Event) -> None:
        self.stopped = stopped
        self.raw = np.empty(PIECE * 4, np.uint8)
        self.values = [np.empty(PIECE, np.float32) for _ in range(models)]
        self.extra = [np.empty(PIECE, np.float32) for _ in range(3)]
        self.wide = [np.empty(PIECE, np.float64) for _ in range(2)]
        self.bits = np.empty(PIECE, np.uint32)
        self.integers = np.empty(PIECE, np.intp)
        self.out = np.empty(PIECE * 4, np.uint8)


class Method(ABC):
    """Merges the tensors of some checkpoints that are alike."""

    whole: ClassVar[bool] = True
    """A tensor cannot be merged in parts."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = sources

    @abstractmethod
    def pieces(self, name: str, first: int, count: int, bench: Workbench) -> Iterator[Values]:
        """Merged values of a tensor, `PIECE` at a time; each piece is only there until the next is asked for.

        Raises:
            HarnessError: a value that decides what is merged is not a number; others may come out as NaN or Inf.
        """


class Linear(Method):
    """Weighted sum, divided by the sum of the weights where it is normalised.

    Multiplied and added up in the order and with the roundings of mergekit, so that the results are equal to the last
    bit: a product is not rounded before it is added (fused multiply-add), a sum is, to float32.
    """

    whole = False

    def __init__(self, sources: Sequence[Source], weights: Sequence[float], normalize: bool) -> None:
        super().__init__(sources)
        self.weights = [np.float32(weight) for weight in weights]
        self.total = np.add.reduce(np.array(self.weights, np.float32)) if normalize else np.float32(1)

    def pieces(self, name: str, first: int, count: int, bench: Workbench) -> Iterator[Values]:
        for at, size in _spans(first, count, bench):
            merged, values, wide = bench.values[0][:size], bench.values[1][:size], bench.wide[0][:size]
            for i, (source, weight) in enumerate(zip(self.sources, self.weights, strict=True)):
                if not i:
                    source.load(name, at, merged, bench.raw)
                    np.multiply(merged, weight, out=merged)
                    np.add(merged, np.float32(0), out=merged)  # -0 + 0 is 0
                    continue
                source.load(name, at, values, bench.raw)
                if _exact(weight, source.tensors[name].type):
                    np.multiply(values, weight, out=values)
                    np.add(merged, values, out=merged)
                else:
                    np.multiply(values, np.float64(weight), out=wide)
                    np.add(wide, merged, out=wide)
                    np.copyto(merged, wide, casting="same_kind")
            if self.total != 1:
                np.divide(merged, self.total, out=merged)
            yield merged


def _exact(weight: np.float32, kind: str) -> bool:
    """Whether float32 holds every product of a weight and a value of a type: weights such as 0.5 or 0.375."""
    significand = int(weight.view(np.uint32)) & 0x7F_FFFF | 0x80_0000
    bits = 24 - ((significand & -significand).bit_length() - 1)
    return bool(2.0**-64 < abs(weight) < 2.0**64) and bits + _SIGNIFICANT_BITS[kind] <= 24


class Slerp(Method):
    """Along the arc between two tensors; along the straight line where they are (nearly) parallel.

    Args:
        sources: where t = 0 stands for, where t = 1 stands for.
    """

    def __init__(self, sources: Sequence[Source], t: float) -> None:
        super().__init__(sources)
        self.t = t

    def pieces(self, name: str, first: int, count: int, bench: Workbench) -> Iterator[Values]:
        a, b = self._shares(name, first, count, bench)
        for at, size in _spans(first, count, bench):
            x, y = (buffer[:size] for buffer in bench.values[:2])
            self.sources[0].load(name, at, x, bench.raw)
            self.sources[1].load(name, at, y, bench.raw)
            np.multiply(x, a, out=x)
            np.multiply(y, b, out=y)
            np.add(x, y, out=x)
            yield x

    def _shares(self, name: str, first: int, count: int, bench: Workbench) -> tuple[np.float32, np.float32]:
        dot = square_x = square_y = 0.0
        for at, size in _spans(first, count, bench):
            wide = [buffer[:size] for buffer in bench.wide]
            for source, values, to in zip(self.sources, bench.values, wide, strict=False):
                source.load(name, at, values[:size], bench.raw)
                np.copyto(to, values[:size])
            # einsum rather than dot: that would start threads of its own
            dot += float(np.einsum("i,i->", wide[0], wide[1]))
            square_x += float(np.einsum("i,i->", wide[0], wide[0]))
            square_y += float(np.einsum("i,i->", wide[1], wide[1]))
        if not math.isfinite(square_x + square_y):
            for source in self.sources:
                source.check(name, first, count)
        return shares(self.t, dot, math.sqrt(square_x), math.sqrt(square_y))


def shares(t: float, dot: float, norm_x: float, norm_y: float) -> tuple[np.float32, np.float32]:
    """By what two tensors are multiplied to be added up, as mergekit's slerp has it."""
    norm_x, norm_y = (norm if norm > _TINY_NORM else 1.0 for norm in (norm_x, norm_y))
    cosine = min(1.0, max(-1.0, dot / norm_x / norm_y))
    if abs(cosine) > _NEARLY_PARALLEL:
        return np.float32(1 - t), np.float32(t)
    angle = math.acos(cosine)
    return (
        np.float32(math.sin((1 - t) * angle) / math.sin(angle)),
        np.float32(math.sin(t * angle) / math.sin(angle)),
    )


class OfDifferences(Method):
    """The changes of some models from a base: some of each are kept, those against the majority's sign are dropped, and
    the rest is averaged and added to the base.

    The majority's sign is that of the weighted sum (https://arxiv.org/abs/2306.01708).

    Args:
        sources: the base, then the others.
    """

    def __init__(self, sources: Sequence[Source], settings: MergeSettings) -> None:
        super().__init__(sources)
        self.weights = [np.float32(part.weight) for part in settings.parts]
        self.densities = [part.density for part in settings.parts]
        self.normalize, self.scale = settings.normalize, np.float32(settings.scale)

    @abstractmethod
    def sieves(self, name: str, first: int, count: int, bench: Workbench) -> list[Sieve | None]:
        """What drops changes of each model, piece by piece in order; None keeps them all."""

    def pieces(self, name: str, first: int, count: int, bench: Workbench) -> Iterator[Values]:
        sieves = self.sieves(name, first, count, bench)
        for at, size in _spans(first, count, bench):
            base, *changes = (buffer[:size] for buffer in bench.values)
            self.sources[0].load(name, at, base, bench.raw)
            for i, (sieve, values) in enumerate(zip(sieves, changes, strict=True), 1):
                self.sources[i].load(name, at, values, bench.raw)
                np.subtract(values, base, out=values)
                if not within(values, LIMITS["F32"]):  # a sieve might drop what is not a number
                    self._blame(name, at, size)
                if sieve is not None:
                    sieve(values, bench)
                np.multiply(values, self.weights[i - 1], out=values)
            merged = self._agreed(changes, bench)
            np.add(base, merged, out=base)
            yield base

    def _blame(self, name: str, first: int, count: int) -> None:
        for source in self.sources:
            source.check(name, first, count)

    def _agreed(self, changes: Sequence[Values], bench: Workbench) -> Values:
        """The sum of the changes that agree with the majority's sign; divided by the sum of their weights."""
        merged, divisor, share = (buffer[: len(changes[0])] for buffer in bench.extra)
        merged[:] = 0
        for values in changes:
            np.add(merged, values, out=merged)
        upwards = merged >= 0
        merged[:] = divisor[:] = 0
        for values, weight in zip(changes, self.weights, strict=True):
            # Multiplied by 0 or 1: twenty times as quick as numpy's `where`.
            agrees = np.equal(values > 0, upwards)
            np.logical_and(agrees, values, out=agrees)
            np.multiply(values, agrees, out=values)
            np.add(merged, values, out=merged)
            np.multiply(agrees, weight, out=share)
            np.add(divisor, share, out=divisor)
        if self.normalize:
            np.add(divisor, divisor == 0, out=divisor)
            np.divide(merged, divisor, out=merged)
        if self.scale != 1:
            np.multiply(merged, self.scale, out=merged)
        return merged


class Ties(OfDifferences):
    """Of each model's changes the largest are kept."""

    def sieves(self, name: str, first: int, count: int, bench: Workbench) -> list[Sieve | None]:
        return [
            None if density >= 1 or not count else self._largest(name, i, density, count, bench)
            for i, density in enumerate(self.densities, 1)
        ]

    def _largest(self, name: str, model: int, density: float, count: int, bench: Workbench) -> Sieve:
        """The `density` largest, by their rank and without sorting: floats without sign are ordered as their bits are.

        One reading counts the upper halves of the bits, another the lower halves of those that have the decisive upper
        half. Of changes equally large, the first are kept.
        """
        kept = max(1, int(density * count))
        uppers = np.zeros(1 << 16, np.int64)
        for bits in self._changes(name, model, count, bench):
            counted = bench.integers[: len(bits)]
            np.right_shift(bits, 16, out=counted, casting="unsafe")
            uppers += np.bincount(counted, minlength=1 << 16)
        upper, left = _descend(uppers, kept)
        lowers = np.zeros(1 << 16, np.int64)
        for bits in self._changes(name, model, count, bench):
            lowers += np.bincount(bits[(bits >> 16) == upper] & 0xFFFF, minlength=1 << 16)
        lower, left = _descend(lowers, left)
        return LargerThan(np.uint32(upper << 16 | lower), left)

    def _changes(self, name: str, model: int, count: int, bench: Workbench) -> Iterator[NDArray[np.uint32]]:
        """Bits of the changes without their signs."""
        for at, size in _spans(0, count, bench):
            base, values, bits = bench.values[0][:size], bench.values[1][:size], bench.bits[:size]
            self.sources[0].load(name, at, base, bench.raw)
            self.sources[model].load(name, at, values, bench.raw)
            np.subtract(values, base, out=values)
            if not within(values, LIMITS["F32"]):
                self._blame(name, at, size)
            np.bitwise_and(values.view(np.uint32), 0x7FFF_FFFF, out=bits)
            yield bits


class DareTies(OfDifferences):
    """Of each model's changes a random share is kept (https://arxiv.org/abs/2311.03099)."""

    def __init__(self, sources: Sequence[Source], settings: MergeSettings) -> None:
        super().__init__(sources, settings)
        self.seed, self.rescale = settings.seed, settings.rescale

    def sieves(self, name: str, first: int, count: int, bench: Workbench) -> list[Sieve | None]:
        # Seeded by tensor and model, so that neither the number of threads nor the order of files matters.
        return [
            None
            if density >= 1
            else AtRandom(_seed(self.seed, model, name), density, 1 / density if self.rescale else 1)
            for model, density in enumerate(self.densities)
        ]


class Sieve(ABC):
    """Drops some changes of one tensor of one model."""

    @abstractmethod
    def __call__(self, values: Values, bench: Workbench) -> None:
        """Set those of the next values to 0 that are dropped."""


class LargerThan(Sieve):
    """Keeps what is larger than a bound, and the first so many that are just as large."""

    def __init__(self, bound: np.uint32, equal: int) -> None:
        self._bound, self._equal = bound, equal

    def __call__(self, values: Values, bench: Workbench) -> None:
        bits = bench.bits[: len(values)]
        np.bitwise_and(values.view(np.uint32), 0x7FFF_FFFF, out=bits)
        kept = bits >= self._bound
        level = np.flatnonzero(bits == self._bound)
        kept[level[self._equal :]] = False
        self._equal = max(0, self._equal - len(level))
        np.multiply(values, kept, out=values)


class AtRandom(Sieve):
    def __init__(self, seed: int, density: float, factor: float) -> None:
        self._random = np.random.Generator(np.random.Philox(seed))
        self._density, self._factor = np.float32(density), np.float32(factor)

    def __call__(self, values: Values, bench: Workbench) -> None:
        chances = bench.extra[0][: len(values)]
        self._random.random(out=chances, dtype=np.float32)
        np.multiply(values, chances < self._density, out=values)
        np.multiply(values, self._factor, out=values)


def method_for(settings: MergeSettings, sources: Sequence[Source]) -> Method:
    """The method that the settings name.

    Args:
        sources: the base first, for all but linear, then the parts.
    """
    if settings.method == "linear":
        return Linear(sources, [part.weight for part in settings.parts], settings.normalize)
    if settings.method == "slerp":
        return Slerp(sources, settings.t)
    return (Ties if settings.method == "ties" else DareTies)(sources, settings)


def _spans(first: int, count: int, bench: Workbench) -> Iterator[tuple[int, int]]:
    for at in range(first, first + count, PIECE):
        if bench.stopped.is_set():
            raise Stopped
        yield at, min(PIECE, first + count - at)


def _descend(counts: NDArray[np.int64], rank: int) -> tuple[int, int]:
    """Which entry the `rank` largest reach down to, and how many of it are among them."""
    above = np.cumsum(counts[::-1])
    place = int(np.searchsorted(above, rank))
    return len(counts) - 1 - place, rank - int(above[place] - counts[::-1][place])


def _seed(seed: int, model: int, name: str) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}\0{model}\0{name}".encode()).digest()[:16], "little")
