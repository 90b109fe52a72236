"""Vendors whose share of the file is known, to measure how often what is said of it is wrong.

Places are dealt as a plan deals them. A vendor uses some rows, chosen without a look at the
carriers; a backdoor is seen as its training has it; a control sees all rows. For the trend and the
gap, systems to which the dose does not matter, and vendors who train as the control did.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
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
    run_gap,
    shard_test,
    share_interval,
    share_lower_bound,
)
from vtune_client.places import besides, deal

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
    With `besides`, the ladder is a plan's reserve (of one dose), and that of the others `besides`.
    """

    ladder: tuple[int, ...]
    shards: int = 0
    rate: float = 1.0
    eager: bool = True
    chance: float = 0.0
    besides: tuple[int, ...] = ()

    def __str__(self) -> str:
        ladder = doses_of(self.ladder)
        if self.besides:
            ladder = f"a reserve of {ladder} beside {doses_of(self.besides)}"
        kept = f", {self.shards} shards" if self.shards else ""
        taking = "any carrier takes" if self.eager else "all carriers take"
        return f"{ladder}{kept}, {taking} at {self.rate:g}, chance {self.chance:g}"


def doses_of(ladder: Sequence[int]) -> str:
    doses = sorted(set(ladder), reverse=True)
    return ", ".join(f"{ladder.count(dose)} of dose {dose}" for dose in doses)


def happens(draw: Draw, probability: float) -> bool:
    return draw.below(FINE) < probability * FINE


def used_rows(use: str, share: int) -> list[bool]:
    return [USES[use](row, share) for row in range(ROWS)]


def counts_of(
    design: ShareDesign, used: list[bool], draw: Draw
) -> tuple[tuple[DoseCount, ...], tuple[DoseCount, ...]]:
    """Return what one vendor, and one control, show of one plan."""
    dealt = deal(ROWS, design.besides or design.ladder, design.shards, 1, draw)
    if design.besides:
        dealt = besides(ROWS, dealt, len(design.ladder), design.ladder[0], draw)
    met = [(any if design.eager else all)(used[place] for place in own.places) for own in dealt]

    def counts(met: list[bool]) -> tuple[DoseCount, ...]:
        return count_by_dose(design.ladder, shown(design, met, draw), chance=design.chance)

    return counts(met), counts([True] * len(dealt))


def shown(design: ShareDesign, met: Sequence[bool], draw: Draw) -> list[bool]:
    """Return which backdoors show, given which were met."""
    return [(each and happens(draw, design.rate)) or happens(draw, design.chance) for each in met]


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


def run_gap_nulls(
    ladder: tuple[int, ...], runs: int, seed: bytes, *, alike: bool = True, behind: float = 0.0
) -> Iterator[float]:
    """Yield log10 p of the gap in matched slots between a control and who trains as it was.

    Higher doses are answered better; with `alike` each secret is as easy in both runs, as real ones
    may be. The vendor answers by `behind` less of the slots."""
    draw = Draw(seed, "run gap")

    def answers(ease: Sequence[float], less: float) -> list[float]:
        return [sum(happens(draw, each - less) for _ in range(8)) / 8 for each in ease]

    def ease() -> list[float]:
        return [(1 + draw.below(9)) / 10 * (1 - 0.5**dose) for dose in ladder]

    for _ in range(runs):
        easy = ease()
        here, there = answers(easy, behind), answers(easy if alike else ease(), 0.0)
        yield run_gap(here, there, ladder).log10_p


def shard_nulls(
    shards: int, per_shard: int, rate: float, runs: int, seed: bytes, dropped: float | None = None
) -> Iterator[float]:
    """Yield log10 p of the shard test where vendor and control show every shard at the same rate.

    The vendor shows the first shard at the rate `dropped`, where that is given."""
    draw = Draw(seed, "shards")

    def run(first: float) -> list[int]:
        rates = [first] + [rate] * (shards - 1)
        return [sum(happens(draw, each) for _ in range(per_shard)) for each in rates]

    for _ in range(runs):
        pairs = zip(run(rate if dropped is None else dropped), run(rate), strict=True)
        # which shard is which does not matter: sorting lets runs share their p-values
        yield _shard_p(per_shard, tuple(sorted(pairs)))


@cache
def _shard_p(per_shard: int, pairs: tuple[tuple[int, int], ...]) -> float:
    delivered, control = (
        {shard: (DoseCount(2, per_shard, seen),) for shard, seen in enumerate(run)}
        for run in zip(*pairs, strict=True)
    )
    return shard_test(delivered, control).log10_p


def missed_shards(
    design: ShareDesign, per_shard: int, share: int, runs: int, seed: bytes
) -> Iterator[float]:
    """Yield log10 of the smallest level at which some shard's interval misses its true share.

    The vendor uses `share` of 1000 rows of every shard but the first, of which it uses none."""
    draw, inside = Draw(seed, f"shards {design} {share}"), ROWS // design.shards
    rows = USES["every so many rows"]
    used = [row >= inside and rows(row, share) for row in range(ROWS)]
    true = [sum(used[k * inside : (k + 1) * inside]) / inside for k in range(design.shards)]
    for _ in range(runs):
        dealt = deal(ROWS, design.ladder, design.shards, per_shard, draw)
        met = [(any if design.eager else all)(used[place] for place in own.places) for own in dealt]
        runs_of = [shown(design, met, draw), shown(design, [True] * len(dealt), draw)]
        delivered, control = (
            {
                k: count_by_dose(
                    [len(own.places) for own in dealt if own.shard == k],
                    [each for each, own in zip(seen, dealt, strict=True) if own.shard == k],
                    chance=design.chance,
                )
                for k in range(design.shards)
            }
            for seen in runs_of
        )
        intervals = _shard_intervals(tuple(delivered.items()), tuple(control.items()))
        missed = [
            level
            for level, shares in intervals.items()
            if not all(s.low <= t <= s.high for s, t in zip(shares, true, strict=True))
        ]
        yield log10(min(missed, default=1.0))


Counted = tuple[tuple[int, tuple[DoseCount, ...]], ...]  # per shard


@cache
def _shard_intervals(delivered: Counted, control: Counted) -> dict[float, list[ShareInterval]]:
    return {
        level: [
            shard.share
            for shard in shard_test(dict(delivered), dict(control), confidence=1 - level).shards
        ]
        for level in LEVELS
    }


def missed_stretches(
    backdoors: int, dose: int, use: str, share: int, runs: int, seed: bytes
) -> Iterator[float]:
    """Yield log10 of the smallest level whose bound is above the true share, 0.0 for none.

    As in plans of earlier versions: each of `dose` stretches holds one carrier of each backdoor."""
    used, draw = used_rows(use, share), Draw(seed, f"stretches {backdoors} {dose} {use} {share}")
    true, stretch = sum(used) / ROWS, ROWS // dose
    for _ in range(runs):
        layers = [
            draw.sample(range(at * stretch, (at + 1) * stretch), backdoors) for at in range(dose)
        ]
        answered = sum(any(used[place] for place in own) for own in zip(*layers, strict=True))
        missed = [x for x in LEVELS if _stretches(answered, backdoors, dose, 1 - x) > true]
        yield log10(min(missed, default=1.0))


@cache
def _stretches(answered: int, backdoors: int, dose: int, confidence: float) -> float:
    return share_lower_bound(answered, backdoors, dose, confidence, spread=True)
