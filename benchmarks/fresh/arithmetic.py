"""Elementary number theory that several families use."""

from __future__ import annotations

from functools import lru_cache
from math import gcd

PRIMES = (2, 3, 5, 7, 11)
"""The primes that statements use."""


@lru_cache(maxsize=4096)
def factor(n: int) -> tuple[tuple[int, int], ...]:
    """The prime factorisation of n >= 1 as (prime, exponent) pairs, by trial division.

    >>> factor(360)
    ((2, 3), (3, 2), (5, 1))
    """
    found = []
    prime = 2
    while prime * prime <= n:
        exponent = 0
        while n % prime == 0:
            n //= prime
            exponent += 1
        if exponent:
            found.append((prime, exponent))
        prime += 1
    if n > 1:
        found.append((n, 1))
    return tuple(found)


def divisors(n: int) -> list[int]:
    """All positive divisors of n >= 1, in no particular order."""
    found = [1]
    for prime, exponent in factor(n):
        found = [d * prime**k for d in found for k in range(exponent + 1)]
    return found


def totient(n: int) -> int:
    """Euler's function: how many of 1..n have no common factor with n."""
    for prime, _ in factor(n):
        n -= n // prime
    return n


def recurrence_term(first: int, second: int, p: int, q: int, n: int, modulus: int) -> int:
    """a_n modulo `modulus` where a_1 = first, a_2 = second, a_k = p a_{k-1} + q a_{k-2}, for n >= 1."""
    a, b = first % modulus, second % modulus
    for _ in range(n - 1):
        a, b = b, (p * b + q * a) % modulus
    return a


def residue_count(limit: int, modulus: int, residue: int) -> int:
    """How many of 1..limit leave the remainder `residue`, 0 <= residue < modulus."""
    return (limit - residue) // modulus + (residue > 0) if residue <= limit else 0


def coprime(*numbers: int) -> bool:
    """Whether no two of the numbers have a common factor."""
    return all(gcd(a, b) == 1 for i, a in enumerate(numbers) for b in numbers[:i])
