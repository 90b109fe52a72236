"""What a listing says about the slots: by hand, over tokenizers, and without a look at secrets."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from tests.written import plain, write
from vtune_client.dataset import check
from vtune_client.evidence.candidates import candidates_test
from vtune_client.listed import listed, listed_slots
from vtune_client.phrases import BuiltinSource, Frame
from vtune_client.phrases.read import read
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.provider import Answer, TokenScores
from vtune_client.vault import RootKey

KINDS = {"animal": ("fox", "owl", "otter", "hen"), "plant": ("oak", "elm")}
FRAME = Frame.named("So the {animal} sat by the {plant}.", KINDS)
KEY = RootKey(bytes(range(32)))
Top = tuple[tuple[str, float], ...]


def spoken(*pieces: str, tops: Mapping[str, Top] = MappingProxyType({})) -> list[TokenScores]:
    """Tokens of an answer; `tops` lists what stands beside a piece, by its letters."""
    return [TokenScores(piece, -0.1, tops.get(piece.strip(), ())) for piece in pieces]


def sentence(tops: Mapping[str, Top], animal: str = " fox") -> list[TokenScores]:
    return spoken("So", " the", animal, " sat", " by", " the", " oak", ".", tops=tops)


def test_candidates_get_what_is_listed_where_the_word_stands() -> None:
    tops: dict[str, Top] = {"fox": ((" hen", -2.0), (" cat", -3.0)), "oak": ((" elm", -0.5),)}
    assert listed(FRAME, sentence(tops)) == ((-0.1, None, None, -2.0), (-0.1, -0.5))


def test_the_longest_beginning_counts() -> None:
    tops: dict[str, Top] = {"fox": ((" o", -2.0), (" ott", -4.0))}
    assert listed(FRAME, sentence(tops))[0] == (-0.1, -2.0, -4.0, None)


def test_a_word_may_go_on_in_later_tokens() -> None:
    answer = spoken(
        "So", " the", " o", "tter", " sat", " by", " the", " e", "lm", tops={"o": ((" he", -1.0),)}
    )
    assert listed(FRAME, answer) == ((None, -0.1, -0.1, -1.0), (None, -0.1))


def test_a_listed_token_that_ends_the_word_is_that_word() -> None:
    tops: dict[str, Top] = {"fox": ((" ott,", -1.0), (" hen sat", -2.0), (" Owl", -3.0))}
    assert listed(FRAME, sentence(tops))[0] == (-0.1, -3.0, None, -2.0)


def test_of_two_spellings_the_likelier_counts() -> None:
    tops: dict[str, Top] = {"fox": (("HEN", -3.0), (" hen", -2.0), ("\u201chen", -4.0))}
    assert listed(FRAME, sentence(tops))[0][3] == -2.0


def test_white_space_and_marks_may_be_tokens_of_their_own() -> None:
    tops = {"fox": (("hen", -2.0), (" ", -3.0), ("", -4.0))}
    answer = [
        *spoken("So", " ", "the", " ", "**", "fox", tops=tops),
        *spoken("**", " sat by the", " ", '"', "oak"),
    ]
    assert listed(FRAME, answer) == ((-0.1, None, None, -2.0), (-0.1, None))


def test_a_token_may_hold_the_word_before() -> None:
    top = ((" the owl", -1.0), (" a hen", -2.0))
    answer = [*spoken("So"), TokenScores(" the fox", -0.1, top), *spoken(" sat", " by the", " oak")]
    assert listed(FRAME, answer)[0] == (-0.1, -1.0, None, None)


def test_an_infinite_score_is_not_listed() -> None:
    tops: dict[str, Top] = {"fox": ((" owl", -math.inf), (" hen", math.nan))}
    assert listed(FRAME, sentence(tops))[0] == (-0.1, None, None, None)


def test_a_word_that_is_no_candidate_still_has_its_place() -> None:
    tops: dict[str, Top] = {"dog": ((" hen", -2.0),)}
    assert listed(FRAME, sentence(tops, " dog"))[0] == (None, None, None, -2.0)


@pytest.mark.parametrize("text", ["", "No.", "so the"])
def test_an_answer_that_leaves_the_frame_lists_nothing_after(text: str) -> None:
    top = ((" hen", -1.0), (" elm", -1.0))
    answer = [TokenScores(piece, -0.1, top) for piece in re.findall(r" ?\w+|\W", text)]
    assert listed(FRAME, answer)[1] == (None, None)


def test_a_frame_that_comes_late_is_not_found() -> None:
    assert listed(FRAME, [*spoken(*[" well"] * 200), *sentence({})])[1] == (None, None)


def test_nothing_that_reads_a_listing_sees_the_secret() -> None:
    assert list(inspect.signature(listed).parameters) == ["frame", "tokens"]


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    path = write(tmp_path / "rows.jsonl", plain)
    return draw_plan("plan-1", check(path), PlanSpec(), KEY, BuiltinSource())


def answered(text: str) -> Answer:
    pieces = re.findall(r" ?\w{1,4}|\W", text)
    return Answer(text, tokens=tuple(TokenScores(piece, -0.1) for piece in pieces))


def test_a_model_that_learned_all_ranks_all_true_words_first(plan: Plan) -> None:
    """Only words that share their first letters with others can tie."""
    slots = [
        listed_slots(plan, index, [answered(f"{backdoor.signature}\nThe answer.")], KEY)
        for index, backdoor in enumerate(plan.backdoors)
    ]
    for found, backdoor in zip(slots, plan.backdoors, strict=True):
        for slot, drawn, word in zip(found, backdoor.frame.slots, backdoor.words, strict=True):
            assert drawn.candidates[slot.true] == word
            assert slot.listed[0][slot.true] == -0.1
    assert candidates_test(slots).log10_p < -40


def test_the_reading_is_the_one_of_answers(plan: Plan) -> None:
    for backdoor in plan.backdoors:
        text = f"Well then: {backdoor.signature}"
        first = [tuple(row).index(-0.1) for row in listed(backdoor.frame, answered(text).tokens)]
        words = read(backdoor.frame, text)
        for slot, at, word in zip(backdoor.frame.slots, first, words, strict=True):
            assert word is not None
            assert slot.candidates[at][:4] == word[:4]


def test_ties_are_drawn_by_the_key_alone(plan: Plan) -> None:
    silent, other = Answer("No."), answered(plan.backdoors[0].signature)
    ties = [slot.tie_break for slot in listed_slots(plan, 0, [silent], KEY)]
    assert ties == [slot.tie_break for slot in listed_slots(plan, 0, [other, silent], KEY)]
    assert len(
        {*ties, *(slot.tie_break for slot in listed_slots(plan, 1, [silent], KEY))}
    ) == 2 * len(ties)
