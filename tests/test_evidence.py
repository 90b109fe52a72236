"""The tests against scipy, closed forms, exhaustive counts, and what must be refused."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict, replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import beta, binom, chi2

from vtune_client.evidence import (
    RankScores,
    SlotCounts,
    first_ranks_test,
    holm,
    rank_test,
    share_lower_bound,
    slot_test,
)
from vtune_client.evidence.ranks import _erlang, _tuples_within

NAN, INF = math.nan, math.inf
repeatable = settings(derandomize=True, deadline=None)


def counts(sizes: tuple[int, ...], *matches: int) -> SlotCounts:
    return SlotCounts(sizes, matches)


def scores(true: float, decoys: tuple[float, ...], tie_break: float = 0.5) -> RankScores:
    return RankScores((true,), (decoys,), tie_break)


def ranked(rank: int, decoys: int) -> RankScores:
    """Scores that give this rank among that many decoys."""
    return scores(-rank + 0.5, tuple(-float(d) for d in range(1, decoys + 1)))


@pytest.mark.parametrize("matched", range(6))
def test_slots_equal_binomial_for_one_query(matched: int) -> None:
    test = slot_test([counts((7,) * 5, matched)])
    assert 10**test.log10_p == pytest.approx(binom.sf(matched - 1, 5, 1 / 7), rel=1e-12)


def test_slots_of_mixed_sizes_equal_the_full_enumeration() -> None:
    sizes = (2, 3, 5)
    ways = [
        sum(word == 0 for word in words) >= 2
        for words in itertools.product(*(range(size) for size in sizes))
    ]
    assert 10 ** slot_test([counts(sizes, 2)]).log10_p == pytest.approx(sum(ways) / len(ways))


def test_slots_add_over_backdoors() -> None:
    test = slot_test([counts((4,) * 3, 1), counts((4,) * 5, 3)])
    assert 10**test.log10_p == pytest.approx(binom.sf(3, 8, 1 / 4), rel=1e-12)


def test_best_of_many_queries_pays_by_the_union_bound() -> None:
    sizes, queries = (5,) * 4, 3
    survival = [min(1.0, queries * binom.sf(t - 1, 4, 1 / 5)) for t in range(6)]
    pmf = [survival[t] - survival[t + 1] for t in range(5)]
    for first, second in itertools.product(range(5), repeat=2):
        test = slot_test([counts(sizes, first, 0, 0), counts(sizes, 0, 0, second)])
        total = sum(pmf[a] * pmf[b] for a in range(5) for b in range(5) if a + b >= first + second)
        assert 10**test.log10_p == pytest.approx(total, rel=1e-10)


def test_slots_stay_finite_far_below_a_float() -> None:
    test = slot_test([counts((64,) * 8, 8)] * 60)
    assert test.log10_p == pytest.approx(-480 * math.log10(64), rel=1e-12)
    asked_thrice = slot_test([counts((64,) * 8, 8, 8, 8)] * 60)
    assert asked_thrice.log10_p == pytest.approx(test.log10_p + 60 * math.log10(3), rel=1e-12)


def test_partial_activation_still_reaches_1e_40() -> None:
    test = slot_test([counts((32,) * 8, 5)] * 10)
    assert test.activated == 0
    assert test.log10_p < -40


def test_slot_test_reports_what_it_counted() -> None:
    test = slot_test([counts((8, 8), 1, 2), counts((8, 8), 1), counts((8,))])
    assert (test.backdoors, test.probed, test.activated) == (3, 2, 1)
    assert (test.slots, test.slots_matched, test.statistic) == (5, 3, 3)
    assert (test.answers, test.matched) == ((2, 1, 0), (2, 1, 0))
    assert test.shares == (1.0, 0.5, 0.0)
    assert test.chance == pytest.approx(2 / 64)


def test_an_unanswered_backdoor_changes_nothing() -> None:
    answered = counts((8, 8), 2)
    assert slot_test([answered, counts((8, 8))]).log10_p == slot_test([answered]).log10_p
    assert slot_test([counts((8, 8))]).log10_p == 0.0


def test_one_candidate_is_no_evidence() -> None:
    assert slot_test([counts((1, 1), 2)]).log10_p == 0.0
    assert slot_test([counts((1, 9), 2)]).log10_p == pytest.approx(-math.log10(9))


@pytest.mark.parametrize("sizes", [(), (0,), (-3,), (2.5,), (INF,), (NAN,)])
def test_impossible_slots_are_refused(sizes: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="at least one"):
        SlotCounts(sizes, (0,))


@pytest.mark.parametrize("matches", [-1, 3, 0.5, INF, NAN])
def test_impossible_slot_counts_are_refused(matches: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 2 slots"):
        SlotCounts((4, 4), (1, matches))


def test_no_backdoors_is_no_test() -> None:
    with pytest.raises(ValueError, match="at least one backdoor"):
        slot_test([])
    with pytest.raises(ValueError, match="at least one backdoor"):
        rank_test([])


slot_counts = st.lists(st.integers(1, 40), min_size=1, max_size=5).flatmap(
    lambda sizes: st.builds(
        SlotCounts,
        st.just(tuple(sizes)),
        st.lists(st.integers(0, len(sizes)), max_size=4).map(tuple),
    )
)


@repeatable
@given(st.lists(slot_counts, min_size=1, max_size=4), st.data())
def test_more_matches_never_weaken_the_evidence(
    backdoors: list[SlotCounts], data: st.DataObject
) -> None:
    before = slot_test(backdoors)
    assert -INF < before.log10_p <= 0
    i = data.draw(st.integers(0, len(backdoors) - 1))
    matches = backdoors[i].matches_per_answer
    assume(matches)
    most = len(backdoors[i].slot_sizes)
    raised = tuple(min(count + 1, most) for count in matches)
    backdoors[i] = replace(backdoors[i], matches_per_answer=raised)
    assert slot_test(backdoors).log10_p <= before.log10_p + 1e-9


@repeatable
@given(st.lists(slot_counts, min_size=1, max_size=4))
def test_a_fruitless_query_never_strengthens_the_evidence(backdoors: list[SlotCounts]) -> None:
    asked = [
        replace(backdoor, matches_per_answer=(*backdoor.matches_per_answer, 0))
        for backdoor in backdoors
    ]
    assert slot_test(asked).log10_p >= slot_test(backdoors).log10_p - 1e-9


@pytest.mark.parametrize("rank", [1, 2, 50, 100])
def test_one_rank_is_its_own_p(rank: int) -> None:
    test = rank_test([ranked(rank, 99)])
    assert test.ranks == (rank,)
    assert 10**test.log10_p == pytest.approx(rank / 100, rel=1e-12)


def test_rank_tail_equals_the_full_enumeration() -> None:
    places = (4, 6, 5)
    products = [math.prod(t) for t in itertools.product(*(range(1, m + 1) for m in places))]
    for product in range(1, 125):
        assert _tuples_within(product, places) == sum(p <= product for p in products)


def test_many_first_ranks_reach_the_floor_exactly() -> None:
    test = rank_test([ranked(1, 100)] * 5)
    assert test.method == "exact count"
    assert test.log10_p == pytest.approx(-5 * math.log10(101), rel=1e-12)
    assert rank_test([ranked(1, 200)] * 300).log10_p == pytest.approx(-300 * math.log10(201))


def test_erlang_bound_equals_fishers_chi_square() -> None:
    for x, shape in itertools.product([0.1, 3.0, 40.0, 300.0], [1, 2, 20]):
        assert _erlang(x, shape) == pytest.approx(chi2.logsf(2 * x, 2 * shape), rel=1e-9)


def test_long_counts_fall_back_on_the_bound() -> None:
    test = rank_test([ranked(60, 200)] * 20)
    assert test.method == "Erlang bound"
    fisher = chi2.sf(-2 * 20 * math.log(60 / 201), 40)
    assert 10**test.log10_p == pytest.approx(fisher, rel=1e-9)


@repeatable
@given(st.lists(st.integers(1, 13), min_size=1, max_size=6))
def test_exact_rank_tail_lies_within_fishers_bound(ranks: list[int]) -> None:
    test = rank_test([ranked(rank, 12) for rank in ranks])
    assert test.method == "exact count"
    assert -INF < test.log10_p <= 0
    bound = chi2.logsf(-2 * sum(math.log(rank / 13) for rank in ranks), 2 * len(ranks))
    assert test.log10_p <= bound / math.log(10) + 1e-9


@repeatable
@given(st.lists(st.integers(1, 299), min_size=1, max_size=8), st.data())
def test_a_worse_rank_never_strengthens_the_evidence(ranks: list[int], data: st.DataObject) -> None:
    before = rank_test([ranked(rank, 299) for rank in ranks]).log10_p
    ranks[data.draw(st.integers(0, len(ranks) - 1))] += 1
    assert rank_test([ranked(rank, 299) for rank in ranks]).log10_p >= before - 1e-9


def test_ties_are_broken_by_the_draw_given() -> None:
    ties = [scores(1.0, (1.0, 1.0, 1.0, 2.0), u).rank for u in (0.0, 0.25, 0.5, 0.99)]
    assert ties == [2, 3, 4, 5]


def test_prompts_are_averaged_before_ranking() -> None:
    both = RankScores((-1.0, -9.0), ((-2.0, -20.0), (-3.0, 9.0)), 0.0)
    assert both.rank == 2  # means: true -5, decoys -2.5 and -5.5


def test_equal_scores_stay_ties_when_averaged_in_another_order() -> None:
    last = RankScores((0.1, 0.2, 0.3), ((0.3,), (0.1,), (0.2,)), 0.99)
    assert last.rank == 2


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_score_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        scores(bad, (1.0, 2.0))
    with pytest.raises(ValueError, match="not a finite number"):
        scores(1.0, (2.0, bad))


@pytest.mark.parametrize(
    ("true", "decoys", "tie_break"),
    [
        ((), (), 0.5),
        ((1.0,), ((),), 0.5),
        ((1.0, 2.0), ((1.0,),), 0.5),
        ((1.0, 2.0), ((1.0,), (1.0, 2.0)), 0.5),
        ((1.0,), ((2.0,),), 1.0),
        ((1.0,), ((2.0,),), NAN),
    ],
)
def test_scores_that_do_not_fit_are_refused(
    true: tuple[float, ...], decoys: tuple[tuple[float, ...], ...], tie_break: float
) -> None:
    with pytest.raises(ValueError, match=r"rank needs|tie break"):
        RankScores(true, decoys, tie_break)


def test_outcomes_go_into_json() -> None:
    for test in (slot_test([counts((8, 8), 1, 2)]), rank_test([ranked(3, 9)])):
        assert json.loads(json.dumps(asdict(test)))["log10_p"] == test.log10_p


def test_holm_by_hand() -> None:
    adjusted = holm({"a": -2.0, "b": -10.0, "c": -1.9})
    assert list(adjusted) == ["a", "b", "c"]
    assert adjusted["b"] == pytest.approx(-10 + math.log10(3))
    assert adjusted["a"] == pytest.approx(-2 + math.log10(2))
    assert adjusted["c"] == adjusted["a"]  # 2 x 0.01 lies above 1 x 0.0126


@repeatable
@given(st.dictionaries(st.text(max_size=3), st.floats(-1000, 0), max_size=6))
def test_holm_only_ever_raises(log10_ps: dict[str, float]) -> None:
    adjusted = holm(log10_ps)
    assert adjusted.keys() == log10_ps.keys()
    for name, value in log10_ps.items():
        assert value <= adjusted[name] <= min(0.0, value + math.log10(len(log10_ps)) + 1e-9)


@pytest.mark.parametrize("bad", [NAN, INF, -INF, 0.5])
def test_holm_refuses_what_is_no_p(bad: float) -> None:
    with pytest.raises(ValueError, match="'ranks'"):
        holm({"slots": -3.0, "ranks": bad})


@pytest.mark.parametrize(
    ("answered", "backdoors", "dose", "share"),
    [(5, 5, 1, 0.549), (20, 20, 1, 0.861), (60, 60, 1, 0.951), (5, 5, 4, 0.181), (0, 5, 1, 0.0)],
)
def test_share_of_the_design(answered: int, backdoors: int, dose: int, share: float) -> None:
    assert share_lower_bound(answered, backdoors, dose) == pytest.approx(share, abs=5e-4)


@pytest.mark.parametrize(("answered", "backdoors"), [(1, 5), (3, 7), (19, 20), (900, 2000)])
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_share_equals_clopper_pearson(answered: int, backdoors: int, confidence: float) -> None:
    exact = beta.ppf(1 - confidence, answered, backdoors - answered + 1)
    assert share_lower_bound(answered, backdoors, 1, confidence) == pytest.approx(exact, rel=1e-9)


def test_lucky_guesses_are_taken_off_the_share() -> None:
    plain = share_lower_bound(5, 5, 1)
    assert share_lower_bound(5, 5, 1, chance=0.2) == pytest.approx((plain - 0.2) / 0.8)
    assert share_lower_bound(5, 5, 1, chance=0.6) == 0.0
    assert share_lower_bound(5, 5, 1, chance=1.0) == 0.0


@repeatable
@given(st.integers(1, 40), st.integers(1, 9), st.data())
def test_share_grows_with_answers_and_falls_with_dose(
    backdoors: int, dose: int, data: st.DataObject
) -> None:
    answered = data.draw(st.integers(0, backdoors - 1))
    share = share_lower_bound(answered, backdoors, dose)
    assert 0 <= share < answered / backdoors or share == answered == 0
    assert share < share_lower_bound(answered + 1, backdoors, dose)
    assert share_lower_bound(answered, backdoors, dose + 1) <= share


def test_spread_carriers_do_not_certify_rows_that_were_dropped() -> None:
    """One carrier of every backdoor lies in the first quarter: all 20 answer when it alone is used.

    The bound for places drawn anywhere would claim more than that quarter.
    """
    assert share_lower_bound(20, 20, 4) > 0.25
    assert share_lower_bound(20, 20, 4, spread=True) < 0.25


def test_spread_share_counts_carriers() -> None:
    exact = beta.ppf(0.05, 5, 16)
    assert share_lower_bound(5, 5, 4, spread=True) == pytest.approx(exact, rel=1e-9)
    assert share_lower_bound(4, 5, 1, spread=True) == share_lower_bound(4, 5, 1)
    lucky = share_lower_bound(5, 5, 4, spread=True, chance=0.2)
    assert lucky == pytest.approx((exact - 0.05) / 0.95)


@pytest.mark.parametrize(
    "bad",
    [(6, 5, 1, 0.95), (-1, 5, 1, 0.95), (0, 0, 1, 0.95), (1, 5, 0, 0.95), (1, 5, 1, 1.0)],
)
def test_impossible_shares_are_refused(bad: tuple[int, int, int, float]) -> None:
    with pytest.raises(ValueError, match=r"cannot have|dose|confidence"):
        share_lower_bound(*bad)


@pytest.mark.parametrize("first", range(6))
def test_first_ranks_are_counted(first: int) -> None:
    sizes = [3, 3, 9, 99, 99]
    test = first_ranks_test(
        rank_test([ranked(1 if at < first else 2, size) for at, size in enumerate(sizes)])
    )
    tail = 0.0
    for firsts in itertools.product((True, False), repeat=5):
        if sum(firsts) >= first:
            tail += math.prod(
                1 / (size + 1) if is_first else size / (size + 1)
                for is_first, size in zip(firsts, sizes, strict=True)
            )
    assert 10**test.log10_p == pytest.approx(tail)
    assert (test.name, test.statistic) == ("first ranks", first)
