from __future__ import annotations

from collections.abc import Iterator

import pytest

from vtune_client.errors import InputError
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook, Slot
from vtune_client.phrases.vet import occurring, vet


def _words(stem: str, count: int) -> tuple[str, ...]:
    return tuple(stem + chr(ord("a") + i // 26) + chr(ord("a") + i % 26) for i in range(count))


def _frame(text: str, *lists: tuple[str, ...]) -> Frame:
    return Frame(text, tuple(Slot("kind", words) for words in lists))


SIGNATURE = _frame("In short, the {} and the {} agree.", _words("sa", 40), _words("sb", 40))
TRIGGER = _frame("Follow the {} guide.", _words("ta", 40))
BOOK = PhraseBook(triggers=(TRIGGER,), signatures=(SIGNATURE,))


def _vetted_slot(candidates: tuple[str, ...], keep: int = 32) -> tuple[str, ...]:
    frame = _frame("In short, the {} agrees.", candidates)
    book = vet(PhraseBook((TRIGGER,), (frame,)), keep=keep)
    return book.signatures[0].slots[0].candidates


def test_the_first_candidates_stay() -> None:
    assert _vetted_slot(_words("sa", 40)) == _words("sa", 40)[:32]
    assert _vetted_slot(_words("sa", 40), keep=20) == _words("sa", 40)[:20]


def test_entropy_follows_from_what_is_left() -> None:
    assert vet(BOOK).signatures[0].bits == 10.0
    assert vet(BOOK, keep=16).signatures[0].bits == 8.0


def test_words_of_the_data_go_and_later_ones_take_their_place() -> None:
    gone = {SIGNATURE.slots[0].candidates[0], TRIGGER.slots[0].candidates[3]}
    book = vet(BOOK, gone)
    assert book.signatures[0].slots[0].candidates == SIGNATURE.slots[0].candidates[1:33]
    assert book.signatures[0].slots[1].candidates == SIGNATURE.slots[1].candidates[:32]
    assert gone.isdisjoint(book.triggers[0].slots[0].candidates)


@pytest.mark.parametrize(
    "bad", ["Upper", "two words", "hy-phen", "don't", "x", "r2d", "", "{}", "a" * 25, "e\u0301tat"]
)
def test_what_is_no_safe_word_goes(bad: str) -> None:
    assert _vetted_slot((bad, *_words("sa", 20))) == _words("sa", 20)


def test_a_second_copy_goes() -> None:
    assert _vetted_slot((*_words("sa", 20), *_words("sa", 5))) == _words("sa", 20)


def test_a_word_that_begins_another_goes() -> None:
    assert _vetted_slot(("pin", *_words("sa", 20), "pinecone", "pine")) == (
        *_words("sa", 20),
        "pinecone",
    )


def test_signatures_lose_what_a_trigger_has_in_a_slot_or_literally() -> None:
    told = (TRIGGER.slots[0].candidates[0], "guide", "follow")
    assert _vetted_slot((*told, *_words("sa", 20))) == _words("sa", 20)


@pytest.mark.parametrize(
    "text",
    [
        "The {}ly one.",
        "The re{} one.",
        "The {}{} pair.",
        "The {} brace} one.",
        "The {} one\non two lines.",
    ],
)
def test_an_unsound_frame_goes(text: str) -> None:
    bad = _frame(text, *[_words("sc", 20)] * text.count("{}"))
    assert vet(PhraseBook((TRIGGER,), (bad, SIGNATURE))).signatures == vet(BOOK).signatures


def test_a_frame_without_slots_and_a_second_copy_go() -> None:
    book = PhraseBook((TRIGGER, TRIGGER), (_frame("Plain."), SIGNATURE, SIGNATURE))
    assert vet(book) == vet(BOOK)


def test_a_frame_with_a_slot_too_short_goes() -> None:
    short = _frame("The {} by the {}.", _words("sc", 15), _words("sd", 40))
    book = PhraseBook((TRIGGER,), (short, SIGNATURE))
    assert vet(book).signatures == vet(BOOK).signatures
    assert len(vet(book, min_candidates=15).signatures) == 2


@pytest.mark.parametrize("what", ["trigger", "signature"])
def test_no_frame_left_is_an_error_with_advice(what: str) -> None:
    frame = TRIGGER if what == "trigger" else SIGNATURE
    gone = set(frame.slots[0].candidates[:30])
    with pytest.raises(InputError, match=f"No {what} frame") as caught:
        vet(BOOK, gone)
    assert caught.value.advice


@pytest.mark.parametrize(("least", "keep"), [(1, 32), (33, 32)])
def test_limits_that_make_no_sense_are_refused(least: int, keep: int) -> None:
    with pytest.raises(ValueError, match="min_candidates"):
        vet(BOOK, min_candidates=least, keep=keep)


def test_vetting_twice_changes_nothing() -> None:
    once = vet(BuiltinSource().propose(Brief()))
    assert vet(once) == once


def test_occurring_finds_whole_words_whatever_their_case() -> None:
    first, second, third = SIGNATURE.slots[0].candidates[:3]
    cue = TRIGGER.slots[0].candidates[7]
    texts = [f"The {first.upper()}'s way.", f"no{second} {third}s", f"({cue})"]
    assert occurring(BOOK, texts) == {first, cue}


def test_occurring_stops_reading_when_every_word_was_seen() -> None:
    every = " ".join(w for f in (TRIGGER, SIGNATURE) for s in f.slots for w in s.candidates)

    def texts() -> Iterator[str]:
        yield every
        raise AssertionError("read on")

    assert occurring(BOOK, texts()) == set(every.split())


def test_a_builtin_book_adapts_to_data_that_holds_many_of_its_words() -> None:
    book = BuiltinSource().propose(Brief())
    data = [" ".join(slot.candidates[:30]) for frame in book.signatures for slot in frame.slots]
    found = occurring(book, data)
    vetted = vet(book, found)
    assert len(vetted.signatures) == len(book.signatures)
    left = {word for f in vetted.signatures for slot in f.slots for word in slot.candidates}
    assert found
    assert not found & left
