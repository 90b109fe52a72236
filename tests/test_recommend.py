"""What is recommended for a file, and what its docstring promises of it."""

from __future__ import annotations

import math

import pytest

from vtune_client.amount import TAU
from vtune_client.errors import InputError
from vtune_client.evidence import sees
from vtune_client.plan_spec import PlanSpec
from vtune_client.recommend import LEAST, recommended


@pytest.mark.parametrize(
    ("rows", "once"),
    [(0, 0), (1999, 0), (2000, 20), (2999, 20), (3000, 40), (3999, 40), (4000, 60), (10**7, 60)],
)
def test_large_files_get_backdoors_of_dose_1_beside_the_usual_ones(rows: int, once: int) -> None:
    assert recommended(rows) == (4,) * 5 + (1,) * once


def test_what_is_recommended_is_a_plan_that_hardly_touches_the_file() -> None:
    for rows in range(0, 9000, 11):
        ladder = recommended(rows)
        assert PlanSpec(doses=ladder).ladder == ladder
        assert ladder == LEAST or sum(ladder) <= 0.02 * rows


@pytest.mark.parametrize(
    ("rows", "least", "shows"),
    [(150, 17, 0), (2000, 81, 35), (3000, 90, 62), (4000, 93, 74)],
)
def test_it_tells_what_it_says_it_tells(rows: int, least: int, shows: int) -> None:
    sight = sees(recommended(rows), chance=TAU)
    assert math.floor(sight.low_if_all * 100) == least
    assert math.floor(sight.shows * 100) == shows


def test_by_whole_answers_alone_the_least_certify_little() -> None:
    assert 0.18 < sees(LEAST).low_if_all < 0.19


def test_a_reserve_takes_its_carriers_from_the_same_2_percent() -> None:
    assert recommended(2000, reserve=1) == LEAST
    assert recommended(4400, reserve=2) == recommended(4400)
    for rows in range(0, 9000, 111):
        spec = PlanSpec(by_rows=True, reserve=5).for_rows(rows)
        assert (spec.ladder[-5:], len(spec.ladder) - spec.backdoors) == ((4,) * 5, 5)
        assert spec.backdoors == len(LEAST) or spec.carriers <= 0.02 * rows


def test_no_file_has_fewer_rows_than_none() -> None:
    with pytest.raises(ValueError, match="negative"):
        recommended(-1)


def test_a_spec_goes_by_rows_where_it_is_to() -> None:
    wish = PlanSpec(by_rows=True, held_out=30)
    small, large = wish.for_rows(150), wish.for_rows(5000)
    assert (small.ladder, small.decoys, small.held_out) == (LEAST, 100, 30)
    assert (len(large.ladder), large.decoys, large.by_rows) == (65, 39, False)
    assert PlanSpec(backdoors=7).for_rows(5000) == PlanSpec(backdoors=7)
    with pytest.raises(InputError, match="by_rows"):
        PlanSpec(by_rows=True, doses=(1, 1))
