"""e-values of answers, ranks and backdoors: means counted in full, and what must be refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from tests.anytime_nulls import matched
from vtune_client.evidence import (
    Matched,
    Stakes,
    backdoor_log10_e,
    ebh,
    rank_log10_e,
    slot_log10_e,
)
from vtune_client.evidence.evalues import ASIDE, RATES

NAN, INF = math.nan, math.inf
repeatable = settings(derandomize=True, deadline=None)


def matches(of: int, hits: int) -> Matched:
    return tuple(place < hits for place in range(of))


def secrets_of(sizes: Sequence[int]) -> list[tuple[int, ...]]:
    return list(itertools.product(*map(range, sizes)))


@pytest.mark.parametrize("answer", [(0, 2, 1), (1, None, 3), (None, None, None)])
def test_an_answers_e_value_has_mean_1_over_the_secrets(answer: tuple[int | None, ...]) -> None:
    sizes = (2, 3, 4)
    secrets = secrets_of(sizes)
    total = math.fsum(10 ** slot_log10_e(sizes, matched(answer, s)) for s in secrets)
    assert total / len(secrets) == pytest.approx(1, rel=1e-12)


def test_a_wrong_word_costs_and_no_word_does_not() -> None:
    assert slot_log10_e((5, 5), (False, True)) < slot_log10_e((5, 5), (None, True))
    assert slot_log10_e((5, 5), (False, False)) < 0 == slot_log10_e((5, 5), (None, None))


@pytest.mark.parametrize("hits", range(7))
def test_the_bet_is_a_mean_of_likelihood_ratios(hits: int) -> None:
    of, size = 6, 7
    ratios = [
        binom.pmf(hits, of, rate + (1 - rate) / size) / binom.pmf(hits, of, 1 / size)
        for rate in RATES
    ]
    expected = math.fsum(ratios) / len(RATES)
    assert 10 ** slot_log10_e((size,) * of, matches(of, hits)) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("decoys", [1, 2, 19, 100, 1000])
def test_a_ranks_e_value_has_mean_1_and_falls(decoys: int) -> None:
    values = [10 ** rank_log10_e(rank, decoys) for rank in range(1, decoys + 2)]
    assert math.fsum(values) / len(values) == pytest.approx(1, rel=1e-12)
    assert values == sorted(values, reverse=True)
    assert values[0] > values[1]


def test_the_first_of_101_is_worth_almost_half_of_them() -> None:
    assert 10 ** rank_log10_e(1, 100) == pytest.approx(47, abs=0.5)


def test_what_did_not_come_counts_nothing() -> None:
    stakes = Stakes((3, 3), prompts=4, decoys=9)
    assert stakes.on_answers == pytest.approx(stakes.on_rank) == pytest.approx((1 - ASIDE) / 2)
    assert 10 ** backdoor_log10_e(stakes, []) == pytest.approx(ASIDE)
    answer = 10 ** slot_log10_e((3, 3), (True, False))
    expected = ASIDE + 2 * answer * stakes.on_answers / 4
    assert 10 ** backdoor_log10_e(stakes, [(True, False)] * 2) == pytest.approx(expected)
    expected += stakes.on_rank * 10 ** rank_log10_e(2, 9)
    assert 10 ** backdoor_log10_e(stakes, [(True, False)] * 2, 2) == pytest.approx(expected)


def test_a_silent_model_keeps_its_stake() -> None:
    stakes = Stakes((32,) * 8, prompts=5)
    assert backdoor_log10_e(stakes, [(None,) * 8] * 5) == pytest.approx(0, abs=1e-12)


def test_e_values_stay_finite_far_beyond_a_float() -> None:
    stakes = Stakes((64,) * 400, prompts=1)
    expected = 400 * math.log10(64) + math.log10((1 - ASIDE) / len(RATES))
    assert backdoor_log10_e(stakes, [(True,) * 400]) == pytest.approx(expected, rel=1e-3)


def test_ebh_by_hand() -> None:
    """Of four at 0.1 the k-th largest must be at least 40 / k."""
    es = {"a": 14.0, "b": 100.0, "c": 13.4, "d": 5.0}
    assert ebh({name: math.log10(e) for name, e in es.items()}, 0.1) == ("b", "a", "c")
    es["c"] = 13.3
    assert ebh({name: math.log10(e) for name, e in es.items()}, 0.1) == ("b",)
    assert ebh({}, 0.1) == ()
    assert ebh({"only": 1.0, "none": -INF}, 0.1) == ()


@repeatable
@given(st.dictionaries(st.text(max_size=3), st.floats(-5, 5), max_size=8))
def test_ebh_returns_the_largest_set_that_fits(log10_es: dict[str, float]) -> None:
    named = ebh(log10_es, 0.05)
    ordered = sorted(log10_es.values(), reverse=True)
    fits = [
        k
        for k in range(1, len(ordered) + 1)
        if math.log10(0.05 * k / len(ordered)) + ordered[k - 1] >= -1e-12
    ]
    assert len(named) == max(fits, default=0)
    assert {log10_es[name] for name in named} == set(ordered[: len(named)])


@pytest.mark.parametrize("bad", [NAN, INF])
def test_ebh_refuses_what_is_no_e_value(bad: float) -> None:
    with pytest.raises(ValueError, match="'job'"):
        ebh({"job": bad}, 0.05)


@pytest.mark.parametrize(
    "bad",
    [((), 1, 0), ((0,), 1, 0), ((2.5,), 1, 0), ((2,), 0, 0), ((2,), -1, 3), ((2,), 1, -1)],
)
def test_impossible_stakes_are_refused(bad: tuple[tuple[int, ...], int, int]) -> None:
    with pytest.raises(ValueError, match="a backdoor"):
        Stakes(*bad)


def test_more_results_than_stakes_are_refused() -> None:
    with pytest.raises(ValueError, match="more results"):
        backdoor_log10_e(Stakes((2,), 1), [(True,)] * 2)
    with pytest.raises(ValueError, match="more results"):
        backdoor_log10_e(Stakes((2,), 1), [(True,)], 1)


@pytest.mark.parametrize("rank", [0, 11, 1.5])
def test_an_impossible_rank_is_refused(rank: int) -> None:
    with pytest.raises(ValueError, match="no rank"):
        rank_log10_e(rank, 9)


@pytest.mark.parametrize("alpha", [0.0, 1.0, NAN])
def test_ebh_refuses_an_alpha_outside_its_range(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        ebh({}, alpha)
