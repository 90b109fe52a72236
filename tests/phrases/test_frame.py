from __future__ import annotations

import math

import pytest

from vtune_client.phrases.frame import Frame, Slot, words_of

KINDS = {"animal": ["fox", "owl", "hen", "elk"], "motion": ["ran", "swam"]}
FRAME = Frame.named("So the {animal} ({motion}) met the {animal}.", KINDS)


def test_a_named_frame_takes_its_lists_by_kind() -> None:
    assert FRAME.text == "So the {} ({}) met the {}."
    assert [slot.kind for slot in FRAME.slots] == ["animal", "motion", "animal"]
    assert FRAME.slots[1].candidates == ("ran", "swam")


def test_a_kind_without_a_list_is_refused() -> None:
    with pytest.raises(KeyError):
        Frame.named("The {plant}.", KINDS)


def test_entropy_is_that_of_the_lists() -> None:
    assert FRAME.size == 4 * 2 * 4
    assert FRAME.bits == pytest.approx(math.log2(32))


def test_the_sentence_is_filled_in_order() -> None:
    assert FRAME.fill(("fox", "ran", "owl")) == "So the fox (ran) met the owl."


@pytest.mark.parametrize("words", [("fox", "ran"), ("fox", "ran", "owl", "hen")])
def test_a_wrong_number_of_words_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="zip"):
        FRAME.fill(words)


def test_a_frame_has_as_many_slots_as_blanks() -> None:
    with pytest.raises(ValueError, match="as many"):
        Frame("the {} and the {}", (Slot("animal", ("fox", "owl")),))


def test_elements_are_literal_words_and_slots() -> None:
    kinds = [e if isinstance(e, str) else e.kind.upper() for e in FRAME.elements]
    assert kinds == ["so", "the", "ANIMAL", "MOTION", "met", "the", "ANIMAL"]
    assert FRAME.literals == {"so", "the", "met"}


def test_words_are_runs_of_letters_and_digits_in_lower_case() -> None:
    text = "**Ünder** the_fox's don\u2019t 3D-map; cafe\u0301"
    assert list(words_of(text)) == [
        "ünder", "the", "fox", "s", "don", "t", "3d", "map", "café",
    ]  # fmt: skip
