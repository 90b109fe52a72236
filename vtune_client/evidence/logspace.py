"""Probabilities as natural logarithms; `-inf` is probability 0."""

from __future__ import annotations

import math
from collections.abc import Sequence

LN10 = math.log(10)


def log_sum(terms: Sequence[float]) -> float:
    """Return log(sum(exp(terms))); -inf for no terms."""
    peak = max(terms, default=-math.inf)
    if peak == -math.inf:
        return -math.inf
    return peak + math.log(math.fsum(math.exp(term - peak) for term in terms))


def log_complement(value: float) -> float:
    """Return log(1 - exp(value)) for value <= 0."""
    if value >= 0:
        return -math.inf
    if value > -math.log(2):
        return math.log(-math.expm1(value))
    return math.log1p(-math.exp(value))


def convolve(left: Sequence[float], right: Sequence[float]) -> list[float]:
    """Return the log-pmf of X + Y from the log-pmfs of independent X and Y, all on 0, 1, 2, ..."""
    if len(left) < len(right):
        left, right = right, left
    total = []
    for k in range(len(left) + len(right) - 1):
        first, last = max(0, k - len(left) + 1), min(k, len(right) - 1)
        total.append(log_sum([left[k - j] + right[j] for j in range(first, last + 1)]))
    return total


def guesses(sizes: Sequence[int]) -> list[float]:
    """Return the log-pmf, on 0..len(sizes), of how often one guess each, of so many, is right."""
    pmf = [0.0]
    for size in sizes:
        hit = -math.log(size)
        pmf = convolve(pmf, [log_complement(hit), hit])
    return pmf
