"""What a plan can tell where a vendor uses rows at random, exactly: no training.

In a large file each carrier of a backdoor of dose r was used with probability s, the share used. So
it shows with a probability q that follows from what the model makes of k carriers used of r, and of
n backdoors a binomial number shows. The bounds are those of `evidence.shares`, the thresholds those
of the slot and the rank test. Only the ranks of backdoors that nobody knows are drawn.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate

from benchmarks.power.design import ALPHA, CONFIDENCE
from vtune_client.amount import TAU
from vtune_client.draw import Draw
from vtune_client.evidence import (
    DoseCount,
    RankScores,
    SlotCounts,
    rank_test,
    share_at_least,
    share_at_most,
    slot_test,
)

SHARES = (0.1, 0.2, 0.3, 0.5, 0.8, 1.0)
GRID = (
    *((backdoors, dose) for backdoors in (5, 10, 20, 40, 60) for dose in (1, 2, 4)),
    (5, 8),
    (10, 8),
)
SLOTS = (32,) * 8  # of a usual signature
PROMPTS, DECOYS = 4, 100  # of a usual plan
DRAWS = 2000
SEED = b"vtune benchmark power"
NEGLIGIBLE = 1e-9

Shows = Callable[[int, int], float]  # carriers used, of how many -> probability


@dataclass(frozen=True)
class Model:
    """How likely a backdoor is said in full, and ranked first, by how many of its carriers were
    used; one that was not met is neither, but for chance."""

    name: str
    said: Shows
    ranked: Shows


ANY = Model("any", lambda used, dose: float(used > 0), lambda used, dose: float(used > 0))
ALL = Model("all", lambda used, dose: float(used == dose), lambda used, dose: float(used == dose))


@dataclass(frozen=True)
class Power:
    """One plan against one vendor. `text`: whole answers alone; `both`: whole answers or ranks.

    `verified` is a probability, `low` the median lower bound without a control, `partial` the
    probability of a verified model with an upper bound below 1, by a control of the same plan.
    `verified_firsts` is what a count of the backdoors ranked first would do in place of the
    product of all ranks.
    """

    model: str
    backdoors: int
    dose: int
    share: float
    verified_text: float
    verified_ranks: float
    verified_firsts: float
    verified_both: float
    low_text: float
    low_both: float
    partial_text: float
    partial_both: float


def table(model: Model, shares: Sequence[float] = SHARES) -> Iterator[Power]:
    for backdoors, dose in GRID:
        for share in shares:
            yield power(model, backdoors, dose, share)


def power(model: Model, backdoors: int, dose: int, share: float) -> Power:
    said, ranked = (mixed(shows, dose, share) for shows in (model.said, model.ranked))
    full_said, full_ranked = model.said(dose, dose), model.ranked(dose, dose)
    # Holm: with both tests the better one has half of alpha; taken as one that depends on the other
    # in the worst way.
    text, half_text = (by_text(backdoors, alpha) for alpha in (ALPHA, ALPHA / 2))
    ranks, half_ranks = (_by_ranks(backdoors, alpha) for alpha in (ALPHA, ALPHA / 2))
    partial_text = _partial(backdoors, text, said, full_said, 0.0)
    # Above dose 1 whole answers alone are compared: one carrier of several is enough to rank first.
    partial_both = (
        _partial(backdoors, half_ranks, ranked, full_ranked, TAU)
        if dose == 1
        else _partial(backdoors, half_text, said, full_said, 0.0)
    )
    return Power(
        model=model.name,
        backdoors=backdoors,
        dose=dose,
        share=share,
        verified_text=_mean(backdoors, said, text),
        verified_ranks=_mean(backdoors, ranked, ranks),
        verified_firsts=_by_firsts(backdoors, ranked),
        verified_both=max(_mean(backdoors, said, half_text), _mean(backdoors, ranked, half_ranks)),
        low_text=_median_low(backdoors, dose, said, 0.0),
        low_both=_median_low(backdoors, dose, ranked, TAU),
        partial_text=partial_text,
        partial_both=partial_both,
    )


def mixed(shows: Shows, dose: int, share: float) -> float:
    """Return how likely a backdoor shows where each of its carriers was used with `share`."""
    return math.fsum(
        weight * shows(used, dose) for used, weight in enumerate(binomial(dose, share)) if weight
    )


@cache
def binomial(trials: int, p: float) -> tuple[float, ...]:
    """Return the probabilities of 0 .. `trials` successes."""
    return tuple(
        math.comb(trials, hits) * p**hits * (1 - p) ** (trials - hits) for hits in range(trials + 1)
    )


def _mean(backdoors: int, shown: float, of: Sequence[float]) -> float:
    """Return the mean of what is `of` each number of backdoors shown."""
    weights = binomial(backdoors, shown)
    return min(1.0, math.fsum(w * each for w, each in zip(weights, of, strict=True)))


@cache
def by_text(backdoors: int, alpha: float) -> tuple[float, ...]:
    """Return, per number of whole answers (the others match nothing), 1.0 where they suffice."""

    def suffice(answers: int) -> bool:
        counts = [
            SlotCounts(SLOTS, (len(SLOTS) if index < answers else 0,) * PROMPTS)
            for index in range(backdoors)
        ]
        return slot_test(counts).log10_p <= math.log10(alpha)

    least = bisect_left(range(backdoors + 1), True, key=suffice)
    return tuple(float(answers >= least) for answers in range(backdoors + 1))


@cache
def _by_ranks(backdoors: int, alpha: float) -> tuple[float, ...]:
    """Return, per number of backdoors ranked first, how likely the ranks suffice.

    The ranks of all others are uniform."""
    most = largest_product(backdoors, alpha)
    enough = [0] * (backdoors + 1)
    draw = Draw(SEED, f"ranks {backdoors} {alpha}")
    for _ in range(DRAWS):
        logs = [math.log(1 + draw.below(DECOYS + 1)) for _ in range(backdoors)]
        sums = [0.0, *accumulate(logs)]
        unknown = bisect_right(sums, most) - 1  # as many random ranks as the product bears
        for known in range(backdoors - unknown, backdoors + 1):
            enough[known] += 1
    return tuple(count / DRAWS for count in enough)


def _by_firsts(backdoors: int, ranked: float) -> float:
    """Return how likely enough backdoors rank first, known or by chance."""
    chance = 1 / (DECOYS + 1)
    least = least_firsts(backdoors, chance)
    return math.fsum(binomial(backdoors, ranked + (1 - ranked) * chance)[least:])


@cache
def least_firsts(backdoors: int, chance: float) -> int:
    """Return how many have to rank first; more than there are where all would not do."""
    tails = (math.fsum(binomial(backdoors, chance)[least:]) for least in range(backdoors + 1))
    return next((least for least, tail in enumerate(tails) if tail <= ALPHA), backdoors + 1)


@cache
def largest_product(backdoors: int, alpha: float) -> float:
    """Return a logarithm up to which a product of ranks has p <= alpha.

    Found among products of last ranks, one rank between, and first ranks: at most a little low."""

    def too_large(step: int) -> bool:
        last, between = divmod(step, DECOYS)
        rest = backdoors - last - 1
        ranks = [*[DECOYS + 1] * last, 1 + between, *[1] * rest][:backdoors]
        scores = [
            RankScores((0.0,), ((*[1.0] * (rank - 1), *[-1.0] * (DECOYS + 1 - rank)),), 0.0)
            for rank in ranks
        ]
        return rank_test(scores).log10_p > math.log10(alpha)

    step = bisect_left(range(backdoors * DECOYS), True, key=too_large) - 1
    if step < 0:
        return -1.0
    last, between = divmod(step, DECOYS)
    return last * math.log(DECOYS + 1) + math.log(1 + between) + NEGLIGIBLE


@cache
def _low(backdoors: int, dose: int, seen: int, chance: float) -> float:
    return share_at_least([DoseCount(dose, backdoors, seen, chance=chance)], CONFIDENCE)


def _median_low(backdoors: int, dose: int, shown: float, chance: float) -> float:
    """Return the bound at the median number of backdoors seen; the bound rises with it."""
    total = 0.0
    for seen, weight in enumerate(binomial(backdoors, shown + (1 - shown) * chance)):
        total += weight
        if total >= 0.5 - NEGLIGIBLE:
            return _low(backdoors, dose, seen, chance)
    return _low(backdoors, dose, backdoors, chance)


@cache
def most_partial(backdoors: int, control: int, chance: float) -> int:
    """Return the most backdoors seen with an upper bound below 1; -1 where none is few enough.

    Whether it is below 1 does not depend on the dose."""
    there = [DoseCount(1, backdoors, control, chance=chance)]

    def whole(seen: int) -> bool:
        here = [DoseCount(1, backdoors, seen, chance=chance)]
        return share_at_most(here, there, 1 - (1 - CONFIDENCE) / 2) >= 1

    return bisect_left(range(backdoors + 1), True, key=whole) - 1


def _partial(
    backdoors: int, verified: Sequence[float], shown: float, full: float, chance: float
) -> float:
    """Return how likely the model is verified and its upper bound below 1.

    `verified` is per number of backdoors shown; `full` is how likely the control shows one."""
    mosts: dict[int, float] = {}
    for control, weight in _likely(binomial(backdoors, full + (1 - full) * chance)):
        most = most_partial(backdoors, control, chance)
        mosts[most] = mosts.get(most, 0.0) + weight
    terms = (
        weight * verified[seen] * likely * _at_most(most - seen, backdoors - seen, chance)
        for seen, weight in _likely(binomial(backdoors, shown))
        for most, likely in mosts.items()
    )
    return min(1.0, math.fsum(terms))


def _likely(weights: Iterable[float]) -> list[tuple[int, float]]:
    return [(count, weight) for count, weight in enumerate(weights) if weight > NEGLIGIBLE]


@cache
def _at_most(lucky: int, unknown: int, chance: float) -> float:
    """Return how likely at most so many of the unknown backdoors count as seen by chance."""
    return math.fsum(binomial(unknown, chance)[: lucky + 1]) if lucky >= 0 else 0.0
