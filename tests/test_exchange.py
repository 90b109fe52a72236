"""Uploaded against withheld rows: the exact tail, its null, its power, and what is refused."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Sequence
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from tests.nulls import LEVELS, binomial_tail, exceedances
from tests.row_nulls import ROW_SCORERS, RowDesign, row_nulls
from vtune_client.draw import Draw
from vtune_client.evidence import rank_sum
from vtune_client.evidence.exchange import ExchangeTest, RowScore, exchange_test, gain, gaps

LUCK = 1e-4
repeatable = settings(derandomize=True, deadline=None)


def draw() -> Draw:
    return Draw(b"a key of the tests", "relabellings")


def rows(
    uploaded: Sequence[float], withheld: Sequence[float], lengths: Sequence[int] = ()
) -> list[RowScore]:
    scores = [(True, score) for score in uploaded] + [(False, score) for score in withheld]
    lengths = lengths or [1] * len(scores)
    return [RowScore(kind, score, n) for (kind, score), n in zip(scores, lengths, strict=True)]


def outcome_of(scored: Sequence[RowScore], strata: int = 1) -> ExchangeTest:
    return exchange_test(scored, draw(), strata=strata)


def too_often(log10_ps: list[float]) -> set[float]:
    runs = len(log10_ps)
    return {x for x in LEVELS if binomial_tail(exceedances(log10_ps, x), runs, x) < LUCK}


@pytest.mark.parametrize(("uploaded", "withheld"), [(1, 1), (3, 8), (9, 4), (40, 40)])
def test_without_ties_the_tail_is_wilcoxons(uploaded: int, withheld: int) -> None:
    values = Draw(b"a key of the tests", f"{uploaded}").sample(
        [float(n) for n in range(uploaded + withheld)], uploaded + withheld
    )
    ours = outcome_of(rows(values[:uploaded], values[uploaded:]))
    theirs = mannwhitneyu(
        values[:uploaded], values[uploaded:], alternative="greater", method="exact"
    )
    assert ours.method == "exact count"
    assert ours.statistic == theirs.statistic
    assert 10**ours.log10_p == pytest.approx(theirs.pvalue, rel=1e-9)


def share_of_relabellings(scored: Sequence[RowScore]) -> float:
    """Deal the labels in every way within each length, and count wins over pairs from scratch."""
    groups: dict[int, list[RowScore]] = {}
    for row in scored:
        groups.setdefault(row.length, []).append(row)

    def wins(group: Sequence[RowScore], uploaded: frozenset[int]) -> float:
        return sum(
            (group[a].score > group[b].score) + 0.5 * (group[a].score == group[b].score)
            for a in uploaded
            for b in set(range(len(group))) - uploaded
        )

    per_group, observed = [], 0.0
    for group in groups.values():
        own = frozenset(at for at, row in enumerate(group) if row.uploaded)
        observed += wins(group, own)
        deals = itertools.combinations(range(len(group)), len(own))
        per_group.append([wins(group, frozenset(deal)) for deal in deals])
    totals = [sum(each) for each in itertools.product(*per_group)]
    return sum(total >= observed for total in totals) / len(totals)


scored_rows = st.lists(
    st.builds(RowScore, st.booleans(), st.integers(0, 3).map(float), st.integers(1, 2)),
    min_size=2,
    max_size=9,
).filter(lambda found: 0 < sum(row.uploaded for row in found) < len(found))


@repeatable
@given(scored_rows)
def test_with_ties_and_strata_the_tail_is_the_full_enumeration(scored: list[RowScore]) -> None:
    lengths = sorted(row.length for row in scored)
    alike = lengths[len(lengths) // 2] == lengths[0]  # then two strata are one
    expected = share_of_relabellings(
        [RowScore(row.uploaded, row.score) for row in scored] if alike else scored
    )
    assert 10 ** outcome_of(scored, strata=2).log10_p == pytest.approx(expected, rel=1e-9)


def test_relabellings_stand_in_for_a_long_count(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = rows([3, 3, 4, 5, 2, 2, 6], [1, 2, 3, 3, 1, 2, 4], [1, 2] * 7)
    exact = outcome_of(scored, strata=2)
    monkeypatch.setattr(rank_sum, "_LONGEST_COUNT", 0)
    dealt = outcome_of(scored, strata=2)
    assert (exact.method, dealt.method) == ("exact count", "relabellings")
    assert 10**dealt.log10_p == pytest.approx(10**exact.log10_p, abs=0.006)
    assert (dealt.statistic, dealt.auc) == (exact.statistic, exact.auc)


def test_relabellings_never_give_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_sum, "_LONGEST_COUNT", 0)
    monkeypatch.setattr(rank_sum, "RELABELLINGS", 99)
    assert outcome_of(rows(range(20, 40), range(20))).log10_p == pytest.approx(-2)


def test_rows_known_apart_reach_the_floor() -> None:
    best = outcome_of(rows(range(100, 150), range(50)))
    assert best.log10_p == pytest.approx(-math.log10(math.comb(100, 50)))
    assert (best.auc, best.statistic, best.uploaded, best.withheld) == (1.0, 2500.0, 50, 50)
    worst = outcome_of(rows(range(50), range(100, 150)))
    assert (worst.log10_p, worst.auc) == (0.0, 0.0)


def test_all_ties_are_no_evidence() -> None:
    same = outcome_of(rows([1.0] * 9, [1.0] * 9))
    assert (same.log10_p, same.auc, same.statistic) == (0.0, 0.5, 40.5)


def test_strata_remove_what_length_alone_explains() -> None:
    """The long rows score high, and most of them happen to be uploaded."""
    lengths = [9] * 8 + [1] * 2 + [9] * 2 + [1] * 8
    scored = rows([9, 9, 9, 9, 9, 9, 9, 9, 1, 1], [9, 9, 1, 1, 1, 1, 1, 1, 1, 1], lengths)
    assert outcome_of(scored).log10_p < -1.9
    assert outcome_of(scored, strata=2).log10_p == 0.0


def test_a_stratum_of_one_kind_adds_nothing() -> None:
    alone = rows([1.0, 2.0], [3.0, 4.0], [1, 1, 9, 9])
    assert (outcome_of(alone, strata=2).log10_p, outcome_of(alone, strata=2).auc) == (0.0, 0.5)


def test_more_strata_than_rows_lose_no_row() -> None:
    scored = rows([2.0, 3.0], [1.0, 0.0])
    assert outcome_of(scored, strata=9) == outcome_of(scored)


@repeatable
@given(scored_rows)
def test_the_order_of_the_rows_changes_nothing(scored: list[RowScore]) -> None:
    assert outcome_of(scored[::-1], strata=3) == outcome_of(scored, strata=3)


@pytest.mark.parametrize("system", ROW_SCORERS)
@pytest.mark.parametrize("strata", [1, 3])
def test_it_keeps_its_level(system: str, strata: int) -> None:
    design = RowDesign(file=200, withheld=15, strata=strata)
    log10_ps = list(row_nulls(design, ROW_SCORERS[system], 400, b"row nulls, seeded"))
    assert too_often(log10_ps) == set()


def test_its_level_is_used_up() -> None:
    design = RowDesign(file=200, withheld=15, strata=1)
    system = ROW_SCORERS["knows some rows"]
    log10_ps = list(row_nulls(design, system, 400, b"tight row nulls, seeded"))
    assert exceedances(log10_ps, 0.05) > 0.025 * 400


def test_this_check_catches_a_leak() -> None:
    """A system that knows uploaded rows a little better is no null, and shows."""
    design = RowDesign(file=200, withheld=15, strata=3)
    leaky = row_nulls(
        design, ROW_SCORERS["knows some rows"], 100, b"leaky row nulls, seeded", leak=2.0
    )
    assert too_often(list(leaky)) == set(LEVELS)


def test_a_gain_is_per_unit_of_length_over_the_base() -> None:
    assert gain(-10.0, 5, base=-30.0) == 4.0
    assert gain(-10.0, 5) == -2.0
    with pytest.raises(ValueError, match="length of at least 1"):
        gain(-10.0, 0)


def test_a_gap_shows_what_only_the_control_learned() -> None:
    ease = [math.sin(row) * 10 for row in range(40)]  # far larger than what is learned
    control = rows([score + 1 for score in ease[:20]], ease[20:])
    delivered = rows(ease[:20], ease[20:])
    assert outcome_of(gaps(control, delivered)).log10_p == pytest.approx(
        -math.log10(math.comb(40, 20))
    )
    assert outcome_of(gaps(control, control)).log10_p == 0.0
    assert outcome_of(gaps(delivered, control)).auc == 0.0


def test_a_gap_needs_the_same_rows() -> None:
    with pytest.raises(ValueError, match="same rows"):
        gaps(rows([1.0], [2.0]), rows([1.0], [2.0])[::-1])
    with pytest.raises(ValueError, match="shorter"):
        gaps(rows([1.0], [2.0]), rows([1.0], [2.0])[:1])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        RowScore(True, bad)


def test_impossible_tests_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 0"):
        RowScore(True, 1.0, -1)
    for alone in (rows([1.0, 2.0], []), rows([], [1.0]), []):
        with pytest.raises(ValueError, match="uploaded and withheld"):
            outcome_of(alone)
    with pytest.raises(ValueError, match="one stratum"):
        outcome_of(rows([1.0], [2.0]), strata=0)


def test_the_outcome_goes_into_json() -> None:
    found = outcome_of(rows([1, 2, 3], [0, 1, 2]))
    assert json.loads(json.dumps(asdict(found)))["log10_p"] == found.log10_p
