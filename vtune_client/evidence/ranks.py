"""Rank: does the delivered model prefer the true signature to decoys from the same space?

For each backdoor, the true signature and its D decoys are exchangeable to a system independent of
the draw, so the true one's rank r, ties broken at random, is uniform on 1..D+1 whatever the scores
are: p = r/(D+1), exact and never 0. The p-values of distinct backdoors are independent as long as
each has decoys of its own. They are combined by Fisher's product (Fisher 1932): the product of the
ranks, small under the alternative.

Its null tail is counted exactly, as the share of rank tuples with a product that small. Where that
count would be long, the tail of the product of continuous uniforms stands in (Erlang, closed form);
it is an upper bound, because a discrete p = r/(D+1) is never smaller than the uniform it rounds up.
The count matters for few backdoors: five of five first among 101 is 1e-10 by count, 1e-6 by bound.

A product is blurred by backdoors that were not met. So there is a second statistic: how many rank
first, a sum of independent trials of probability 1/(D+1). It finds a model that met a fifth of 40
backdoors four times as often (benchmarks/results/power.md), and says about the same where all were.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vtune_client.evidence.logspace import LN10, guesses, log_sum

# Bound on the steps of the exact count; in practice a count takes a few tenths of a second at most.
_LONGEST_COUNT = 3_000_000


@dataclass(frozen=True)
class RankScores:
    """One backdoor: scores of the true signature and its decoys, higher is likelier.

    `true[k]` and `decoys[k][d]` belong to prompt k; the same decoys are scored under every prompt.
    Any score will do (nats, base-calibrated or not) if it is the same for the true signature and
    for the decoys. `tie_break` is uniform on [0, 1), drawn without a look at the scores. Raises
    `ValueError` for a score that is not a finite number, or lists that do not fit together.
    """

    true: tuple[float, ...]
    decoys: tuple[tuple[float, ...], ...]
    tie_break: float

    def __post_init__(self) -> None:
        if not self.true or len(self.true) != len(self.decoys):
            raise ValueError("a rank needs true and decoy scores for the same prompts, at least 1")
        if not self.decoys[0] or len({len(row) for row in self.decoys}) != 1:
            raise ValueError("a rank needs the same decoys, at least 1, under every prompt")
        rows = (self.true, *self.decoys)
        if not all(math.isfinite(score) for row in rows for score in row):
            raise ValueError("a score is not a finite number")
        if not 0 <= self.tie_break < 1:
            raise ValueError("a tie break lies in [0, 1)")

    @property
    def rank(self) -> int:
        """The true signature's place among all, 1 for the best, by mean score over prompts."""
        true = _mean(self.true)
        decoys = [_mean(scores) for scores in zip(*self.decoys, strict=True)]
        above = sum(1 for score in decoys if score > true)
        ties = sum(1 for score in decoys if score == true)
        return 1 + above + int(self.tie_break * (ties + 1))


@dataclass(frozen=True)
class RankTest:
    """The outcome: `10**log10_p` bounds P(product of ranks <= observed) under the null.

    Recompute from `ranks` and `decoys` (per backdoor; per slot in `candidates_test`). `statistic`
    is log10 of the product of r/(D+1); `method` says whether the tail is the "exact count" or the
    "Erlang bound", or of `first_ranks_test` the "Poisson binomial".
    """

    name: str
    log10_p: float
    statistic: float
    backdoors: int
    ranks: tuple[int, ...]
    decoys: tuple[int, ...]
    method: str


def rank_test(backdoors: Sequence[RankScores], *, name: str = "ranks") -> RankTest:
    """Test whether the true signatures rank above their decoys more often than chance could.

    Scores of several prompts are averaged before ranking: one statistic per secret. Raises
    `ValueError` for no backdoors.
    """
    if not backdoors:
        raise ValueError("a rank test needs at least one backdoor")
    ranks = [scores.rank for scores in backdoors]
    return ranks_tested(ranks, [len(scores.decoys[0]) for scores in backdoors], name=name)


def ranks_tested(ranks: Sequence[int], decoys: Sequence[int], *, name: str = "ranks") -> RankTest:
    """Return what `rank_test` finds of these ranks, 1 for the best, among so many decoys each.

    Raises `ValueError` for no ranks, or one that is not a place among its decoys."""
    places = [count + 1 for count in decoys]
    if not ranks or not all(1 <= r <= p for r, p in zip(ranks, places, strict=True)):
        raise ValueError("a rank is a place among the signature and its decoys")
    statistic = math.fsum(
        math.log10(rank) - math.log10(size) for rank, size in zip(ranks, places, strict=True)
    )
    product = math.prod(ranks)
    if _count_is_short(product, places):
        method = "exact count"
        log10_p = math.log10(_tuples_within(product, places)) - math.fsum(map(math.log10, places))
    else:
        method = "Erlang bound"
        log10_p = _erlang(-statistic * LN10, len(places)) / LN10
    return RankTest(
        name=name,
        log10_p=min(0.0, log10_p),
        statistic=statistic,
        backdoors=len(ranks),
        ranks=tuple(ranks),
        decoys=tuple(decoys),
        method=method,
    )


def _mean(scores: Sequence[float]) -> float:
    """Return the mean, correctly rounded, so that equal scores stay equal in any order."""
    return math.fsum(score / len(scores) for score in scores)


def first_ranks_test(ranks: RankTest, *, name: str = "first ranks") -> RankTest:
    """Test whether more of the true signatures rank first than chance could; `statistic` of them.

    Whether this or the product is looked at is not chosen by the data: both are reported."""
    first = sum(rank == 1 for rank in ranks.ranks)
    tail = guesses([count + 1 for count in ranks.decoys])[first:]
    log10_p = log_sum(tail) / LN10 if first else 0.0
    return replace(
        ranks,
        name=name,
        log10_p=min(0.0, log10_p),
        statistic=float(first),
        method="Poisson binomial",
    )


def _count_is_short(product: int, places: Sequence[int]) -> bool:
    """Tell whether the steps of `_tuples_within` stay below the limit."""
    quotients = 2 * (math.isqrt(product) + 1)
    return len(places) * quotients * min(max(places), quotients) <= _LONGEST_COUNT


def _tuples_within(product: int, places: Sequence[int]) -> int:
    """Return how many tuples (r_1, ..., r_n), 1 <= r_i <= places[i], have a product that small.

    `rooms` maps what is left for the product of the other ranks (floor(product / r_1 / ...)) to the
    number of ways to get there; runs of ranks that leave the same room are taken together.
    """
    rooms = {product: 1}
    *first, final = places
    for size in first:
        left: dict[int, int] = {}
        for room, ways in rooms.items():
            rank, last = 1, min(size, room)
            while rank <= last:
                rest = room // rank
                end = min(room // rest, last)
                left[rest] = left.get(rest, 0) + ways * (end - rank + 1)
                rank = end + 1
        rooms = left
    return sum(ways * min(room, final) for room, ways in rooms.items())


def _erlang(x: float, shape: int) -> float:
    """Return log P(X >= x) for X the sum of `shape` standard exponentials."""
    if x <= 0:
        return 0.0
    log_x = math.log(x)
    return log_sum([k * log_x - math.lgamma(k + 1) for k in range(shape)]) - x
