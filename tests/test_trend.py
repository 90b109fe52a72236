"""The dose trend and the dose gap against full enumeration, scipy and their nulls."""

from __future__ import annotations

import itertools
import math

import pytest
from scipy.stats import fisher_exact, hypergeom

from tests.nulls import LEVELS, binomial_tail, exceedances
from tests.share_nulls import gap_nulls, trend_nulls
from tests.test_draw import KEY
from vtune_client.draw import Draw
from vtune_client.evidence import DoseCount, dose_gap, dose_trend

LADDER = (12, 6, 3, 2, 1)


def trend(doses: tuple[int, ...], degrees: tuple[float, ...]) -> float:
    return float(10 ** dose_trend(doses, degrees, Draw(KEY, "trend")).log10_p)


def test_a_perfect_trend_is_one_dealing_of_all() -> None:
    assert trend(LADDER, (1.0, 0.9, 0.5, 0.2, 0.0)) == pytest.approx(1 / 120)
    assert trend(LADDER, (0.0, 0.2, 0.5, 0.9, 1.0)) == 1.0
    assert trend(LADDER, (0.3,) * 5) == 1.0
    assert trend((4,) * 5, (0.0, 0.2, 0.5, 0.9, 1.0)) == 1.0


def test_a_trend_equals_the_full_enumeration() -> None:
    doses, degrees = (4, 4, 2, 1, 1, 1), (0.75, 0.5, 0.6, 0.25, 0.5, 0.1)
    ranks = {4: 11, 2: 7, 1: 4}

    def strength(dealt: tuple[int, ...]) -> float:
        return sum(ranks[dose] * degree for dose, degree in zip(dealt, degrees, strict=True))

    dealt = list(itertools.permutations(doses))
    reached = sum(strength(each) >= strength(doses) - 1e-9 for each in dealt)
    assert trend(doses, degrees) == pytest.approx(reached / len(dealt))
    assert dose_trend(doses, degrees, Draw(KEY, "t")).dealings == 60


def test_a_long_trend_is_drawn_and_never_zero() -> None:
    doses = (6,) * 8 + (2,) * 8 + (1,) * 8
    test = dose_trend(doses, [1.0] * 8 + [0.5] * 8 + [0.0] * 8, Draw(KEY, "trend"))
    assert test.method == "drawn dealings"
    assert test.log10_p == pytest.approx(-4)
    assert trend(doses, (0.5,) * 24) == 1.0
    mixed = tuple((index * 7 % 11) / 10 for index in range(24))
    assert 0.1 < trend(doses, mixed) < 0.9


def test_trends_that_cannot_be_are_refused() -> None:
    for doses, degrees in (((), ()), ((1, 2), (0.5,)), ((1,), (math.nan,))):
        with pytest.raises(ValueError, match="degree"):
            trend(doses, degrees)


@pytest.mark.parametrize("run", [(0, 5, 5, 5), (3, 20, 17, 19), (5, 5, 0, 5)])
def test_a_gap_of_one_dose_is_fishers(run: tuple[int, int, int, int]) -> None:
    seen, asked, control_seen, control = run
    test = dose_gap([DoseCount(4, asked, seen)], [DoseCount(4, control, control_seen)])
    table = [[seen, asked - seen], [control_seen, control - control_seen]]
    exact = fisher_exact(table, alternative="less").pvalue
    assert 10**test.log10_p == pytest.approx(exact, rel=1e-9)


def test_a_gap_adds_over_doses() -> None:
    delivered = [DoseCount(1, 10, 1), DoseCount(3, 8, 4, lost=1), DoseCount(9, 5, 5)]
    control = [DoseCount(1, 10, 7), DoseCount(3, 8, 8), DoseCount(6, 4, 4)]
    test = dose_gap(delivered, control)
    assert (test.doses, test.asked, test.control_asked) == ((1, 3), (10, 7), (10, 8))
    one, three = hypergeom(20, 8, 10), hypergeom(15, 12, 7)
    tail = sum(one.pmf(a) * three.pmf(b) for a in range(11) for b in range(8) if a + b <= 1 + 4)
    assert 10**test.log10_p == pytest.approx(tail, rel=1e-9)


def test_gaps_that_compare_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="both runs"):
        dose_gap([DoseCount(1, 5, 5)], [DoseCount(2, 5, 5)])
    with pytest.raises(ValueError, match="both runs"):
        dose_gap([DoseCount(1, 5, 0, lost=5)], [DoseCount(1, 5, 5)])


def too_often(log10_ps: list[float]) -> list[float]:
    return [
        level
        for level in LEVELS
        if binomial_tail(exceedances(log10_ps, level), len(log10_ps), level) < 1e-4
    ]


def test_a_trend_keeps_its_level() -> None:
    null = list(trend_nulls((3, 3, 2, 1, 1, 1), 400, b"trend nulls, seeded"))
    assert too_often(null) == []
    assert exceedances(null, 0.05) > 4, "the test is idle, so this checks nothing"


def test_a_gap_keeps_its_level() -> None:
    null = list(gap_nulls({1: 0.3, 4: 0.9}, 10, 1000, b"gap nulls, seeded"))
    assert too_often(null) == []
    assert exceedances(null, 0.05) > 10, "the test is idle, so this checks nothing"
