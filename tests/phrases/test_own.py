"""Frames made of a file's own sentences."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.datasets import DATASETS
from tests.phrases.test_habits import seams
from vtune_client.draw import Draw
from vtune_client.phrases.frame import words_of
from vtune_client.phrases.own import SIGNATURE_SLOTS, TRIGGER_SLOTS, own_book, spliced
from vtune_client.phrases.seam import Seam
from vtune_client.phrases.vet import is_sound
from vtune_client.stealth import samples_of

SEAMS = seams(300)
DRAW = Draw(b"tests of own phrases", "halves")
BOOK = own_book(SEAMS, " ", DRAW, keep=32, min_candidates=16)


def test_frames_and_candidates_are_of_the_file() -> None:
    words = {word for seam in SEAMS for word in (*seam.opening, *seam.closing)}
    assert len(BOOK.signatures) > 40
    assert len(BOOK.triggers) == 1  # all prompts are made to one pattern
    for frame in (*BOOK.signatures, *BOOK.triggers):
        assert is_sound(frame)
        assert frame.literals <= words
        for slot in frame.slots:
            assert words.issuperset(slot.candidates)
            assert 16 <= len(slot.candidates) == len(set(slot.candidates)) <= 32
    for frames, (least, most) in (
        (BOOK.signatures, SIGNATURE_SLOTS),
        (BOOK.triggers, TRIGGER_SLOTS),
    ):
        assert all(least <= len(frame.slots) <= most for frame in frames)


@pytest.fixture
def reference(tmp_path: Path) -> list[Seam]:
    """Prose of many builds, with content words side by side."""
    DATASETS["question answering"](tmp_path / "rows.jsonl", 200)
    return [Seam(each.prompt, each.completion) for each in samples_of(tmp_path / "rows.jsonl")]


def test_slots_are_apart_from_one_another(reference: list[Seam]) -> None:
    book = own_book(reference, " ", DRAW, keep=32, min_candidates=16)
    for frame in (*book.signatures, *book.triggers):
        kinds = [isinstance(element, str) for element in frame.elements]
        assert all(one or other for one, other in pairwise(kinds))


def test_hardly_a_signature_is_a_sentence_of_the_file_with_words_taken_out(
    reference: list[Seam],
) -> None:
    """A frame made of one sentence would be found beside it."""
    book = own_book(reference, " ", DRAW, keep=32, min_candidates=16)
    assert len(book.signatures) >= 50
    bare = [list(words_of(seam.first)) for seam in reference]
    near = 0
    for frame in book.signatures:
        literal = [each if isinstance(each, str) else None for each in frame.elements]
        near += any(
            len(one) == len(literal)
            and all(word in (None, other) for word, other in zip(literal, one, strict=True))
            for one in bare
        )
    assert near < len(book.signatures) / 20  # of halves that are nearly alike


def test_spliced_sentences_go_on_as_another_from_a_word_both_have() -> None:
    sentences = [
        "One red fox under the old oak tree sleeps.",
        "Two green frogs near the pond sing.",
    ]
    assert sorted(spliced(sentences, DRAW)) == [
        "One red fox under the pond sing.",
        "Two green frogs near the old oak tree sleeps.",
    ]
    broken = ["One (red fox under the old) oak.", "Two green frogs near the pond sing."]
    assert spliced(broken, DRAW) == []


def test_sentences_made_to_a_pattern_stay_whole() -> None:
    """All prompts ask alike; one that was spliced from two would be the only ones of its build."""
    names = [
        f"{one}{two}" for one in ("ba", "do", "ki", "lu") for two in ("men", "rat", "sol", "tip")
    ]
    asked = [
        Seam(f"Tell me of the {one} and the {two} thing, please.", "It is.")
        for one in names
        for two in names
    ]
    (frame,) = own_book(asked, "\n", DRAW, keep=32, min_candidates=10).triggers
    assert frame.text == "Tell me of the {} and the {} thing, please."


def test_a_signature_that_no_line_break_follows_ends_like_a_sentence() -> None:
    bare = [Seam(seam.prompt, seam.first.rstrip(".")) for seam in SEAMS]
    assert own_book(bare, " ", DRAW, keep=32, min_candidates=16).signatures == ()
    assert own_book(bare, "\n", DRAW, keep=32, min_candidates=16).signatures


@pytest.mark.parametrize(
    "seam", [Seam("", ""), Seam("{}", "{ } { } { } { } { }"), Seam("1 2", "3")]
)
def test_what_has_no_sentences_has_no_frames(seam: Seam) -> None:
    book = own_book([seam] * 30, " ", DRAW, keep=32, min_candidates=16)
    assert (book.triggers, book.signatures) == ((), ())
    assert own_book([], " ", DRAW, keep=32, min_candidates=16).signatures == ()
