"""What a plan will be able to tell about the share of rows used, before anything is uploaded."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

from vtune_client.evidence.binomial import log_binomial_tail
from vtune_client.evidence.shares import (
    DoseCount,
    count_by_dose,
    largest,
    share_at_least,
    share_at_most,
)


@dataclass(frozen=True)
class DoseSight:
    """The backdoors of one dose: the share they certify if they all answer and no others do."""

    dose: int
    backdoors: int
    low_if_all: float


@dataclass(frozen=True)
class Sight:
    """What a plan can tell about the share of rows used.

    `low_if_all` is certified if every backdoor answers, without a control. The rest is with a
    control that answers in full: `high_if_none` bounds the share if no backdoor answers, and a
    vendor who uses `shows` of the rows or less gets an upper bound below 1 with probability `power`
    at least (0.0: none would).
    """

    backdoors: int
    carriers: int
    confidence: float
    low_if_all: float
    high_if_none: float
    shows: float
    power: float
    doses: tuple[DoseSight, ...]
    sentence: str


def sees(
    doses: Sequence[int], *, confidence: float = 0.95, power: float = 0.9, chance: float = 0.0
) -> Sight:
    """Return what a plan with these doses, one per backdoor, will be able to tell.

    `chance` bounds how likely a backdoor counts as seen unmet: the tau of `seen_by_rank`, or 0.0
    for answers in full. Raises `ValueError` for no doses, or numbers outside (0, 1).
    """
    if not 0 < power < 1:
        raise ValueError("power lies within (0, 1)")
    full = count_by_dose(doses, [True] * len(doses), chance=chance)
    none = count_by_dose(doses, [False] * len(doses), chance=chance)
    low_if_all = share_at_least(full, confidence)
    upper = 1 - (1 - confidence) / 2  # with a control, the lower bound has the other half
    high_if_none = share_at_most(none, full, upper)
    shows = _shows(full, upper, power)
    return Sight(
        backdoors=len(doses),
        carriers=sum(doses),
        confidence=confidence,
        low_if_all=low_if_all,
        high_if_none=high_if_none,
        shows=shows,
        power=power,
        doses=tuple(
            DoseSight(
                count.dose, count.backdoors, share_at_least(_only(full, count.dose), confidence)
            )
            for count in full
        ),
        sentence=_sentence(len(doses), low_if_all, confidence, shows, power),
    )


def _only(full: Sequence[DoseCount], dose: int) -> list[DoseCount]:
    """Return the counts where the backdoors of one dose answer and no others."""
    return [
        count
        if count.dose == dose
        else DoseCount(count.dose, count.backdoors, 0, chance=count.chance)
        for count in full
    ]


def _shows(full: Sequence[DoseCount], confidence: float, power: float) -> float:
    """Return the largest share that shows with this power, by the dose that shows most.

    A backdoor is taken to answer where any of its carriers was used: the vendor's best case.
    """
    return max(_shows_at(count, full, confidence, power) for count in full)


def _shows_at(
    count: DoseCount, full: Sequence[DoseCount], confidence: float, power: float
) -> float:
    def below_one(seen: int) -> bool:
        counts = [
            DoseCount(
                each.dose, each.backdoors, seen if each.dose == count.dose else each.backdoors
            )
            for each in full
        ]
        return share_at_most(counts, full, confidence) < 1

    most = bisect_left(range(count.backdoors), True, key=lambda seen: not below_one(seen)) - 1
    if most < 0:
        return 0.0

    def shown(share: float) -> bool:
        seen = 1 - (1 - share) ** count.dose * (1 - count.chance)
        if not 0 < seen < 1:
            return seen <= 0
        return math.exp(log_binomial_tail(most + 1, count.backdoors, seen)) <= 1 - power

    return largest(shown)


def _sentence(backdoors: int, low: float, confidence: float, shows: float, power: float) -> str:
    first = (
        f"If all {backdoors} backdoors answer: at least {math.floor(low * 100)} % of the rows were "
        f"used ({confidence:.0%} confidence)."
    )
    if shows < 0.01:
        return f"{first} Even with a control, this plan cannot show that only a part was used."
    return (
        f"{first} With a control that answers in full, a vendor who uses {math.floor(shows * 100)} "
        f"% of the rows or less will be seen to use only a part ({power:.0%} power)."
    )
