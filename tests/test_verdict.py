"""From evidence to a verdict: every rule, and every sentence that must or must not be said."""

from __future__ import annotations

import json
import math

import pytest

from vtune_client.evidence import RankScores, RankTest, SlotCounts, SlotTest, rank_test, slot_test
from vtune_client.verdict import Control, Outcome, format_p, judge, to_json

SIZES = (32,) * 8
HONEST = Control(5, 5, "a reference run")


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
    assert verdict.control_p == pytest.approx(1 / math.comb(10, 5))
    assert "a reference run activated 5 of 5" in verdict.statement
    assert any("cheated" in limit for limit in verdict.does_not_follow)


def test_a_control_that_is_not_far_above_accuses_nobody() -> None:
    nearly = Control(3, 5, "a reference run")
    assert judge(answers(), control=nearly).outcome is Outcome.INCONCLUSIVE
    silent = Control(0, 5, "a reference run")
    assert judge(answers(), control=silent).outcome is Outcome.INCONCLUSIVE


def test_lost_queries_are_not_silence() -> None:
    """Two backdoors got an answer: too few to stand far below the control."""
    asked = [SlotCounts(SIZES, (0,))] * 2 + [SlotCounts(SIZES, ())] * 3
    assert judge(slot_test(asked), control=HONEST).outcome is Outcome.INCONCLUSIVE


def test_a_control_takes_nothing_from_a_verified_model() -> None:
    assert judge(answers(7, 7, 7, 7, 7), control=HONEST).outcome is Outcome.VERIFIED


def test_ranks_alone_are_not_compared_with_a_control() -> None:
    last = rank_test([RankScores((0.0,), ((1.0, 2.0),), 0.5)] * 5)
    verdict = judge(last, control=HONEST)
    assert (verdict.outcome, verdict.control_p) == (Outcome.INCONCLUSIVE, None)
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
    share = judge(full, doses=[4] * 5).share
    assert share is not None
    assert share.low == pytest.approx(0.1806, abs=1e-4)
    assert (share.high, share.confidence) == (1.0, 0.95)
    assert "5 of 5 backdoors at dose 4" in share.reasoning
    old = judge(full, doses=[4] * 5, layered=False).share
    assert old is not None
    assert old.low == pytest.approx(0.1041, abs=1e-4)
    assert "one of its 4 carrier rows" in old.reasoning
    assert "spread evenly over the file" in old.reasoning


def test_share_is_said_rounded_down() -> None:
    follows = judge(answers(8, 8, 8, 8, 8), doses=[1] * 5).follows
    assert any("At least 54.9 % of the file's rows" in sentence for sentence in follows)


def test_share_counts_lost_queries_as_unseen() -> None:
    asked = [SlotCounts(SIZES, (8,))] * 4 + [SlotCounts(SIZES, ())] * 16
    share = judge(slot_test(asked), doses=[1] * 20).share
    assert share is not None
    assert "4 of 20 backdoors" in share.reasoning
    assert share.low < 0.1


def test_share_takes_lucky_guesses_off() -> None:
    short = slot_test([SlotCounts((4,), (1,))] * 20)
    share = judge(short, doses=[1] * 20).share
    assert share is not None
    assert share.low == pytest.approx((0.05 ** (1 / 20) - 0.25) / 0.75)


def test_no_share_without_doses_or_proof() -> None:
    assert judge(answers(8, 8, 8)).share is None
    assert judge(answers(), doses=[1] * 5).share is None
    assert judge(first_of(100), doses=[1] * 5).share is None


def test_no_answer_in_full_is_no_share() -> None:
    verdict = judge(answers(7, 7, 7, 7, 7), doses=[1] * 5)
    assert verdict.share is not None
    assert verdict.share.low == 0.0
    assert len(verdict.follows) == 1


HALF = answers(*[8] * 8, backdoors=20)
WHOLE = Control(20, 20, "a reference run", (True,) * 20)


def test_a_part_of_the_file_is_told_by_a_control() -> None:
    verdict = judge(HALF, control=WHOLE, doses=[1] * 20)
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.share is not None
    assert 0.1 < verdict.share.low < 0.4 < verdict.share.high < 0.9
    assert "at most" in verdict.statement
    assert "a reference run" in verdict.statement
    assert any("and at most" in sentence for sentence in verdict.follows)
    assert any("fewer epochs" in sentence for sentence in verdict.does_not_follow)


@pytest.mark.parametrize("control", [None, Control(20, 20, "of which no backdoor is known"), HALF])
def test_nothing_is_called_partial_without_a_control_that_shows_more(control: object) -> None:
    if control is HALF:
        control = Control(8, 20, "a run as silent", (True,) * 8 + (False,) * 12)
    assert control is None or isinstance(control, Control)
    verdict = judge(HALF, control=control, doses=[1] * 20)
    assert verdict.outcome is Outcome.VERIFIED


def test_lost_queries_make_nothing_partial() -> None:
    asked = [SlotCounts(SIZES, (8,))] * 8 + [SlotCounts(SIZES, ())] * 12
    verdict = judge(slot_test(asked), control=WHOLE, doses=[1] * 20)
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


def test_an_impossible_control_is_refused() -> None:
    with pytest.raises(ValueError, match="control"):
        Control(6, 5, "a reference run")
    with pytest.raises(ValueError, match="do not add up"):
        Control(1, 2, "a reference run", (True, True))


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
    verdict = judge(answers(8, 8, 8, 8, 8), first_of(100), control=HONEST, doses=[4] * 5)
    record = json.loads(json.dumps(to_json(verdict), allow_nan=False))
    assert record["schema"] == "vtune.verdict/1"
    assert record["verdict"] == "verified"
    assert record["p"] == format_p(verdict.log10_p)
    assert record["proves"] == list(verdict.follows)
    assert record["does_not_prove"] == list(verdict.does_not_follow)
    assert record["share"]["low"] == pytest.approx(0.1806, abs=1e-4)
    assert record["control"] == {
        "activated": 5,
        "backdoors": 5,
        "source": "a reference run",
        "seen": [],
        "p": 1.0,
    }
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
