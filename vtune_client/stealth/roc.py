"""How far scores part carriers from ordinary rows: pure functions of numbers."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from statistics import NormalDist

from vtune_client.evidence.binomial import least_probability

CONFIDENCE = 0.95

Interval = tuple[float, float]


def auc(carriers: Sequence[float], ordinary: Sequence[float]) -> float:
    """Return P(a carrier scores above an ordinary row), ties counted half, over all pairs.

    That is the area under the ROC curve. Raises `ValueError` where either is empty.
    """
    _require(carriers, ordinary)
    ranked = sorted(ordinary)
    halves = sum(bisect_left(ranked, score) + bisect_right(ranked, score) for score in carriers)
    return halves / (2 * len(carriers) * len(ordinary))


def auc_interval(area: float, carriers: int, ordinary: int) -> Interval:
    """Return a 95 % interval for an area found on so many rows.

    Newcombe 2006 (Statistics in Medicine 25:559), method 5: all areas whose own standard error
    reaches the one found. It does not shrink to a point at 0 or 1. It takes rows for independent
    draws; carriers of one backdoor are alike, so it is rather too narrow.
    """
    if min(carriers, ordinary) < 1 or not 0 <= area <= 1:
        raise ValueError("an area lies within [0, 1] and needs a row of each sort")
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    pairs, extra = carriers * ordinary, (carriers + ordinary) / 2 - 1

    def reaches(true: float) -> bool:
        spread = 1 + extra * ((1 - true) / (2 - true) + true / (1 + true))
        return abs(true - area) <= z * math.sqrt(true * (1 - true) * spread / pairs)

    return _edge(area, 0.0, reaches), _edge(area, 1.0, reaches)


def caught(carriers: Sequence[float], ordinary: Sequence[float], false_positives: float) -> int:
    """Return how many carriers are flagged at a threshold that flags no greater share of the
    ordinary rows than `false_positives`.

    Rows that tie are flagged together or not at all. Raises `ValueError` as `auc` does.
    """
    _require(carriers, ordinary)
    if not 0 <= false_positives < 1:
        raise ValueError("a share of false positives lies within [0, 1)")
    # The product of two floats may fall just short of the whole number it stands for.
    allowed = math.floor(false_positives * len(ordinary) + 1e-9)
    threshold = sorted(ordinary, reverse=True)[allowed]
    return sum(score > threshold for score in carriers)


def share_interval(some: int, of: int) -> Interval:
    """Return the Clopper-Pearson 95 % interval for a share, exact given the threshold."""
    one_sided = (1 + CONFIDENCE) / 2
    low = least_probability(some, of, one_sided)
    return low, 1 - least_probability(of - some, of, one_sided)


def _edge(inside: float, outside: float, reaches: Callable[[float], bool]) -> float:
    """Return the last point on the way from `inside` to `outside` that reaches."""
    if reaches(outside):
        return outside
    for _ in range(50):
        middle = (inside + outside) / 2
        if reaches(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _require(carriers: Sequence[float], ordinary: Sequence[float]) -> None:
    if not (carriers and ordinary):
        raise ValueError("an area needs a carrier and an ordinary row")
