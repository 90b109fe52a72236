"""The rank sum of marked items among others, and its distribution over all ways to deal the marks.

A permutation test (Wilcoxon 1945) within strata, exact whatever the scores are: ties get mid-ranks,
which are permuted like all else. Its null distribution is counted: with rank weights w_i, the
number of ways to pick k of n items whose weights sum to t is a coefficient of the product of
(1 + y q^w_i), ties or not. Where that count would be long, random relabellings stand in, and
p = (1 + as good) / (1 + relabellings) is exact too (Phipson and Smyth 2010), if never smaller than
one in their number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vtune_client.draw import Draw

RELABELLINGS = 9_999
# Bound on the bits the exact count adds up: about two seconds' work.
_LONGEST_COUNT = 40_000_000_000

Item = tuple[bool, float]  # whether it is marked, and its score


@dataclass(frozen=True)
class RankSum:
    """The outcome: `10**log10_p` is P(statistic >= observed) over all ways to deal the marks.

    `statistic` is Mann and Whitney's: how many pairs of a marked and another item of one stratum
    have the marked one higher, ties half; `auc` is its share of all such pairs, 0.5 by chance.
    `method` says whether the tail is an "exact count" or "relabellings".
    """

    log10_p: float
    statistic: float
    auc: float
    method: str


def rank_sum(strata: Sequence[Sequence[Item]], draw: Draw) -> RankSum:
    """Test whether marked items score above the others of their stratum more often than chance.

    `draw` deals the relabellings where the count is too long. No stratum is empty; one whose items
    are all marked, or none, says nothing.
    """
    groups = [_stratum(items) for items in strata]
    pairs = sum(group.pairs for group in groups)
    statistic = sum(group.wins for group in groups) / 2
    groups = _reduced(groups)
    if sum(map(_steps, groups)) * _width(groups) <= _LONGEST_COUNT:
        method, log10_p = "exact count", _counted(groups)
    else:
        method, log10_p = "relabellings", _relabelled(groups, draw)
    auc = statistic / pairs if pairs else 0.5
    return RankSum(min(0.0, log10_p), statistic, auc, method)


@dataclass(frozen=True)
class _Stratum:
    """Items alike: the weight of each, which is its mid-rank from 0, doubled."""

    weights: tuple[int, ...]  # rising
    marked: int
    observed: int  # sum of the weights of the marked items

    @property
    def pairs(self) -> int:
        return self.marked * (len(self.weights) - self.marked)

    @property
    def wins(self) -> int:
        """Mann and Whitney's statistic, doubled."""
        return self.observed - self.marked * (self.marked - 1)

    @property
    def ways(self) -> int:
        return math.comb(len(self.weights), self.marked)


def _stratum(items: Sequence[Item]) -> _Stratum:
    scores = sorted(score for _, score in items)
    first = {score: at for at, score in reversed(list(enumerate(scores)))}
    last = {score: at for at, score in enumerate(scores)}
    weight = {score: first[score] + last[score] for score in first}
    return _Stratum(
        weights=tuple(weight[score] for score in scores),
        marked=sum(mark for mark, _ in items),
        observed=sum(weight[score] for mark, score in items if mark),
    )


def _reduced(groups: Sequence[_Stratum]) -> list[_Stratum]:
    """Return the strata with their weights divided by what divides them all: 2 without ties."""
    unit = math.gcd(*(weight for group in groups for weight in group.weights)) or 1
    return [
        _Stratum(
            tuple(weight // unit for weight in group.weights),
            group.marked,
            group.observed // unit,
        )
        for group in groups
    ]


def _width(groups: Sequence[_Stratum]) -> int:
    """Return how many bits hold the number of ways to deal the marks, and a spare one."""
    return math.prod(group.ways for group in groups).bit_length() + 1


def _steps(group: _Stratum) -> int:
    """Return how many coefficients `_sums` adds up, about."""
    highest = sum(group.weights[len(group.weights) - group.marked :])
    return len(group.weights) * group.marked * highest // 2


def _counted(groups: Sequence[_Stratum]) -> float:
    """Return log10 of the share of all ways to deal the marks with as high a statistic."""
    width = _width(groups)
    counts = math.prod(_sums(group, width) for group in groups)
    observed = sum(group.observed for group in groups)
    hits = sum(_digits(counts >> observed * width, width))
    return math.log10(hits) - math.log10(math.prod(group.ways for group in groups))


def _sums(group: _Stratum, width: int) -> int:
    """Return how many sets of `marked` items have each sum of weights.

    The counts are the digits, each `width` bits wide, of one long integer: the generating
    polynomial at q = 2**width, so that a product of polynomials is one of integers.
    """
    counts = [1] + [0] * group.marked
    for done, weight in enumerate(group.weights):
        for size in range(min(done + 1, group.marked), 0, -1):
            counts[size] += counts[size - 1] << weight * width
    return counts[group.marked]


def _digits(number: int, width: int) -> Iterator[int]:
    """Yield the digits of `number`, each `width` bits wide, lowest first."""
    data = number.to_bytes(number.bit_length() // 8 + 1, "little")
    for start in range(0, number.bit_length(), width):
        # cut out as bytes: shifting the whole number for every digit would be quadratic
        piece = int.from_bytes(data[start // 8 : (start + width) // 8 + 1], "little")
        yield piece >> start % 8 & (1 << width) - 1


def _relabelled(groups: Sequence[_Stratum], draw: Draw) -> float:
    """Return log10 of the share of relabellings, the true marks among them, that do as well."""
    observed = sum(group.observed for group in groups)
    hits = sum(
        sum(sum(draw.sample(group.weights, group.marked)) for group in groups) >= observed
        for _ in range(RELABELLINGS)
    )
    return math.log10((1 + hits) / (1 + RELABELLINGS))
