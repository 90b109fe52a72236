"""The arithmetic of plans with backdoors of several doses, for models whose control shows all."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

from benchmarks.power.arithmetic import NEGLIGIBLE, SHARES, Model, binomial, by_text, mixed
from benchmarks.power.design import ALPHA, CONFIDENCE, Design
from vtune_client.evidence import DoseCount, share_at_least, share_at_most

LADDERS = ("5x4+20x1", "5x4+60x1")


@dataclass(frozen=True)
class LadderPower:
    """One ladder against one vendor, by whole answers; as in `arithmetic.Power`."""

    model: str
    design: str
    carriers: int
    share: float
    verified: float
    low: float
    partial: float


def table(model: Model, shares: Sequence[float] = SHARES) -> Iterator[LadderPower]:
    for design in LADDERS:
        for share in shares:
            yield power(model, Design.of(design), share)


def power(model: Model, design: Design, share: float) -> LadderPower:
    weights = [
        binomial(backdoors, mixed(model.said, dose, share)) for backdoors, dose in design.groups
    ]
    verified = by_text(len(design.doses), ALPHA)
    outcomes = [
        (math.prod(row[count] for row, count in zip(weights, seen, strict=True)), seen)
        for seen in product(*(range(backdoors + 1) for backdoors, _ in design.groups))
    ]
    likely = [(weight, seen) for weight, seen in outcomes if weight > NEGLIGIBLE]
    return LadderPower(
        model=model.name,
        design=str(design),
        carriers=design.carriers,
        share=share,
        verified=min(1.0, math.fsum(weight * verified[sum(seen)] for weight, seen in likely)),
        low=_median([(_low(design, seen), weight) for weight, seen in likely]),
        partial=min(
            1.0,
            math.fsum(
                weight for weight, seen in likely if verified[sum(seen)] and _high(design, seen) < 1
            ),
        ),
    )


def _counts(design: Design, seen: tuple[int, ...]) -> list[DoseCount]:
    return [
        DoseCount(dose, backdoors, count)
        for (backdoors, dose), count in zip(design.groups, seen, strict=True)
    ]


@cache
def _low(design: Design, seen: tuple[int, ...]) -> float:
    return share_at_least(_counts(design, seen), CONFIDENCE)


@cache
def _high(design: Design, seen: tuple[int, ...]) -> float:
    full = tuple(backdoors for backdoors, _ in design.groups)
    here, there = _counts(design, seen), _counts(design, full)
    return share_at_most(here, there, 1 - (1 - CONFIDENCE) / 2)


def _median(weighted: list[tuple[float, float]]) -> float:
    total, half = 0.0, math.fsum(weight for _, weight in weighted) / 2
    for value, weight in sorted(weighted):
        total += weight
        if total >= half - NEGLIGIBLE:
            return value
    raise ValueError("no outcome")
