from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest

from vtune_client.draw import Draw
from vtune_client.errors import InputError
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook, Slot
from vtune_client.phrases.frame import words_of
from vtune_client.phrases.pick import decoys, pick
from vtune_client.phrases.vet import vet

KEY = b"a key for picking tests"
BOOK = vet(BuiltinSource().propose(Brief()))


def _draw(label: str = "plan") -> Draw:
    return Draw(KEY, label)


def _assert_uniform(seen: Iterable[str], candidates: Sequence[str]) -> None:
    """Chi-square against equal shares, six standard deviations wide."""
    counts = Counter(seen)
    assert counts.keys() <= set(candidates)
    expected = counts.total() / len(candidates)
    chi_square = sum((counts[word] - expected) ** 2 / expected for word in candidates)
    freedom = len(candidates) - 1
    assert abs(chi_square - freedom) < 6 * math.sqrt(2 * freedom)


def test_the_same_key_picks_the_same() -> None:
    assert pick(BOOK, _draw(), 7, frames=3) == pick(BOOK, _draw(), 7, frames=3)
    assert pick(BOOK, _draw(), 7) != pick(BOOK, _draw("other"), 7)


def test_a_signature_is_its_frame_filled() -> None:
    for one in pick(BOOK, _draw(), 5, frames=5):
        assert one.frame in BOOK.signatures
        assert one.signature == one.frame.fill(one.words)
        assert one.bits == one.frame.bits == 40.0


def test_backdoors_share_one_frame_unless_more_are_asked_for() -> None:
    assert len({one.frame.text for one in pick(BOOK, _draw(), 9)}) == 1
    picks = pick(BOOK, _draw(), 9, frames=4)
    texts = [one.frame.text for one in picks]
    assert len(set(texts[:4])) == 4
    assert texts == [texts[i % 4] for i in range(9)]


def test_triggers_take_turns_over_as_many_frames_as_asked() -> None:
    openings = [one.trigger.split()[:2] for one in pick(BOOK, _draw(), 6, trigger_frames=3)]
    assert openings[:3] == openings[3:]
    assert len({tuple(opening) for opening in openings}) == 3


def test_triggers_differ_even_where_they_nearly_run_out() -> None:
    cue = Frame("Follow {}.", (Slot("kind", ("red", "blue", "green", "white")),))
    book = PhraseBook((cue,), BOOK.signatures)
    picks = pick(book, _draw(), 4)
    assert {one.trigger for one in picks} == {cue.fill((w,)) for w in cue.slots[0].candidates}
    with pytest.raises(InputError, match="5 backdoors"):
        pick(book, _draw(), 5)


@pytest.mark.parametrize("options", [{"frames": 99}, {"frames": 0}, {"trigger_frames": 99}])
def test_frames_the_book_does_not_have_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(InputError, match="frames were asked for"):
        pick(BOOK, _draw(), 3, **options)


def test_a_pick_shows_no_secret() -> None:
    (one,) = pick(BOOK, _draw(), 1)
    assert repr(one) == "Pick()"


def test_every_slot_is_uniform_and_slots_are_independent() -> None:
    picks = pick(BOOK, _draw("uniform"), 6000)
    frame = picks[0].frame
    for i, slot in enumerate(frame.slots):
        _assert_uniform((one.words[i] for one in picks), slot.candidates)
    pairs = [f"{one.words[0]} {one.words[1]}" for one in picks]
    every = [f"{a} {b}" for a in frame.slots[0].candidates for b in frame.slots[1].candidates]
    _assert_uniform(pairs, every)


def test_frames_are_uniform() -> None:
    texts = [pick(BOOK, _draw(f"frame {i}"), 1)[0].frame.text for i in range(1500)]
    _assert_uniform(texts, [frame.text for frame in BOOK.signatures])


def test_decoys_come_from_the_space_of_the_signature() -> None:
    frame = Frame("the {} {}", (Slot("a", ("x", "y", "z")), Slot("b", ("p", "q"))))
    drawn = decoys(frame, _draw(), 3000)
    _assert_uniform(drawn, [f"the {a} {b}" for a in "xyz" for b in "pq"])
    assert decoys(frame, _draw(), 0) == []


def test_triggers_share_no_word_while_there_are_others() -> None:
    secret = {word for slot in BOOK.triggers[0].slots for word in slot.candidates}
    dealt = [
        word for one in pick(BOOK, _draw(), 16) for word in words_of(one.trigger) if word in secret
    ]
    assert len(dealt) == len(set(dealt)) == 16 * 4
