"""Bounds on the share of rows used: closed forms, the theorem they rest on, and coverage."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from scipy.stats import beta, binom

from tests.nulls import LEVELS, binomial_tail, exceedances
from tests.share_nulls import USES, ShareDesign, missed_shares
from vtune_client.evidence import (
    DoseCount,
    count_by_dose,
    seen_by_rank,
    sees,
    shard_test,
    share_at_least,
    share_at_most,
    share_interval,
)
from vtune_client.evidence.binomial import least_mean, least_probability, most_mean


def ones(seen: int, of: int = 20) -> list[DoseCount]:
    return [DoseCount(1, of, seen)]


@pytest.mark.parametrize(
    ("doses", "share"),
    [((1,) * 5, 0.549), ((1,) * 20, 0.861), ((1,) * 60, 0.951), ((4,) * 5, 0.181)],
)
def test_shares_of_the_design(doses: tuple[int, ...], share: float) -> None:
    counts = count_by_dose(doses, [True] * len(doses))
    assert share_at_least(counts) == pytest.approx(share, abs=5e-4)
    assert sees(doses).low_if_all == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize(("seen", "dose"), [(2, 1), (9, 1), (13, 3), (20, 12)])
def test_one_dose_is_clopper_pearson_by_the_root(seen: int, dose: int) -> None:
    exact = beta.ppf(0.05, seen, 20 - seen + 1)
    root = 1 - (1 - exact) ** (1 / dose)
    assert share_at_least([DoseCount(dose, 20, seen)]) == pytest.approx(root, rel=1e-9)


def test_a_ladder_solves_for_the_mean_of_its_doses() -> None:
    ladder = (12, 6, 3, 2, 1)
    share = share_at_least(count_by_dose(ladder, [True] * 5))
    shows = sum(1 - (1 - share) ** dose for dose in ladder) / 5
    assert shows == pytest.approx(beta.ppf(0.025, 5, 1), rel=1e-9)  # half of the error


def test_a_ladder_whose_small_doses_are_silent_rests_on_the_large_ones() -> None:
    counts = [DoseCount(1, 40, 0), DoseCount(4, 10, 10)]
    alone = 1 - (1 - beta.ppf(0.05 / 4, 10, 1)) ** (1 / 4)
    assert share_at_least(counts) == pytest.approx(alone, rel=1e-9)


def test_chance_is_taken_off() -> None:
    plain = share_at_least(ones(15))
    lucky = [DoseCount(1, 20, 15, chance=0.1)]
    assert share_at_least(lucky) == pytest.approx((plain - 0.1) / 0.9, rel=1e-9)
    assert share_at_least([DoseCount(1, 20, 3, chance=0.2)]) == 0.0


def test_lost_backdoors_count_against_either_bound() -> None:
    lost = [DoseCount(1, 20, 5, lost=4)]
    assert share_at_least(lost) == share_at_least(ones(5))
    assert share_at_most(lost, ones(20)) == share_at_most(ones(9), ones(20))


def test_the_upper_bound_is_a_ratio_of_two_bounds() -> None:
    most = beta.ppf(1 - 0.025, 5, 16)
    least = beta.ppf(0.025, 18, 3)
    assert share_at_most(ones(4), ones(18)) == pytest.approx(most / least, rel=1e-9)
    fourth = share_at_most([DoseCount(4, 20, 4)], [DoseCount(4, 20, 18)])
    assert fourth == pytest.approx((most / least) ** (1 / 4), rel=1e-9)


def test_the_upper_bound_asks_the_dose_that_the_control_makes_telling() -> None:
    delivered = [DoseCount(1, 20, 0), DoseCount(4, 20, 2)]
    silent, loud = [DoseCount(1, 20, 1), DoseCount(4, 20, 20)], [*ones(20), DoseCount(4, 20, 20)]
    least = 0.0125 ** (1 / 20)  # the control's error, over two doses
    assert share_at_most(delivered, loud) == pytest.approx((1 - 0.025 ** (1 / 20)) / least)
    by_four = (beta.ppf(1 - 0.025, 3, 18) / least) ** (1 / 4)
    assert share_at_most(delivered, silent) == pytest.approx(by_four, rel=1e-9)


def test_a_weak_control_bounds_nothing() -> None:
    assert share_at_most(ones(0, 5), ones(1, 5)) == 1.0
    assert share_at_most(ones(0), [DoseCount(1, 20, 10, chance=0.5)]) == 1.0
    assert share_at_most(ones(0), [DoseCount(2, 20, 20)]) == 1.0


def test_an_interval_says_what_it_rests_on() -> None:
    alone = share_interval(ones(20))
    assert (alone.low, alone.high) == (share_at_least(ones(20)), 1.0)
    assert "Without a control" in alone.reasoning
    both = share_interval(ones(6), ones(20))
    assert both.low == share_at_least(ones(6), 0.975)
    assert both.high == share_at_most(ones(6), ones(20), 0.975) < 1
    assert "6 of 20 backdoors at dose 1" in both.reasoning
    assert "20 of 20" in both.reasoning


@pytest.mark.parametrize(
    ("hits", "trials", "confidence"), [(1, 4, 0.95), (1, 40, 0.5), (3, 4, 0.95), (2, 3, 0.3)]
)
def test_unlike_trials_keep_the_bound(hits: int, trials: int, confidence: float) -> None:
    """Trials as unlike as can be: some sure, one that has the rest of the mean."""
    least = least_mean(hits, trials, confidence)
    for mean in (least * 0.999, least * 0.7):
        sure, rest = divmod(mean * trials, 1)
        tail = 1.0 if hits <= sure else rest if hits == sure + 1 else 0.0
        assert tail <= 1 - confidence + 1e-9
    assert most_mean(trials - hits, trials, confidence) == 1 - least


def test_the_bound_for_unlike_trials_gives_away_little() -> None:
    assert least_mean(1, 4, 0.95) == pytest.approx(0.0125)
    assert least_mean(2, 3, 0.3) == pytest.approx(1 / 3)
    assert least_mean(0, 4, 0.95) == 0.0
    for hits in (2, 9, 20):
        assert least_mean(hits, 20, 0.95) == least_probability(hits, 20, 0.95)


def unseen(strata: Sequence[Sequence[float]]) -> list[float]:
    """Return, for n backdoors in layers of n strata, P(k have no used carrier), k = 0..n.

    `strata[j][k]` is the share of stratum k that was used, as layer j meets it; every dealing of
    every layer is gone through."""
    size = len(strata[0])
    pmf = [0.0] * (size + 1)
    dealings = list(itertools.product(*(itertools.permutations(layer) for layer in strata[1:])))
    for layers in dealings:
        met = zip(strata[0], *layers, strict=True)
        chances = [math.prod(1 - used for used in own) for own in met]
        ways = [1.0]
        for chance in chances:
            ways = [
                (ways[k] if k < len(ways) else 0.0) * (1 - chance)
                + (ways[k - 1] * chance if k else 0.0)
                for k in range(len(ways) + 1)
            ]
        pmf = [a + b / len(dealings) for a, b in zip(pmf, ways, strict=True)]
    return pmf


@pytest.mark.parametrize("used", [(1, 0, 0, 0), (1, 1, 0, 0), (1, 0.5, 0.2, 0), (0.9, 0.9, 1, 0.1)])
@pytest.mark.parametrize("dose", [1, 2, 3])
def test_dealing_in_layers_counts_like_independent_trials(
    used: tuple[float, ...], dose: int
) -> None:
    """What the bounds rest on: the mean is (1 - s)**dose and the tails are no heavier."""
    pmf = unseen([used] * dose)
    mean = sum(k * weight for k, weight in enumerate(pmf))
    missed = (1 - sum(used) / 4) ** dose
    assert mean == pytest.approx(4 * missed)
    for few in range(5):
        if few <= mean - 1:
            assert sum(pmf[: few + 1]) <= binom.cdf(few, 4, missed) + 1e-12
        if few >= mean + 1:
            assert sum(pmf[few:]) <= binom.sf(few - 1, 4, missed) + 1e-12


DESIGNS = [
    ShareDesign((1,) * 20, rate=0.8, chance=0.05),
    ShareDesign((4,) * 4 + (1,) * 20, shards=4, rate=0.9, eager=False),
    ShareDesign((4,) * 10),
    ShareDesign((12, 6, 3, 2, 1)),
    ShareDesign((4,) * 5, chance=0.05, besides=(4,) * 5 + (1,) * 20),
]


@pytest.mark.parametrize("design", DESIGNS, ids=str)
@pytest.mark.parametrize("use", USES)
def test_intervals_cover_the_true_share(design: ShareDesign, use: str) -> None:
    for share in (100, 250, 500, 830, 1000):
        missed = list(missed_shares(design, use, share, 50, b"coverage, seeded"))
        for level in LEVELS:
            assert binomial_tail(exceedances(missed, level), len(missed), level) > 1e-4


def test_intervals_are_no_wider_than_they_must_be() -> None:
    """83 % used lies just below what 20 of 20 certify, which happens in 0.83**20 = 2.4 %."""
    design = ShareDesign((1,) * 20)
    missed = list(missed_shares(design, "rows at random", 830, 400, b"tight intervals, seeded"))
    assert 3 <= exceedances(missed, 0.05) <= 20


def test_one_carrier_in_each_stretch_would_break_the_bound() -> None:
    """Why plans deal in layers: there, the first quarter of the file makes all 20 answer."""
    assert share_at_least([DoseCount(4, 20, 20)]) > 0.25


def test_seen_by_rank_is_as_likely_as_its_threshold() -> None:
    assert seen_by_rank([1, 5, 6, 100], [99] * 4, 0.05) == (True, True, False, False)
    assert seen_by_rank([1, 2], [18, 19], 0.05) == (False, False)
    for places in (10, 100, 101):
        for tau in (0.05, 0.07, 0.29):
            seen = seen_by_rank(range(1, places + 1), [places - 1] * places, tau)
            assert sum(seen) == math.floor(round(tau * places, 9))
    with pytest.raises(ValueError, match="tau"):
        seen_by_rank([1], [9], 1.0)


def test_counts_are_by_dose() -> None:
    counts = count_by_dose(
        (4, 1, 1, 4), (True, False, True, True), lost=(False, True, False, False)
    )
    assert counts == (DoseCount(1, 2, 1, lost=1), DoseCount(4, 2, 2))
    with pytest.raises(ValueError, match="shorter"):
        count_by_dose((1, 1), (True,))


@pytest.mark.parametrize(
    "wrong",
    [(0, 5, 1, 0, 0.0), (1, 0, 0, 0, 0.0), (1, 5, 6, 0, 0.0), (1, 5, 4, 2, 0.0), (1, 5, 1, 0, 1.5)],
)
def test_impossible_counts_are_refused(wrong: tuple[int, int, int, int, float]) -> None:
    with pytest.raises(ValueError, match=r"dose|cannot have|chance"):
        DoseCount(*wrong)


def test_impossible_intervals_are_refused() -> None:
    for counts in ([], [DoseCount(1, 5, 5), DoseCount(1, 4, 4)]):
        with pytest.raises(ValueError, match="counted once"):
            share_interval(counts)
    with pytest.raises(ValueError, match="confidence"):
        share_interval(ones(3), confidence=1.0)
    with pytest.raises(ValueError, match="counted once"):
        share_at_most(ones(3), [])


def test_a_dropped_shard_is_named() -> None:
    delivered = {k: ones(0 if k == 2 else 9, 10) for k in range(4)}
    control = {k: ones(10, 10) for k in range(4)}
    test = shard_test(delivered, control)
    assert test.dropped == (2,)
    assert test.log10_p == test.shards[2].adjusted_log10_p
    alone = -math.log10(math.comb(20, 10))
    assert test.shards[2].log10_p == pytest.approx(alone)
    assert test.log10_p == pytest.approx(alone + math.log10(4))
    assert test.shards[2].share.high < 0.8 < test.shards[0].share.high
    assert test.shards[0].share == share_interval(ones(9, 10), ones(10, 10), 1 - 0.05 / 4)


def test_shards_like_the_controls_are_not_accused() -> None:
    weak = {k: ones(k, 10) for k in range(4)}
    assert shard_test(weak, weak).dropped == ()
    with pytest.raises(ValueError, match="same shards"):
        shard_test(weak, {0: ones(1)})
    with pytest.raises(ValueError, match="alpha"):
        shard_test(weak, weak, alpha=0.0)


def test_a_plan_says_beforehand_what_it_will_tell() -> None:
    sight = sees((1,) * 20)
    assert (sight.backdoors, sight.carriers) == (20, 20)
    assert sight.sentence.startswith(
        "If all 20 backdoors answer: at least 86 % of the rows were used (95% confidence)."
    )
    assert sight.high_if_none == share_at_most(ones(0), ones(20), 0.975)
    most = max(seen for seen in range(20) if share_at_most(ones(seen), ones(20), 0.975) < 1)
    assert binom.cdf(most, 20, sight.shows) == pytest.approx(0.9, abs=1e-6)
    assert f"{math.floor(sight.shows * 100)} % of the rows or less" in sight.sentence


def test_more_backdoors_see_more_and_larger_doses_less() -> None:
    few, many, heavy = sees((1,) * 20), sees((1,) * 40), sees((4,) * 40)
    assert few.shows < many.shows
    assert few.low_if_all < many.low_if_all
    assert heavy.shows < many.shows
    assert heavy.low_if_all < many.low_if_all


def test_chance_costs_a_plan_some_of_its_sight() -> None:
    sight = sees((1,) * 20, chance=0.05)
    lucky = [DoseCount(1, 20, 20, chance=0.05)]
    assert sight.low_if_all == share_at_least(lucky) < sees((1,) * 20).low_if_all
    most = max(seen for seen in range(20) if share_at_most(ones(seen), lucky, 0.975) < 1)
    seen = 1 - (1 - sight.shows) * 0.95
    assert binom.cdf(most, 20, seen) == pytest.approx(0.9, abs=1e-6)


def test_a_small_plan_says_that_it_shows_nothing_more() -> None:
    sight = sees((12, 6, 3, 2, 1))
    assert (sight.shows, sight.high_if_none) == (0.0, 1.0)
    assert sight.sentence.endswith("this plan cannot show that only a part was used.")
    assert [own.dose for own in sight.doses] == [1, 2, 3, 6, 12]
    with pytest.raises(ValueError, match="power"):
        sees((1,), power=1.0)
