"""From evidence to a verdict: every rule, and every sentence that must or must not be said."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from vtune_client.amount import TAU, Layout
from vtune_client.control import Control, control_of
from vtune_client.evidence import (
    DoseCount,
    ExchangeTest,
    RankScores,
    RankTest,
    RowsControl,
    RowsOutcome,
    SlotCounts,
    SlotTest,
    rank_test,
    share_at_least,
    slot_test,
)
from vtune_client.verdict import Outcome, format_p, judge, to_json

SIZES = (32,) * 8


def run(*best: int, backdoors: int = 5, ranks: tuple[int, ...] = ()) -> Control:
    """A control whose first backdoors matched this much, and the rest nothing."""
    padded = best + (0,) * (backdoors - len(best))
    return Control("a reference run", (8,) * backdoors, padded, ranks, (100,) * len(ranks))


HONEST = run(8, 8, 8, 8, 8)


def layout(*doses: int, shards: tuple[int | None, ...] = (), layered: bool = True) -> Layout:
    return Layout(doses, shards or (None,) * len(doses), layered)


def answers(*best: int, backdoors: int = 5, name: str = "slots") -> SlotTest:
    """The slot test of backdoors with these best matches; the rest matched nothing."""
    padded = best + (0,) * (backdoors - len(best))
    return slot_test([SlotCounts(SIZES, (matched,)) for matched in padded], name=name)


def first_of(decoys: int, *, backdoors: int = 5) -> RankTest:
    below = tuple(-1.0 - decoy for decoy in range(decoys))
    return rank_test([RankScores((0.0,), (below,), 0.5)] * backdoors)


def test_full_activation_is_verified() -> None:
    verdict = judge(answers(8, 8, 8, 8, 8))
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.log10_p == pytest.approx(-40 * math.log10(32))
    assert (verdict.backdoors, verdict.activated) == (5, 5)
    assert (verdict.slots, verdict.slots_matched) == (40, 40)
    assert "reached the served system" in verdict.statement
    assert "5 of 5 backdoors" in verdict.statement


def test_verified_says_what_it_does_not_prove() -> None:
    limits = " ".join(judge(answers(8, 8, 8)).does_not_follow)
    for words in ("weights changed", "looks its answers up", "all rows were used", "used them"):
        assert words in limits


def test_scores_alone_can_verify() -> None:
    verdict = judge(answers(), first_of(100))
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.log10_p == pytest.approx(-5 * math.log10(101) + math.log10(2))
    assert [judged.evidence.name for judged in verdict.tests] == ["slots", "ranks"]
    assert verdict.tests[0].adjusted_log10_p == 0.0


def test_alpha_decides() -> None:
    test = answers(3, 2, 1)
    assert -6 < test.log10_p < -1
    assert judge(test).outcome is Outcome.INCONCLUSIVE
    assert judge(test, alpha=10**test.log10_p * 1.001).outcome is Outcome.VERIFIED
    assert judge(test, alpha=10**test.log10_p * 0.999).outcome is Outcome.INCONCLUSIVE


def test_holm_price_is_paid_before_alpha() -> None:
    ranks = first_of(100)
    alpha = 10**ranks.log10_p * 1.5
    assert judge(ranks, alpha=alpha).outcome is Outcome.VERIFIED
    assert judge(ranks, answers(), alpha=alpha).outcome is Outcome.INCONCLUSIVE


def test_silence_without_a_control_is_inconclusive() -> None:
    verdict = judge(answers())
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert verdict.log10_p == 0.0
    assert verdict.follows == ()
    assert "not" not in verdict.statement.replace("do not tell", "")
    assert any("memorise too little" in limit for limit in verdict.does_not_follow)


def test_silence_against_a_control_is_not_verified() -> None:
    verdict = judge(answers(), control=HONEST)
    assert verdict.outcome is Outcome.NOT_VERIFIED
    assert verdict.gap is not None
    assert 10**verdict.gap.log10_p == pytest.approx(1 / math.comb(10, 5))
    assert "a reference run activated 5 of 5" in verdict.statement
    assert any("cheated" in limit for limit in verdict.does_not_follow)


def test_a_control_need_not_answer_in_full_to_stand_above() -> None:
    verdict = judge(answers(), control=run(8, 7, 8, 5, 3))
    assert verdict.outcome is Outcome.NOT_VERIFIED
    assert "activated 2 of 5 backdoors, 31 of 40 secret words" in verdict.statement


@pytest.mark.parametrize("control", [run(8, 8, 8), run()])
def test_a_control_that_is_not_far_above_accuses_nobody(control: Control) -> None:
    assert judge(answers(), control=control).outcome is Outcome.INCONCLUSIVE


def test_whoever_left_a_trace_is_not_accused() -> None:
    few = answers(2, 2, 1)
    assert -6 < few.log10_p < -2
    verdict = judge(few, control=HONEST)
    assert verdict.gap is not None
    assert verdict.gap.log10_p < -2
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "not without a trace" in verdict.statement
    ranked = rank_test([RankScores((0.0,), (tuple(range(-100, 0)),), 0.5)] * 2)
    assert -6 < ranked.log10_p < -2
    assert judge(answers(), ranked, control=HONEST).outcome is Outcome.INCONCLUSIVE


def test_a_control_of_another_recipe_accuses_nobody_and_bounds_nothing() -> None:
    other = replace(HONEST, differs=("epochs", "learning rate"))
    verdict = judge(answers(), control=other)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "another recipe (epochs and learning rate)" in verdict.statement
    part = judge(HALF, control=replace(WHOLE, differs=("epochs",)), layout=ONCE)
    assert (part.outcome, part.share and part.share.high) == (Outcome.VERIFIED, 1.0)
    rows = RowsControl(SHOWN, exchange(-3.0))
    known = judge(answers(8, 8, 8, 8, 8), CHANCE, control=other, rows_control=rows)
    assert known.outcome is Outcome.VERIFIED
    assert to_json(verdict)["control"]["differs"] == ["epochs", "learning rate"]


def test_lost_queries_are_not_silence() -> None:
    """Two backdoors got an answer: too few to stand far below the control."""
    asked = [SlotCounts(SIZES, (0,))] * 2 + [SlotCounts(SIZES, ())] * 3
    assert judge(slot_test(asked), control=HONEST).outcome is Outcome.INCONCLUSIVE


def test_a_control_takes_nothing_from_a_verified_model() -> None:
    assert judge(answers(7, 7, 7, 7, 7), control=HONEST).outcome is Outcome.VERIFIED


def test_ranks_alone_are_not_compared_with_a_control() -> None:
    last = rank_test([RankScores((0.0,), ((1.0, 2.0),), 0.5)] * 5)
    verdict = judge(last, control=HONEST)
    assert (verdict.outcome, verdict.gap) == (Outcome.INCONCLUSIVE, None)
    assert (verdict.backdoors, verdict.slots) == (5, 0)
    assert "backdoors answered" not in verdict.statement


@pytest.mark.parametrize("control", [None, HONEST])
def test_no_test_no_verdict(control: Control | None) -> None:
    unanswered = slot_test([SlotCounts(SIZES, ())] * 5)
    for verdict in (judge(control=control), judge(unanswered, control=control)):
        assert verdict.outcome is Outcome.INCONCLUSIVE
        assert verdict.tests == ()
        assert verdict.log10_p == 0.0
        assert "No test ran" in verdict.statement


def test_share_comes_with_its_reasoning() -> None:
    full = answers(8, 8, 8, 8, 8)
    share = judge(full, layout=layout(*[4] * 5)).share
    assert share is not None
    assert share.low == pytest.approx(0.1806, abs=1e-4)
    assert (share.high, share.confidence) == (1.0, 0.95)
    assert "5 of 5 backdoors at dose 4" in share.reasoning
    old = judge(full, layout=layout(*[4] * 5, layered=False)).share
    assert old is not None
    assert old.low == pytest.approx(0.1041, abs=1e-4)
    assert "one of its 4 carrier rows" in old.reasoning
    assert "spread evenly over the file" in old.reasoning


def test_share_is_said_rounded_down() -> None:
    follows = judge(answers(8, 8, 8, 8, 8), layout=layout(*[1] * 5)).follows
    assert any("At least 54.9 % of the file's rows" in sentence for sentence in follows)


def test_share_counts_lost_queries_as_unseen() -> None:
    asked = [SlotCounts(SIZES, (8,))] * 4 + [SlotCounts(SIZES, ())] * 16
    share = judge(slot_test(asked), layout=layout(*[1] * 20)).share
    assert share is not None
    assert "4 of 20 backdoors" in share.reasoning
    assert share.low < 0.1


def test_share_takes_lucky_guesses_off() -> None:
    short = slot_test([SlotCounts((4,), (1,))] * 20)
    share = judge(short, layout=layout(*[1] * 20)).share
    assert share is not None
    assert share.low == pytest.approx((0.05 ** (1 / 20) - 0.25) / 0.75)


def test_no_share_without_doses_or_proof() -> None:
    assert judge(answers(8, 8, 8)).share is None
    assert judge(answers(), layout=layout(*[1] * 5)).share is None
    assert judge(first_of(100), layout=layout(*[1] * 5)).share is None


def test_no_answer_in_full_is_no_share() -> None:
    verdict = judge(answers(7, 7, 7, 7, 7), layout=layout(*[1] * 5))
    assert verdict.share is not None
    assert verdict.share.low == 0.0
    assert len(verdict.follows) == 1


HALF = answers(*[8] * 8, backdoors=20)
WHOLE = run(*[8] * 20, backdoors=20)
ONCE = layout(*[1] * 20)


def test_a_part_of_the_file_is_told_by_a_control() -> None:
    verdict = judge(HALF, control=WHOLE, layout=ONCE)
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.share is not None
    assert 0.1 < verdict.share.low < 0.4 < verdict.share.high < 0.9
    assert "at most" in verdict.statement
    assert "a reference run" in verdict.statement
    assert any("and at most" in sentence for sentence in verdict.follows)
    assert any("fewer epochs" in sentence for sentence in verdict.does_not_follow)


@pytest.mark.parametrize("control", [None, run(*[8] * 8, backdoors=20)])
def test_nothing_is_called_partial_without_a_control_that_shows_more(
    control: Control | None,
) -> None:
    assert judge(HALF, control=control, layout=ONCE).outcome is Outcome.VERIFIED


def ranked(*ranks: int) -> RankTest:
    """A test in which the signatures have these ranks among 100 decoys."""
    below = [tuple(1.0 if at < rank - 1 else -1.0 for at in range(100)) for rank in ranks]
    return rank_test([RankScores((0.0,), (row,), 0.5) for row in below])


def test_a_rank_says_what_a_small_model_does_not() -> None:
    """Nothing is said in full; 18 of 20 signatures that were read once are ranked first."""
    silent, found = answers(backdoors=20), ranked(*[1] * 18, 50, 60)
    alone = judge(silent, found, layout=ONCE)
    assert alone.outcome is Outcome.VERIFIED
    assert alone.share is not None
    assert alone.share.low == pytest.approx(
        share_at_least([DoseCount(1, 20, 18, chance=TAU + silent.chance)]), abs=1e-6
    )
    beside = judge(silent, found, layout=ONCE, control=run(backdoors=20, ranks=(1,) * 20))
    assert (beside.outcome, beside.share and beside.share.high) == (Outcome.VERIFIED, 1.0)
    few = ranked(*[1] * 7, *[50] * 13)
    control = run(backdoors=20, ranks=(1,) * 20)
    half = judge(silent, few, alpha=1e-3, layout=ONCE, control=control)
    assert half.outcome is Outcome.PARTIAL


def test_high_ranks_do_not_hide_that_a_part_is_missing() -> None:
    """Above dose 1 every backdoor ranks high, as one carrier is enough; the answers tell more."""
    doses = layout(*[2] * 40)
    few, all_ = answers(*[8] * 10, backdoors=40), run(*[8] * 40, backdoors=40, ranks=(1,) * 40)
    verdict = judge(few, ranked(*[1] * 30, *[60] * 10), layout=doses, control=all_)
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.share is not None
    assert 0.3 < verdict.share.low < verdict.share.high < 0.8


def test_a_control_without_ranks_is_compared_by_its_answers() -> None:
    control = run(*[8] * 20, backdoors=20)
    verdict = judge(HALF, ranked(*[1] * 10, *[60] * 10), layout=ONCE, control=control)
    assert verdict.share is not None
    assert "Seen were 10 of 20" in verdict.share.reasoning
    assert "showed 20 of 20 backdoors at dose 1, against 8 of 20" in verdict.share.reasoning


def test_bounds_that_contradict_each_other_are_no_part() -> None:
    """All were met, and far fewer are said: not rows are missing, but the training was weaker."""
    few = answers(*[8] * 4, backdoors=20)
    verdict = judge(few, ranked(*[1] * 20), layout=ONCE, control=WHOLE)
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.share is not None
    assert (verdict.share.low > 0.8, verdict.share.high) == (True, 1.0)
    assert "contradicts" in verdict.share.reasoning
    assert ["Fewer epochs" in sign for sign in verdict.signs] == [True]


def test_a_dropped_shard_is_told_by_a_control() -> None:
    doses = layout(*[1] * 24, shards=tuple(at // 6 for at in range(24)))
    whole = run(*[8] * 24, backdoors=24)
    most = judge(answers(*[8] * 18, backdoors=24), control=whole, layout=doses)
    assert most.outcome is Outcome.PARTIAL
    assert most.shards is not None
    assert most.shards.dropped == (3,)
    assert any("shard 4 shows fewer" in sentence for sentence in most.follows)
    assert judge(answers(*[8] * 24, backdoors=24), control=whole, layout=doses).outcome is (
        Outcome.VERIFIED
    )
    assert judge(answers(*[8] * 18, backdoors=24), layout=doses).shards is None


def test_lost_queries_make_nothing_partial() -> None:
    asked = [SlotCounts(SIZES, (8,))] * 8 + [SlotCounts(SIZES, ())] * 12
    verdict = judge(slot_test(asked), control=WHOLE, layout=layout(*[1] * 20))
    assert verdict.outcome is Outcome.VERIFIED


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, math.nan])
def test_a_bad_alpha_is_refused(alpha: float) -> None:
    with pytest.raises(ValueError, match="alpha"):
        judge(answers(), alpha=alpha)


def test_a_test_counts_once() -> None:
    with pytest.raises(ValueError, match="given once"):
        judge(answers(8), answers(8))
    with pytest.raises(ValueError, match="given once"):
        judge(answers(8), answers(8, name="again"))


@pytest.mark.parametrize(
    ("slots", "matched", "ranks"),
    [((), (), ()), ((8,), (9,), ()), ((8,), (-1,), ()), ((8, 8), (8,), ()), ((8, 8), (8, 8), (1,))],
)
def test_an_impossible_control_is_refused(
    slots: tuple[int, ...], matched: tuple[int, ...], ranks: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="control"):
        Control("a reference run", slots, matched, ranks, (9,) * len(ranks))


def exchange(log10_p: float, auc: float = 0.5) -> ExchangeTest:
    return ExchangeTest("rows by text", log10_p, 30, 30, 450.0, auc, "exact count")


SHOWN, CHANCE = exchange(-8.0, 0.9), exchange(-0.3)


def test_rows_alone_can_verify() -> None:
    """A vendor who threw the carriers out and trained on the rest."""
    verdict = judge(answers(), SHOWN, layout=layout(*[4] * 5), control=HONEST)
    assert verdict.outcome is Outcome.VERIFIED
    assert verdict.share is None
    assert verdict.rows is not None
    assert verdict.rows.outcome is RowsOutcome.WITHOUT_BACKDOORS
    assert "What shows it are rows" in verdict.statement
    assert any("backdoors do not show" in sentence for sentence in verdict.follows)


def test_known_rows_answer_the_question_whose_rows_they_are() -> None:
    with_rows = judge(answers(8, 8, 8, 8, 8), SHOWN)
    assert any("uploaded rows better" in sentence for sentence in with_rows.follows)
    assert not any("own rows were trained on" in each for each in with_rows.does_not_follow)
    without = judge(answers(8, 8, 8, 8, 8), CHANCE)
    assert without.outcome is Outcome.VERIFIED
    assert any("not known measurably better" in each for each in without.does_not_follow)


def test_rows_that_an_honest_run_knows_and_this_one_does_not_make_it_a_part() -> None:
    said = answers(8, 8, 8, 8, 8)
    doses = layout(*[4] * 5)
    found = judge(
        said, CHANCE, layout=doses, control=HONEST, rows_control=RowsControl(SHOWN, exchange(-3.0))
    )
    assert found.outcome is Outcome.PARTIAL
    assert "backdoors only, on a part" in found.statement
    assert any(each.startswith("Unless the vendor picked") for each in found.follows)
    too_close = RowsControl(SHOWN, exchange(-1.0))
    near = judge(said, CHANCE, layout=doses, control=HONEST, rows_control=too_close)
    assert near.outcome is Outcome.VERIFIED


def test_known_rows_accuse_nobody() -> None:
    assert judge(answers(), exchange(-2.5), control=HONEST).outcome is Outcome.INCONCLUSIVE


def test_answers_that_the_scores_do_not_know_are_a_sign() -> None:
    looked_up = judge(answers(8, 8, 8, 8, 8), ranked(50, 20, 99, 70, 30))
    assert looked_up.outcome is Outcome.VERIFIED
    assert ["look-up" in sign for sign in looked_up.signs] == [True]
    assert judge(answers(8, 8, 8, 8, 8), ranked(1, 1, 1, 1, 1)).signs == ()
    listed = replace(ranked(50, 20, 99, 70, 30), name="candidates")
    assert len(judge(answers(8, 8, 8, 8, 8), listed).signs) == 1
    assert judge(answers(), ranked(50, 20, 99, 70, 30)).signs == ()


@pytest.mark.parametrize(
    ("log10_p", "text"),
    [
        (0.0, "1"),
        (-0.0, "1"),
        (-1e-17, "1"),
        (math.log10(0.042), "0.042"),
        (math.log10(0.0421), "0.043"),
        (-6.0, "1.0e-6"),
        (math.log10(3.2) - 61, "3.2e-61"),
        (math.log10(9.95) - 61, "1.0e-60"),
        (math.log10(4.5) - 867, "4.5e-867"),
    ],
)
def test_p_as_text(log10_p: float, text: str) -> None:
    assert format_p(log10_p) == text


def test_json_carries_the_whole_verdict() -> None:
    verdict = judge(answers(8, 8, 8, 8, 8), first_of(100), control=HONEST, layout=layout(*[4] * 5))
    record = json.loads(json.dumps(to_json(verdict), allow_nan=False))
    assert record["schema"] == "vtune.verdict/1"
    assert record["verdict"] == "verified"
    assert record["p"] == format_p(verdict.log10_p)
    assert record["proves"] == list(verdict.follows)
    assert record["does_not_prove"] == list(verdict.does_not_follow)
    assert record["share"]["low"] == pytest.approx(0.1391, abs=1e-4)
    assert record["control"]["gap"]["backdoors"] == 5
    assert (record["control"]["source"], record["control"]["p"]) == ("a reference run", 1.0)
    assert control_of(record, "a reference run") == Control(
        "a reference run", (8,) * 5, (8,) * 5, (1,) * 5, (100,) * 5
    )
    slots, ranks = record["tests"]
    assert (slots["name"], slots["matched"], slots["answers"]) == ("slots", [8] * 5, [1] * 5)
    assert (ranks["ranks"], ranks["decoys"], ranks["method"]) == (
        [1] * 5,
        [100] * 5,
        "exact count",
    )
    assert slots["adjusted_log10_p"] == verdict.log10_p


def test_json_of_a_bare_verdict() -> None:
    record = to_json(judge())
    assert (record["verdict"], record["p"], record["tests"]) == ("inconclusive", "1", [])
    assert record["share"] is record["control"] is None
