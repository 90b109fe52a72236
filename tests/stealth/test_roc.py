from __future__ import annotations

import pytest
from scipy.stats import binomtest, mannwhitneyu

from vtune_client.draw import Draw
from vtune_client.stealth.roc import auc, auc_interval, caught, share_interval


@pytest.mark.parametrize(
    ("carriers", "ordinary", "expected"),
    [
        ([2, 3], [0, 1], 1.0),
        ([0, 1], [2, 3], 0.0),
        ([1, 1], [1, 1, 1], 0.5),
        ([1, 2], [1, 2], 0.5),
        ([1], [0, 1, 1, 2], 0.5),
        ([2], [0, 1, 2], 2.5 / 3),
    ],
)
def test_auc_by_hand(carriers: list[float], ordinary: list[float], expected: float) -> None:
    assert auc(carriers, ordinary) == pytest.approx(expected, abs=1e-15)


def test_auc_is_mann_whitneys_u_over_all_pairs() -> None:
    draw = Draw(b"tests of the stealth lint", "scores")
    for size in (3, 20, 77):
        carriers = [float(draw.below(30)) + 3 for _ in range(size)]
        ordinary = [float(draw.below(30)) for _ in range(2 * size)]
        u = mannwhitneyu(carriers, ordinary).statistic
        assert auc(carriers, ordinary) == pytest.approx(u / (2 * size * size), abs=1e-12)


def test_an_area_needs_both_sorts() -> None:
    for carriers, ordinary in (([], [1.0]), ([1.0], [])):
        with pytest.raises(ValueError, match="a carrier and an ordinary row"):
            auc(carriers, ordinary)
        with pytest.raises(ValueError, match="a carrier and an ordinary row"):
            caught(carriers, ordinary, 0.01)
    with pytest.raises(ValueError, match="share of false positives"):
        caught([1.0], [1.0], 1.0)


@pytest.mark.parametrize("area", [0.0, 0.2, 0.5, 0.93, 1.0])
@pytest.mark.parametrize("ordinary", [5, 80, 5000])
def test_the_interval_holds_the_area_and_mirrors(area: float, ordinary: int) -> None:
    low, high = auc_interval(area, 20, ordinary)
    assert 0 <= low <= area <= high <= 1
    assert 0.02 < high - low < 0.7  # not a point, even at the ends
    mirrored = auc_interval(1 - area, 20, ordinary)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-9)


def test_the_interval_narrows_with_more_rows() -> None:
    wide, narrow = auc_interval(0.7, 10, 100), auc_interval(0.7, 100, 1000)
    assert narrow[1] - narrow[0] < (wide[1] - wide[0]) / 2
    for bad in (-0.1, 1.1):
        with pytest.raises(ValueError, match="area"):
            auc_interval(bad, 10, 10)
    with pytest.raises(ValueError, match="area"):
        auc_interval(0.5, 0, 10)


def test_the_interval_covers_the_true_area() -> None:
    # A carrier is the larger of two uniform draws, an ordinary row one: the true area is 2/3.
    draw = Draw(b"tests of the stealth lint", "coverage")

    def uniform() -> float:
        return draw.below(1 << 30) / (1 << 30)

    covered, runs = 0, 300
    for _ in range(runs):
        carriers = [max(uniform(), uniform()) for _ in range(20)]
        low, high = auc_interval(auc(carriers, [uniform() for _ in range(60)]), 20, 60)
        covered += low <= 2 / 3 <= high
    assert 0.91 * runs <= covered <= 0.99 * runs


@pytest.mark.parametrize(
    ("allowed", "expected"), [(0.0, 1), (0.01, 3), (0.019, 3), (0.02, 3), (0.03, 4), (0.5, 4)]
)
def test_caught_counts_above_the_threshold(allowed: float, expected: int) -> None:
    ordinary = [float(number) for number in range(100)]
    assert caught([99.0, 99.5, 98.5, 97.0, -1.0], ordinary, allowed) == expected


def test_a_share_of_a_hundred_rows_is_that_many_rows() -> None:
    ordinary = [float(number) for number in range(100)]
    assert 0.29 * 100 < 29
    assert caught([70.5], ordinary, 0.29) == 1
    assert caught([69.5], ordinary, 0.29) == 0


def test_rows_that_tie_are_flagged_together_or_not_at_all() -> None:
    ordinary = [0.0] * 95 + [1.0] * 5
    assert caught([1.0] * 10, ordinary, 0.04) == 0
    assert caught([1.0] * 10, ordinary, 0.05) == 10


@pytest.mark.parametrize(("some", "of"), [(0, 20), (1, 20), (13, 20), (20, 20), (3, 7)])
def test_the_interval_of_a_share_is_clopper_pearsons(some: int, of: int) -> None:
    exact = binomtest(some, of).proportion_ci(method="exact")
    assert share_interval(some, of) == pytest.approx((exact.low, exact.high), abs=1e-9)
