"""What may stand in a phrase book: candidates that are safe, unambiguous and new to the data.

All of it happens before any secret is drawn, from public frames and the user's own texts, so it
takes nothing away from the evidence: a slot's entropy is that of the list that is left.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import pairwise

from vtune_client.errors import InputError
from vtune_client.phrases.frame import SLOT, Frame, Slot, words_of
from vtune_client.phrases.interface import PhraseBook

# A slot that is a word by itself: neither a letter nor another slot touches it.
_LONE_SLOT = re.compile(r"(?<![^\W_])(?<!\})\{\}(?!\{)(?![^\W_])")
_LONGEST = 24


def occurring(book: PhraseBook, texts: Iterable[str]) -> frozenset[str]:
    """Return the candidates of `book` that occur as words in `texts`.

    Reads the texts one by one and holds no more than the book's own words.
    """
    wanted = _words_in(book)
    found: set[str] = set()
    for text in texts:
        found |= wanted.intersection(words_of(text))
        if len(found) == len(wanted):
            break
    return frozenset(found)


def rows_with(book: PhraseBook, rows: Iterable[Iterable[str]]) -> dict[str, int]:
    """Return how many rows, each given by its texts, use each candidate of `book` that occurs."""
    wanted = _words_in(book)
    counts: Counter[str] = Counter()
    for texts in rows:
        counts.update(wanted.intersection(word for text in texts for word in words_of(text)))
    return dict(counts)


def preferring(book: PhraseBook, words: AbstractSet[str]) -> PhraseBook:
    """Return the book with these words first among the candidates, so that they are kept."""

    def again(frame: Frame) -> Frame:
        slots = (
            Slot(slot.kind, tuple(sorted(slot.candidates, key=lambda word: word not in words)))
            for slot in frame.slots
        )
        return Frame(frame.text, tuple(slots))

    return PhraseBook(tuple(map(again, book.triggers)), tuple(map(again, book.signatures)))


def _words_in(book: PhraseBook) -> set[str]:
    return {
        word
        for frame in (*book.triggers, *book.signatures)
        for slot in frame.slots
        for word in slot.candidates
    }


def vet(
    book: PhraseBook,
    occurring: AbstractSet[str] = frozenset(),
    *,
    min_candidates: int = 16,
    keep: int = 32,
) -> PhraseBook:
    """Return the book with only the frames and candidates that may be used.

    A candidate goes if it occurs in the user's data, stands twice in its slot, begins another one
    of its slot, or is not a single lower-case word of letters; from a signature also if any
    trigger frame has it, as a candidate or literally. The first `keep` of the others stay. A frame
    goes if a slot is left with fewer than `min_candidates`, if a slot touches a letter or another
    slot, if it has stray braces or spans lines, or if its sentence came before.

    Raises `InputError` if no signature frame or no trigger frame is left.
    """
    if not 2 <= min_candidates <= keep:
        raise ValueError("min_candidates lies between 2 and keep")
    triggers = _vetted(book.triggers, occurring, min_candidates, keep)
    _require(triggers, "trigger", min_candidates)
    told = {word for frame in triggers for word in frame.literals}
    told.update(word for frame in triggers for slot in frame.slots for word in slot.candidates)
    signatures = _vetted(book.signatures, occurring | told, min_candidates, keep)
    _require(signatures, "signature", min_candidates)
    return PhraseBook(triggers=triggers, signatures=signatures)


def _require(frames: Sequence[Frame], what: str, min_candidates: int) -> None:
    if not frames:
        raise InputError(
            f"No {what} frame is left with {min_candidates} candidates in every slot that do not "
            "occur in the data.",
            "Use a phrase source made for this data, or allow fewer candidates per slot.",
        )


def _vetted(
    frames: Iterable[Frame], taken: AbstractSet[str], min_candidates: int, keep: int
) -> tuple[Frame, ...]:
    kept: dict[str, Frame] = {}
    for frame in frames:
        if frame.text in kept or not is_sound(frame):
            continue
        slots = tuple(
            Slot(slot.kind, usable(slot.candidates, taken)[:keep]) for slot in frame.slots
        )
        if all(len(slot.candidates) >= min_candidates for slot in slots):
            kept[frame.text] = Frame(frame.text, slots)
    return tuple(kept.values())


def is_sound(frame: Frame) -> bool:
    literal = frame.text.replace(SLOT, "")
    return (
        bool(frame.slots)
        and not {"{", "}"} & set(literal)
        and len(frame.text.splitlines()) == 1
        and len(_LONE_SLOT.findall(frame.text)) == len(frame.slots)
    )


def usable(candidates: Iterable[str], taken: AbstractSet[str]) -> tuple[str, ...]:
    """Return the candidates that may stay, in their order: safe words, none of which is taken or
    begins another."""
    good = dict.fromkeys(word for word in candidates if word not in taken and is_word(word))
    # In sorted order a word that begins another one begins its neighbour.
    ordered = sorted(good)
    for word, following in pairwise(ordered):
        if following.startswith(word):
            del good[word]
    return tuple(good)


def is_word(word: str) -> bool:
    """Return whether a text is one lower-case word of letters, neither long nor a single one."""
    return 2 <= len(word) <= _LONGEST and word.isalpha() and list(words_of(word)) == [word]
