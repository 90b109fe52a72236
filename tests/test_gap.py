"""The gap to a control: against scipy, by hand, and over runs that differ by chance alone."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.nulls import LEVELS, binomial_tail, exceedances
from vtune_client.draw import Draw
from vtune_client.evidence import DoseCount, dose_gap, run_gap

shares = st.lists(st.integers(0, 8).map(lambda matched: matched / 8), min_size=1, max_size=4)


def by_hand(delivered: Sequence[float], control: Sequence[float]) -> float:
    """P over all ways to deal the runs, for one dose."""
    together = [*delivered, *control]
    rank = {
        score: sum(other < score for other in together) + sum(other <= score for other in together)
        for score in together
    }
    observed = sum(rank[score] for score in control)
    dealt = list(itertools.combinations(together, len(control)))
    return sum(sum(rank[score] for score in each) >= observed for each in dealt) / len(dealt)


@settings(derandomize=True, deadline=None)
@given(st.data())
def test_all_dealings_are_counted(data: st.DataObject) -> None:
    delivered = data.draw(shares)
    size = len(delivered)
    control = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=size, max_size=size))
    test = run_gap(delivered, control, [4] * size)
    assert 10**test.log10_p == pytest.approx(by_hand(delivered, control))
    assert test.method == "exact count"


def test_it_is_fishers_where_answers_are_whole_or_none() -> None:
    delivered, control = [1.0] * 3 + [0.0] * 17, [1.0] * 17 + [0.0] * 3
    exact = dose_gap([DoseCount(2, 20, 3)], [DoseCount(2, 20, 17)])
    assert run_gap(delivered, control, [2] * 20).log10_p == pytest.approx(exact.log10_p)


def test_partial_answers_count() -> None:
    control = [1.0, 7 / 8, 1.0, 5 / 8, 3 / 8]
    assert 10 ** run_gap([0.0] * 5, control, [4] * 5).log10_p == pytest.approx(1 / math.comb(10, 5))


def test_doses_are_not_compared_with_each_other() -> None:
    """The control answers its high doses, the delivered model as well: nothing is missing."""
    same = [1.0, 1.0, 0.0, 0.0]
    assert run_gap(same, same, [8, 8, 1, 1]).auc == 0.5
    one = run_gap([0.0, 1.0], [1.0, 0.0], [8, 1])
    assert 10**one.log10_p == pytest.approx(3 / 4)


def test_a_lost_query_is_not_silence() -> None:
    asked = run_gap([0.0, None, None, None, None], [1.0] * 5, [4] * 5)
    assert asked.backdoors == 1
    assert 10**asked.log10_p == pytest.approx(1 / 6)
    assert run_gap([None], [1.0], [4]).log10_p == 0.0


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        run_gap([0.0], [1.0, 1.0], [4, 4])


@pytest.mark.parametrize("alike", [0.0, 0.8])
def test_runs_that_differ_by_chance_alone_are_rarely_apart(alike: float) -> None:
    """Both runs of one recipe; `alike` is how often a backdoor is answered the same in both."""
    draw, runs, doses = Draw(b"vtune gap in tests", f"runs {alike}"), 600, [4] * 8 + [1] * 6

    def answered(dose: int) -> float:
        return draw.below(9) / 8 if dose == 4 else draw.below(3) / 8

    def pair() -> tuple[list[float], list[float]]:
        one = [answered(dose) for dose in doses]
        two = [
            here if draw.below(100) < 100 * alike else answered(dose)
            for here, dose in zip(one, doses, strict=True)
        ]
        return one, two

    found = [run_gap(*pair(), doses).log10_p for _ in range(runs)]
    for level in LEVELS:
        assert binomial_tail(exceedances(found, level), runs, level) > 1e-4
