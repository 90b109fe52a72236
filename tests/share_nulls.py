"""Vendors whose share of the file is known, to measure how often what is said of it is wrong.

Places are dealt as a plan deals them. A vendor uses some rows, chosen without a look at the
carriers; a backdoor is seen as its training has it; a control sees all rows. For the trend and the
gap, systems to which the dose does not matter, and vendors who train as the control did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from math import log10

from tests.nulls import LEVELS
from vtune_client.draw import Draw
from vtune_client.evidence import (
    DoseCount,
    ShareInterval,
    count_by_dose,
    dose_gap,
    dose_trend,
    share_interval,
)
from vtune_client.places import deal

ROWS = 2000
FINE = 1 << 20

# Whether a row is used: (its number, how many of 1000 are to be used).
USES: dict[str, Callable[[int, int], bool]] = {
    "the first rows": lambda row, share: row * 1000 < share * ROWS,
    "every so many rows": lambda row, share: row * share % 1000 < share,
    "rows at random": lambda row, share: row * 2654435761 % (1 << 32) < share * (1 << 32) // 1000,
    "whole shards": lambda row, share: row % 500 * 1000 < share * 500,
}


@dataclass(frozen=True)
class ShareDesign:
    """`ladder` as a plan has it. A backdoor of which all rows were used shows with probability
    `rate`, in the control too; one of which only some were, likewise if `eager`, and otherwise not.
    """

    ladder: tuple[int, ...]
    shards: int = 0
    rate: float = 1.0
    eager: bool = True
    chance: float = 0.0

    def __str__(self) -> str:
        doses = sorted(set(self.ladder), reverse=True)
        ladder = ", ".join(f"{self.ladder.count(dose)} of dose {dose}" for dose in doses)
        kept = f", {self.shards} shards" if self.shards else ""
        taking = "any carrier takes" if self.eager else "all carriers take"
        return f"{ladder}{kept}, {taking} at {self.rate:g}, chance {self.chance:g}"


def happens(draw: Draw, probability: float) -> bool:
    return draw.below(FINE) < probability * FINE


def used_rows(use: str, share: int) -> list[bool]:
    return [USES[use](row, share) for row in range(ROWS)]


def counts_of(
    design: ShareDesign, used: list[bool], draw: Draw
) -> tuple[tuple[DoseCount, ...], tuple[DoseCount, ...]]:
    """Return what one vendor, and one control, show of one plan."""
    dealt = deal(ROWS, design.ladder, design.shards, 1, draw)
    met = [(any if design.eager else all)(used[place] for place in own.places) for own in dealt]

    def seen(met: list[bool]) -> tuple[DoseCount, ...]:
        shown = [
            (each and happens(draw, design.rate)) or happens(draw, design.chance) for each in met
        ]
        return count_by_dose(design.ladder, shown, chance=design.chance)

    return seen(met), seen([True] * len(dealt))


@cache
def interval(
    delivered: tuple[DoseCount, ...], control: tuple[DoseCount, ...], level: float
) -> ShareInterval:
    return share_interval(delivered, control, 1 - level)


def missed_shares(
    design: ShareDesign, use: str, share: int, runs: int, seed: bytes
) -> Iterator[float]:
    """Yield log10 of the smallest level whose interval misses the true share, 0.0 for none."""
    used = used_rows(use, share)
    true, draw = sum(used) / ROWS, Draw(seed, f"{design} {use} {share}")
    for _ in range(runs):
        counts = counts_of(design, used, draw)
        missed = [
            level
            for level in LEVELS
            if not interval(*counts, level).low <= true <= interval(*counts, level).high
        ]
        yield log10(min(missed, default=1.0))


def trend_nulls(ladder: tuple[int, ...], runs: int, seed: bytes) -> Iterator[float]:
    """Yield log10 p where some backdoors are known far better than others, whatever their dose."""
    draw = Draw(seed, "trend")
    for _ in range(runs):
        degrees = [draw.below(9) / 8 if index % 3 else 1.0 for index in range(len(ladder))]
        doses = draw.sample(ladder, len(ladder))
        yield dose_trend(doses, degrees, draw).log10_p


def gap_nulls(rates: dict[int, float], backdoors: int, runs: int, seed: bytes) -> Iterator[float]:
    """Yield log10 p where vendor and control show each dose at the same rate."""
    draw = Draw(seed, "gap")

    def run() -> tuple[DoseCount, ...]:
        return tuple(
            DoseCount(dose, backdoors, sum(happens(draw, rate) for _ in range(backdoors)))
            for dose, rate in rates.items()
        )

    for _ in range(runs):
        yield dose_gap(run(), run()).log10_p
