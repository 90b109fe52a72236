"""Does it matter how often a row was there? The dose trend, and how it differs from a control's.

Both tests are exact by exchangeability. The trend permutes doses over backdoors: our key dealt the
secrets to the doses, so where the dose does not matter every dealing was as likely. The gap deals
what was seen at each dose over the two runs: where the vendor trained as the control did, every
dealing with the same totals is as likely.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vtune_client.draw import Draw
from vtune_client.evidence.shares import DoseCount

_MOST_DEALINGS = 20_000  # how many are counted one by one before some are drawn instead
_DRAWN = 9_999


@dataclass(frozen=True)
class TrendTest:
    """The outcome: `10**log10_p` bounds P(statistic >= observed) where the dose does not matter.

    `statistic` is the sum of dose rank (mid-ranks, doubled) times degree over the backdoors.
    `method` says whether all `dealings` of the doses were counted, or so many drawn.
    """

    name: str
    log10_p: float
    statistic: float
    backdoors: int
    doses: tuple[int, ...]
    degrees: tuple[float, ...]
    dealings: int
    method: str


@dataclass(frozen=True)
class GapTest:
    """The outcome: `10**log10_p` is P(no more seen in the delivered run) given each dose's total.

    Recompute from `doses`, and per dose the backdoors asked and seen in either run.
    """

    name: str
    log10_p: float
    doses: tuple[int, ...]
    asked: tuple[int, ...]
    seen: tuple[int, ...]
    control_asked: tuple[int, ...]
    control_seen: tuple[int, ...]


def dose_trend(
    doses: Sequence[int], degrees: Sequence[float], draw: Draw, *, name: str = "dose trend"
) -> TrendTest:
    """Test whether backdoors of higher doses are known better.

    `degrees` says per backdoor how well it is known, higher is better: the share of its slots that
    matched, or its rank turned round. All ways to deal the doses are counted where that is quick;
    otherwise 9,999 are drawn by `draw`, and the observed one is added to both counts, so that p is
    never 0 and never too small. Raises `ValueError` for lists that do not fit, or a degree that is
    not a number.
    """
    if not doses or len(doses) != len(degrees):
        raise ValueError("a trend needs a dose and a degree of each backdoor, at least 1")
    if not all(math.isfinite(degree) for degree in degrees):
        raise ValueError("a degree is not a finite number")
    labels = _doubled_midranks(doses)
    observed = _statistic(labels, degrees)
    # Equal sums may differ in their last digits; counting those as reached only raises p.
    reach = observed - 1e-9 * (1 + abs(observed))
    dealings = _dealings(labels)
    if dealings <= _MOST_DEALINGS:
        method = "all dealings"
        reached = sum(_statistic(dealt, degrees) >= reach for dealt in _arrangements(labels))
    else:
        method, dealings = "drawn dealings", _DRAWN + 1
        drawn = (draw.sample(labels, len(labels)) for _ in range(_DRAWN))
        reached = 1 + sum(_statistic(dealt, degrees) >= reach for dealt in drawn)
    return TrendTest(
        name=name,
        log10_p=min(0.0, math.log10(reached) - math.log10(dealings)),
        statistic=observed,
        backdoors=len(doses),
        doses=tuple(doses),
        degrees=tuple(degrees),
        dealings=dealings,
        method=method,
    )


def dose_gap(
    delivered: Sequence[DoseCount], control: Sequence[DoseCount], *, name: str = "dose gap"
) -> GapTest:
    """Test whether the delivered model shows fewer backdoors than the control, dose by dose.

    Fisher's exact test, one-sided, stratified by dose: given how many were seen in both runs
    together at each dose, the sum over doses of those seen in the delivered run is a sum of
    independent hypergeometric counts; its tail is counted in whole numbers. Doses that only one run
    has say nothing; lost backdoors are left out. Raises `ValueError` where no dose is common to
    both.
    """
    pairs = [
        (here, there)
        for here in delivered
        for there in control
        if here.dose == there.dose and here.lost < here.backdoors and there.lost < there.backdoors
    ]
    if not pairs:
        raise ValueError("a gap needs a dose that both runs were asked about")
    ways = [1]
    for here, there in pairs:
        ways = _product(ways, _hypergeometric_ways(here, there))
    observed = sum(here.seen for here, _ in pairs)
    return GapTest(
        name=name,
        log10_p=min(0.0, math.log10(sum(ways[: observed + 1])) - math.log10(sum(ways))),
        doses=tuple(here.dose for here, _ in pairs),
        asked=tuple(here.backdoors - here.lost for here, _ in pairs),
        seen=tuple(here.seen for here, _ in pairs),
        control_asked=tuple(there.backdoors - there.lost for _, there in pairs),
        control_seen=tuple(there.seen for _, there in pairs),
    )


def _doubled_midranks(doses: Sequence[int]) -> list[int]:
    return [
        sum(other < dose for other in doses) + sum(other <= dose for other in doses) + 1
        for dose in doses
    ]


def _statistic(labels: Sequence[int], degrees: Sequence[float]) -> float:
    return math.fsum(label * degree for label, degree in zip(labels, degrees, strict=True))


def _dealings(labels: Sequence[int]) -> int:
    same = math.prod(math.factorial(count) for count in Counter(labels).values())
    return math.factorial(len(labels)) // same


def _arrangements(labels: Sequence[int]) -> Iterator[list[int]]:
    """Yield every distinct order of the labels, once each."""
    left, chosen = Counter(labels), [0] * len(labels)

    def fill(place: int) -> Iterator[list[int]]:
        if place == len(chosen):
            yield chosen
            return
        for label in left:
            if left[label]:
                left[label] -= 1
                chosen[place] = label
                yield from fill(place + 1)
                left[label] += 1

    yield from fill(0)


def _hypergeometric_ways(here: DoseCount, there: DoseCount) -> list[int]:
    """Return, for k = 0, 1, ... seen in the delivered run, in how many ways that can be dealt."""
    together = here.seen + there.seen
    asked, control = here.backdoors - here.lost, there.backdoors - there.lost
    return [
        math.comb(asked, k) * math.comb(control, together - k)
        for k in range(min(asked, together) + 1)
    ]


def _product(left: Sequence[int], right: Sequence[int]) -> list[int]:
    """Return the coefficients of the product of two polynomials."""
    total = [0] * (len(left) + len(right) - 1)
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            total[i + j] += a * b
    return total
