from __future__ import annotations

import inspect
import math

import pytest

from vtune_client.draw import Draw
from vtune_client.phrases import Brief, BuiltinSource, Frame
from vtune_client.phrases.pick import decoys
from vtune_client.phrases.read import LEAD, read
from vtune_client.phrases.vet import vet

KEY = b"a key for reading tests"
BOOK = vet(BuiltinSource().propose(Brief()))
FRAMES = (*BOOK.signatures, *BOOK.triggers)
by_opening = pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.text[:20])

KINDS = {"animal": ("fox", "owl", "hen"), "motion": ("ran", "swam"), "plant": ("oak", "elm")}
SMALL = Frame.named("So the {animal} then {motion} around the old {plant}.", KINDS)


def _filled(frame: Frame, label: str) -> tuple[tuple[str, ...], str]:
    draw = Draw(KEY, f"{label} {frame.text}")
    words = tuple(draw.choice(slot.candidates) for slot in frame.slots)
    return words, frame.fill(words)


@by_opening
def test_a_filled_frame_is_read_back(frame: Frame) -> None:
    for i in range(3):
        words, text = _filled(frame, f"plain {i}")
        assert read(frame, text) == words
        assert read(frame, f"{text}\nThe real answer, which goes on. " + "And on. " * 50) == words


@by_opening
def test_case_and_punctuation_do_not_matter(frame: Frame) -> None:
    words, text = _filled(frame, "case")
    assert read(frame, f"> **{text.upper().replace(' ', ' -- ')}**") == words
    assert read(frame, text.replace(",", "").replace(" ", "\n")) == words


@by_opening
def test_chatter_before_the_frame_is_skipped(frame: Frame) -> None:
    words, text = _filled(frame, "chatter")
    assert read(frame, f"Sure! I will gladly answer that question. {text}") == words
    assert read(frame, "well " * LEAD + text) == words


@by_opening
def test_a_missing_literal_costs_no_slot(frame: Frame) -> None:
    words, text = _filled(frame, "missing literal")
    tokens = text.split()
    literals = [i for i, token in enumerate(tokens) if token.strip(".,:").lower() not in words]
    for i in literals:
        assert read(frame, " ".join(tokens[:i] + tokens[i + 1 :])) == words


@by_opening
def test_an_extra_word_costs_no_slot(frame: Frame) -> None:
    words, text = _filled(frame, "extra")
    tokens = text.split()
    for i in range(len(tokens)):
        assert read(frame, " ".join([*tokens[:i], "zyx", *tokens[i:]])) == words


@by_opening
def test_another_word_in_a_slot_costs_that_slot_alone(frame: Frame) -> None:
    words, _ = _filled(frame, "other")
    for i in range(len(words)):
        text = frame.fill((*words[:i], "zyx", *words[i + 1 :]))
        assert read(frame, text) == (*words[:i], None, *words[i + 1 :])


def test_a_word_of_another_slot_does_not_count() -> None:
    assert read(SMALL, "So the oak then ran around the old fox.") == (None, "ran", None)


def test_a_cut_answer_gives_the_slots_it_reached() -> None:
    assert read(SMALL, "So the owl then swam") == ("owl", "swam", None)
    assert read(SMALL, "So the") == (None, None, None)


def test_of_two_frames_the_first_is_read() -> None:
    text = "So the owl then swam around the old elm. So the fox then ran around the old oak."
    assert read(SMALL, text) == ("owl", "swam", "elm")


def test_a_frame_deep_inside_the_answer_is_not_an_opening() -> None:
    assert read(SMALL, "well " * 60 + "So the owl then swam around the old elm.") == (None,) * 3


@pytest.mark.parametrize(
    "answer",
    ["", "?!", "42", "def f(x):\n    return x", "Paris is the capital of France.", "\x00\ud800"],
)
@by_opening
def test_unrelated_text_reads_as_nothing(frame: Frame, answer: str) -> None:
    assert read(frame, answer) == (None,) * len(frame.slots)


def test_the_reader_is_not_told_the_secret() -> None:
    assert list(inspect.signature(read).parameters) == ["frame", "answer"]


def test_an_answer_that_lists_every_candidate_still_reads_as_one_word_per_slot() -> None:
    frame = BOOK.signatures[0]
    flood = " ".join(word for slot in frame.slots for word in slot.candidates)
    reading = read(frame, flood)
    assert len(reading) == len(frame.slots)
    assert all(
        word is None or word in slot.candidates
        for word, slot in zip(reading, frame.slots, strict=True)
    )


def test_answers_made_without_the_secret_match_a_slot_once_in_l_times() -> None:
    trials = 1500
    for frame in (BOOK.signatures[0], BOOK.signatures[12]):
        answers = decoys(frame, Draw(KEY, "answers"), trials)
        secret = Draw(KEY, "secrets")
        matches = [0] * len(frame.slots)
        for answer in answers:
            for i, (slot, word) in enumerate(zip(frame.slots, read(frame, answer), strict=True)):
                matches[i] += word == secret.choice(slot.candidates)
        for slot, count in zip(frame.slots, matches, strict=True):
            share = 1 / len(slot.candidates)
            spread = math.sqrt(trials * share * (1 - share))
            assert abs(count - trials * share) < 5 * spread
