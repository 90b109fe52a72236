"""Models that never saw the file are called trained, and honest ones accused, no more often than
stated (seeded)."""

from __future__ import annotations

import math

import pytest

from tests.anytime_nulls import SPEAKERS, AnytimeDesign, anytime_runs
from tests.audit_nulls import AuditDesign, audit_nulls, verdict_nulls
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
    reserve_nulls,
    slot_nulls,
    text_nulls,
)
from tests.row_nulls import ROW_SCORERS, RowDesign, row_gap_nulls
from tests.share_nulls import (
    USES,
    ShareDesign,
    missed_shards,
    missed_stretches,
    run_gap_nulls,
    shard_nulls,
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


def test_a_reserve_proves_nothing_of_who_was_shown_the_rest() -> None:
    design = TextDesign(backdoors=3, candidates=6, queries=2)
    log10_ps = list(reserve_nulls(design, 5, 400, b"reserve nulls, seeded"))
    assert too_often(log10_ps) == {}
    assert exceedances(log10_ps, 0.3) > 0, "the answers match nothing, so this checks nothing"


@pytest.mark.parametrize("system", SCORERS)
@pytest.mark.parametrize("queries", [1, 3])
@pytest.mark.parametrize("first", [False, True])
def test_rank_tests_keep_their_level(system: str, queries: int, first: bool) -> None:
    design = RankDesign(backdoors=3, decoys=19, space=24, queries=queries)
    scorer = SCORERS[system]
    log10_ps = list(rank_nulls(design, scorer, 600, b"rank nulls, seeded", first=first))
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


ROWS = RowDesign(file=200, withheld=12, strata=2)


@pytest.mark.parametrize("system", SPEAKERS)
def test_a_verdict_of_five_tests_keeps_its_level(system: str) -> None:
    """Slots, ranks and rows of one system hang together; Holm allows for that."""
    design = AnytimeDesign(3, (6, 6), 2, decoys=9)
    scorer = ROW_SCORERS["knows some rows"]
    log10_ps = list(
        verdict_nulls(design, ROWS, SPEAKERS[system], scorer, 300, b"verdicts nulls, seeded")
    )
    assert too_often(log10_ps) == {}
    assert exceedances(log10_ps, 0.3) > 0


AUDITED = AnytimeDesign(3, (4, 4), 1, decoys=19)


@pytest.mark.parametrize("trained", [0, 6])
def test_an_audit_names_few_jobs_falsely(trained: int) -> None:
    design = AuditDesign(8, trained, AUDITED, names=4)
    false = list(audit_nulls(design, "answers at random", 200, b"audits nulls, seeded"))
    for level in LEVELS:
        assert binomial_tail(sum(run[level] for run in false), len(false), level) >= LUCK


def test_an_audit_without_e_bh_would_name_too_many() -> None:
    """One threshold for all jobs, 1/alpha, is right for one job and wrong for thirty."""
    runs, jobs = 60, 30
    system = SPEAKERS["answers at random"]
    each = list(anytime_runs(AUDITED, system, runs * jobs, b"many jobs nulls, seeded"))
    false = [
        any(running.log10_e >= -math.log10(0.05) for running in each[start : start + jobs])
        for start in range(0, len(each), jobs)
    ]
    assert binomial_tail(sum(false), runs, 0.05) < LUCK


def test_the_shards_of_an_honest_run_are_not_accused() -> None:
    assert too_often(list(shard_nulls(8, 12, 0.5, 200, b"shards nulls, seeded"))) == {}


def test_a_dropped_shard_shows() -> None:
    dropped = list(shard_nulls(4, 8, 0.9, 100, b"shards nulls, seeded", dropped=0.0))
    assert exceedances(dropped, 0.01) > 70


def test_the_intervals_of_all_shards_hold_together() -> None:
    design = ShareDesign((1,) * 80, shards=8)
    missed = list(missed_shards(design, 10, 500, 60, b"in shards nulls, seeded"))
    assert too_often(missed) == {}


@pytest.mark.parametrize("use", USES)
def test_the_bound_of_earlier_plans_holds(use: str) -> None:
    missed = list(missed_stretches(5, 4, use, 170, 300, b"stretches nulls, seeded"))
    assert too_often(missed) == {}


@pytest.mark.parametrize("alike", [True, False])
@pytest.mark.parametrize("ladder", [(4,) * 5, (4, 4, 4, 1, 1, 1)], ids=str)
def test_a_vendor_who_trains_as_the_control_is_not_accused(
    ladder: tuple[int, ...], alike: bool
) -> None:
    gaps = list(run_gap_nulls(ladder, RUNS, b"run gap nulls, seeded", alike=alike))
    assert too_often(gaps) == {}


def test_a_vendor_who_answers_half_as_much_shows() -> None:
    gaps = list(run_gap_nulls((4,) * 20, 100, b"run gap nulls, seeded", behind=0.3))
    assert exceedances(gaps, 0.01) > 70


@pytest.mark.parametrize("scorer", ROW_SCORERS)
def test_a_vendor_who_learns_rows_as_the_control_does_is_not_accused(scorer: str) -> None:
    gaps = list(row_gap_nulls(ROWS, ROW_SCORERS[scorer], 300, b"row gaps nulls, seeded"))
    assert too_often(gaps) == {}


def test_a_control_that_learns_more_from_rows_shows() -> None:
    scorer = ROW_SCORERS["knows rows or not"]
    gaps = list(row_gap_nulls(ROWS, scorer, 100, b"row gaps nulls, seeded", ahead=2.0))
    assert exceedances(gaps, 0.01) > 70
