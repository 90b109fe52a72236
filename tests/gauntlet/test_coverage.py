"""How often an interval holds: counted over cells, and over plans that were never trained."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.gauntlet.coverage import (
    answers_at,
    bounded,
    exact_interval,
    over_cells,
    resampled,
    seen_in,
)
from benchmarks.gauntlet.drill import Cell, Setting
from benchmarks.gauntlet.series import Assumed
from tests.gauntlet.cells import cell, ranked, told
from vtune_client.amount import TAU
from vtune_client.evidence import DoseCount, share_at_least, share_at_most
from vtune_client.plan import PlanSpec

LADDER = (4,) * 5


def test_an_interval_holds_the_share_between_its_ends() -> None:
    half = cell("share=0.5", 0, trained=0.5)
    found = [
        *(replace(half, bounds=ends) for ends in [(0.1, 1.0), (0.6, 1.0), (0.1, 0.4), (0.5, 0.5)]),
        replace(cell("epochs=4", 0, trained=1.0), bounds=(0.1, 0.6)),
        replace(cell("lookup", 0, trained=0.0), bounds=(0.2, 1.0)),
        half,
    ]
    both, lower, none = over_cells(found)
    assert (both.what, both.cells) == (Assumed.BOTH, 4)
    assert (both.low_held, both.high_held, both.promised) == (3, 3, 2)
    assert (lower.what, lower.high_held, lower.promised) == (Assumed.LOWER, 0, 1)
    assert (none.what, none.low_held, none.promised) == (Assumed.NONE, 0, 0)


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [(0, 10, 0.0, 0.3085), (10, 10, 0.6915, 1.0), (8, 10, 0.4439, 0.9748), (0, 0, 0.0, 1.0)],
)
def test_the_interval_of_a_rate_is_clopper_and_pearsons(
    hits: int, trials: int, low: float, high: float
) -> None:
    assert exact_interval(hits, trials)[0] == pytest.approx(low, abs=1e-4)
    assert exact_interval(hits, trials)[1] == pytest.approx(high, abs=1e-4)


def test_a_backdoor_is_met_by_rank_and_above_dose_1_shown_by_text() -> None:
    found = ranked(cell("honest", 0, matched=(8, 8, 3, 3, 3)), ranks=(1, 60, 5, 6, 70))
    assert seen_in(found, LADDER) == [
        (True, True),
        (True, True),
        (True, False),
        (False, False),
        (False, False),
    ]
    assert seen_in(found, (1,) * 5)[2] == (True, True)
    assert seen_in(cell("honest", 0, matched=(8, 7, 0, 0, 0)), (1,) * 5)[:2] == [
        (True, True),
        (False, False),
    ]


def test_backdoors_of_one_share_are_pooled_by_what_was_used_of_them() -> None:
    part = replace(cell("share=0.5", 0, matched=(8, 8, 0, 0, 0)), used=[4, 3, 3, 0, 0])
    cells = [part, cell("lookup", 0), cell("share=0.8", 0, trained=0.8)]
    found = answers_at(cells, LADDER, 0.5)
    assert found == {
        (4, 4): [(True, True)],
        (4, 3): [(True, True), (False, False)],
        (4, 0): [(False, False)] * 2,
    }


SPARSE = Setting(rows=230, plan=PlanSpec(backdoors=20, dose=1, held_out=30))


def _sparse(vendor: str, trained: float, seen: dict[int, bool]) -> Cell:
    """Return a cell of twenty backdoors of which half were used where not all of the rows were;
    `seen` tells by use which were seen."""
    used = [1] * 20 if trained == 1 else [1, 0] * 10
    matched = [8 if seen[each] else 0 for each in used]
    sizes = [[32] * 8] * 20
    slots = {"name": "slots", "log10_p": -13.0, "matched": matched, "slot_sizes": sizes}
    bare = replace(cell(vendor, 0, trained=trained), used=used)
    return ranked(told(bare, tests=[slots]), [1 if seen[each] else 50 for each in used])


def test_every_cell_is_bounded_as_its_verdict_would_be() -> None:
    honest = _sparse("honest", 1.0, {1: True})
    none = _sparse("base-model", 0.0, {1: False, 0: False})
    alone, compared = bounded([honest, none], (1,) * 20)
    full, nothing = (DoseCount(1, 20, seen, chance=TAU) for seen in (20, 0))
    most = share_at_most([nothing], [full], 0.975)
    assert alone.bounds == (share_at_least([full], 0.95), 1.0)
    assert compared.bounds == (0.0, most)
    assert most < 0.3
    unverified = told(honest, verdict="inconclusive")
    assert bounded([unverified, none], (1,) * 20)[1].bounds == (0.0, 1.0)
    unread, alone = bounded([told(honest, tests=[]), none], (1,) * 20)
    assert (unread.bounds, alone.bounds) == (None, (0.0, 1.0))


def test_bounds_hold_over_plans_where_what_was_used_shows() -> None:
    cells = [_sparse("honest", 1.0, {1: True}), _sparse("share=0.5", 0.5, {1: True, 0: False})]
    lines = list(resampled("sparse", SPARSE, cells, runs=200))
    assert [(line.share, line.manner) for line in lines] == [
        (0.5, "random rows"),
        (0.5, "the first rows"),
        (0.5, "all but one stretch"),
        (1.0, "random rows"),
    ]
    assert all(line.held >= 0.93 * line.runs for line in lines)
    half = lines[0]
    assert 0.2 < half.median[0] < 0.5 < half.median[1] <= 1
    assert half.below_one > 0.2 * half.runs
    assert lines[-1].below_one == 0


def test_bounds_fail_over_plans_where_training_was_not_the_controls() -> None:
    weaker = _sparse("share=0.8", 0.8, {1: False, 0: False})
    line = next(iter(resampled("sparse", SPARSE, [_sparse("honest", 1.0, {1: True}), weaker], 50)))
    assert (line.share, line.low_held, line.high_held) == (0.8, 50, 0)


def test_without_an_honest_run_nothing_is_resampled() -> None:
    assert list(resampled("sparse", SPARSE, [_sparse("share=0.5", 0.5, {1: True, 0: False})])) == []
