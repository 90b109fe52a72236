"""Models that never saw the file are called trained no more often than stated (seeded)."""

from __future__ import annotations

import pytest

from tests.nulls import (
    ANSWERERS,
    LEVELS,
    SCORERS,
    WRITERS,
    RankDesign,
    SlotDesign,
    TextDesign,
    binomial_tail,
    exceedances,
    naive_nulls,
    rank_nulls,
    slot_nulls,
    text_nulls,
)

RUNS = 1000
DESIGNS = [
    SlotDesign(5, (32,) * 6, 3),
    SlotDesign(4, (2, 3, 4, 8), 4),
    SlotDesign(12, (6, 6), 1),
]
# The chance that one honest comparison fails by bad luck; the seed is fixed, so it will not.
LUCK = 1e-4


def too_often(log10_ps: list[float]) -> dict[float, int]:
    counts = {level: exceedances(log10_ps, level) for level in LEVELS}
    return {
        level: count
        for level, count in counts.items()
        if binomial_tail(count, len(log10_ps), level) < LUCK
    }


@pytest.mark.parametrize("design", DESIGNS, ids=str)
@pytest.mark.parametrize("system", ANSWERERS)
def test_slot_test_keeps_its_level(system: str, design: SlotDesign) -> None:
    log10_ps = list(slot_nulls(design, ANSWERERS[system], RUNS, b"slot nulls, seeded"))
    assert len(log10_ps) == RUNS
    assert too_often(log10_ps) == {}


@pytest.mark.parametrize("system", WRITERS)
def test_slot_test_keeps_its_level_on_text(system: str) -> None:
    """From picked signatures through real frames and the reader."""
    design = TextDesign(backdoors=3, candidates=6, queries=2)
    log10_ps = list(text_nulls(design, WRITERS[system], 200, b"text nulls, seeded"))
    assert too_often(log10_ps) == {}
    assert min(log10_ps) < -0.1, "the answers match nothing, so this checks nothing"


@pytest.mark.parametrize("system", SCORERS)
@pytest.mark.parametrize("queries", [1, 3])
def test_rank_test_keeps_its_level(system: str, queries: int) -> None:
    design = RankDesign(backdoors=3, decoys=19, space=24, queries=queries)
    log10_ps = list(rank_nulls(design, SCORERS[system], 600, b"rank nulls, seeded"))
    assert too_often(log10_ps) == {}


def test_slot_level_is_used_where_the_null_is_tight() -> None:
    """One query leaves no slack: the share below 0.05 is near 0.05, not far below."""
    design = SlotDesign(12, (6, 6), 1)
    log10_ps = list(
        slot_nulls(design, ANSWERERS["always the likeliest"], RUNS, b"tight nulls, seeded")
    )
    assert exceedances(log10_ps, 0.05) > 0.015 * RUNS


def test_this_check_catches_a_leak() -> None:
    """A system told one word of two is no null, and shows."""
    system = ANSWERERS["answers at random"]
    leaky = slot_nulls(DESIGNS[2], system, 100, b"leaky nulls, seeded", leak=1)
    assert set(too_often(list(leaky))) == set(LEVELS)


def test_one_shared_secret_breaks_the_binomial() -> None:
    """Queries that share a secret are no trials: 6 % false positives at p = 8e-25."""
    log10_ps = list(naive_nulls(candidates=16, queries=20, runs=RUNS, seed=b"naive nulls, seeded"))
    assert set(too_often(log10_ps)) == {0.01, 0.001}
    assert 0.04 < exceedances(log10_ps, 1e-24) / RUNS < 0.09
