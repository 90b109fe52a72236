"""e-values: what a stake of 1 grows to when it is bet against "the system is independent of our
draw". Under that hypothesis its mean is at most 1, whatever the system is.

**One answer.** Given an answer, and so the word it puts into a slot of L candidates, the true word
is that one with probability 1/L. The bet at rate theta pays 1 + theta (L - 1) on a match and
1 - theta on a miss: mean 1, the likelihood ratio of a system that knows the word with probability
theta. A slot with no word in it takes no bet: that is decided by the answer and the public frame
alone. Slots were drawn independently, so bets multiply over the slots of one answer, and the stake
is spread evenly over `RATES`.

**One rank.** The true signature's rank among N - 1 decoys is uniform on 1..N; each calibrator
f(r) / mean(f) has mean exactly 1 over it, and the stake is spread evenly over them.

**One backdoor.** Its answers, and its rank, hang on one secret: bets on them may be averaged and
never multiplied. So the stake is split before the first question (`Stakes`): a part stays aside,
the rest is shared by the prompts and the rank. What was never asked counts 0, not its stake: a
stake handed back because of what other answers to the same secret showed has a mean above 1 (three
candidates, all on the match, one answer given twice, stopping after a miss: 4/3).

**Several backdoors** have independent secrets, and their e-values multiply: `sequential`.

Bets: Shafer 2021, "Testing by betting". Calibrators: Vovk and Wang 2021, "E-values: calibration,
combination and applications". e-BH: Wang and Ramdas 2022, "False discovery rate control with
e-values".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from vtune_client.evidence.logspace import LN10, log_sum

# Chosen once, before any model was asked; any others would be as valid.
ASIDE = 0.2
RATES = (0.25, 0.5, 0.75, 1.0)
SLOPES = (0.5, 1.0, 2.0, math.inf)  # calibrators r**-slope; the steepest pays for rank 1 alone

Matched = tuple[bool | None, ...]
"""One answer, slot by slot: the true word, another candidate, or None where it has neither."""


@dataclass(frozen=True)
class Stakes:
    """How the stake of one backdoor is split: `prompts` answers with slots of `slot_sizes`, and a
    rank among `decoys` (0: no rank). Raises `ValueError` for counts that cannot be.
    """

    slot_sizes: tuple[int, ...]
    prompts: int
    decoys: int = 0

    def __post_init__(self) -> None:
        if not self.slot_sizes or not all(size >= 1 and size % 1 == 0 for size in self.slot_sizes):
            raise ValueError("a backdoor has at least one slot, each of at least one candidate")
        if min(self.prompts, self.decoys) < 0 or not self.prompts + self.decoys:
            raise ValueError("a backdoor is asked with prompts, or ranked among decoys, or both")

    @property
    def on_answers(self) -> float:
        """The part staked on all answers together, in equal shares."""
        return (1 - ASIDE) / (2 if self.decoys else 1) if self.prompts else 0.0

    @property
    def on_rank(self) -> float:
        """The part staked on the rank."""
        return 1 - ASIDE - self.on_answers if self.decoys else 0.0


def slot_log10_e(slot_sizes: Sequence[int], matched: Sequence[bool | None]) -> float:
    """Return log10 of the e-value of one answer; 0 where nothing was read in it.

    Raises `ValueError` where `matched` is not one entry per slot."""
    if len(slot_sizes) != len(matched):
        raise ValueError(f"{len(slot_sizes)} slots need as many matches, not {len(matched)}")
    return _slots(tuple(slot_sizes), tuple(matched)) / LN10


def rank_log10_e(rank: int, decoys: int) -> float:
    """Return log10 of the e-value of a rank, 1 for the best, among that many decoys.

    Raises `ValueError` for a rank that cannot be."""
    if decoys < 1 or not 1 <= rank <= decoys + 1 or rank % 1:
        raise ValueError(f"there is no rank {rank} among {decoys} decoys")
    return _ranks(rank, decoys + 1) / LN10


def backdoor_log10_e(stakes: Stakes, answers: Sequence[Matched], rank: int | None = None) -> float:
    """Return log10 of the e-value of one backdoor from the answers and the rank that came.

    The mean, by stakes, of what was put aside, the answers' e-values and the rank's; what did not
    come counts 0. Never below `ASIDE`. Raises `ValueError` for more results than stakes.
    """
    if len(answers) > stakes.prompts or (rank is not None and not stakes.decoys):
        raise ValueError("there are more results than stakes")
    parts = [math.log(ASIDE)]
    if answers:
        each = math.log(stakes.on_answers / stakes.prompts)
        parts += [each + slot_log10_e(stakes.slot_sizes, matched) * LN10 for matched in answers]
    if rank is not None:
        parts.append(math.log(stakes.on_rank) + rank_log10_e(rank, stakes.decoys) * LN10)
    return log_sum(parts) / LN10


def ebh(log10_es: Mapping[str, float], alpha: float) -> tuple[str, ...]:
    """Return the names called trained in an audit of many jobs, the strongest first.

    At most a share `alpha` of the names returned is expected to be false, under any dependence
    between the jobs: the k largest e-values are taken for the largest k at which the k-th is at
    least n / (k alpha). It needs e-values as they stood when asking ended; the largest on the way
    there is none. Raises `ValueError` for what is no log10 of an e-value (NaN, infinite above) and
    for an `alpha` outside (0, 1).
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha lies within (0, 1)")
    for name, value in log10_es.items():
        if math.isnan(value) or value == math.inf:
            raise ValueError(f"job {name!r} has no valid log10 e-value: {value}")
    ordered = sorted(log10_es, key=lambda name: -log10_es[name])
    taken = 0
    for place, name in enumerate(ordered, start=1):
        if log10_es[name] >= math.log10(len(ordered)) - math.log10(place * alpha):
            taken = place
    return tuple(ordered[:taken])


@lru_cache(maxsize=10_000)
def _slots(sizes: tuple[int, ...], matched: Matched) -> float:
    """Return the log of the mean, over the rates, of the product of the slots' bets."""
    read = [(size, hit) for size, hit in zip(sizes, matched, strict=True) if hit is not None]
    if not read:
        return 0.0
    products = [math.fsum(_bet(rate, size, hit) for size, hit in read) for rate in RATES]
    return log_sum(products) - math.log(len(RATES))


def _bet(rate: float, size: int, hit: bool) -> float:
    if hit:
        return math.log1p(rate * (size - 1))
    return math.log1p(-rate) if rate < 1 else -math.inf


@lru_cache(maxsize=10_000)
def _ranks(rank: int, places: int) -> float:
    """Return the log of the mean of the calibrators, each with mean 1 over the places."""
    paid = [_falling(rank, slope) - log_total for slope, log_total in _totals(places)]
    return math.log(places) + log_sum(paid) - math.log(len(SLOPES))


@lru_cache(maxsize=100)
def _totals(places: int) -> tuple[tuple[float, float], ...]:
    everywhere = range(1, places + 1)
    return tuple((slope, log_sum([_falling(r, slope) for r in everywhere])) for slope in SLOPES)


def _falling(rank: int, slope: float) -> float:
    return -slope * math.log(rank) if rank > 1 else 0.0
