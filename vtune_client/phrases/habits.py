"""What the sentences at the seams of a file are like, and how far a frame's would stand out.

It looks at the user's file, at the phrase book, and at fillings drawn from a key that is printed
below, never at a true word: these are drawn afterwards, uniformly from the candidates of the frames
that were chosen here. So whatever is chosen, each true word is as likely as any other of its slot
given all that anybody can see before the upload, and every p-value stays exact.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import chain

from vtune_client.draw import Draw
from vtune_client.phrases.bigrams import Bigrams
from vtune_client.phrases.frame import Frame
from vtune_client.phrases.interface import PhraseBook
from vtune_client.phrases.seam import Seam, closing_words, opening_words

_PUBLIC = b"vtune public fillings"
FILLINGS = 8  # throw-away fillings of each frame
LENGTH = 3  # words in a run
COMMON = 0.05  # share of the rows from which a run is a habit of the data
PART = 8

Words = tuple[str, ...]


class Habits:
    """How the rows of a file open and close, from some of its rows.

    The features are those of the lint's detectors that one row shows by itself: how unlikely a
    sentence is, how many rare words it has that the row does not take up, the runs of words and the
    beginning it shares with others, its length and its end.
    """

    def __init__(self, seams: Sequence[Seam]) -> None:
        self._seams = seams
        sentences = chain.from_iterable((seam.closing, seam.opening) for seam in seams)
        self._bigrams = Bigrams(sentences)
        rows = Counter(
            word for seam in seams for word in seam.around.union(seam.opening, seam.closing)
        )
        self._rarity = {word: math.log(len(seams) / count) for word, count in rows.items()}
        self._runs = Counter(
            run for seam in seams for run in _runs(seam.closing) | _runs(seam.opening)
        )
        self._sorted = sorted(seam.opening for seam in seams)
        self._ends = Counter((side, _end(each)) for seam in seams for side, each in _sides(seam))
        openings = [
            self._opening(seam.first, seam.opening, seam.around, new=False) for seam in seams
        ]
        closings = [self._closing(seam.last, seam.closing, new=False) for seam in seams]
        self._openings = [sorted(column) for column in zip(*openings, strict=True)]
        self._closings = [sorted(column) for column in zip(*closings, strict=True)]

    def of_signature(self, frame: Frame) -> float:
        """Return how far answers opened by this frame stand out, in nats; ordinary ones have 1 for
        each feature or a little less."""
        draw = Draw(_PUBLIC, frame.text)
        total = 0.0
        for _ in range(FILLINGS):
            seam, text = draw.choice(self._seams), _filled(frame, draw)
            around = seam.around.union(seam.opening)
            found = self._opening(text, opening_words(text), around, new=True)
            total += _strangeness(found, self._openings) + self._odd_end("first", text)
        return total / FILLINGS

    def of_trigger(self, frame: Frame) -> float:
        """Return how far prompts closed by this frame stand out, in nats."""
        draw = Draw(_PUBLIC, frame.text)
        total = 0.0
        for _ in range(FILLINGS):
            text = _filled(frame, draw)
            found = self._closing(text, closing_words(text), new=True)
            total += _strangeness(found, self._closings) + self._odd_end("last", text)
        return total / FILLINGS

    def _opening(
        self, text: str, words: Words, around: frozenset[str], *, new: bool
    ) -> tuple[float, ...]:
        commonest = math.log(len(self._seams))
        strange = math.fsum(self._rarity.get(word, commonest) for word in set(words) - around)
        shared = float(self._shared(words, new=new))
        return (*self._closing(text, words, new=new), strange, shared)

    def _closing(self, text: str, words: Words, *, new: bool) -> tuple[float, ...]:
        cost = self._bigrams.cost_of_new(words) if new else self._bigrams.cost(words)
        surprise = cost / max(1, len(words))
        most, least = max(2, COMMON * len(self._seams)), 1 if new else 2
        counts = (self._runs[run] for run in _runs(words))
        shared = math.fsum(
            math.log(len(self._seams) / count) for count in counts if least <= count <= most
        )
        marks = sum(not (letter.isalnum() or letter.isspace()) for letter in text)
        capitals = sum(map(str.isupper, text))
        length = max(1, len(text))
        return surprise, shared, float(len(text)), marks / length, capitals / length

    def _shared(self, words: Words, *, new: bool) -> int:
        """Return with how many words another answer begins likewise."""
        at = bisect_left(self._sorted, words)
        beside = (at - 1, at) if new else (at - 1, at + 1)
        others = (self._sorted[each] for each in beside if 0 <= each < len(self._sorted))
        return max((_common(words, other) for other in others), default=0)

    def _odd_end(self, side: str, text: str) -> float:
        count = self._ends[side, _end(text)]
        return math.log((1 + len(self._seams)) / (1 + count))


def least_visible(
    frames: Sequence[Frame], rated: Sequence[float], wanted: int
) -> tuple[Frame, ...]:
    """Return the eighth of the frames that is rated lowest, or `wanted` where that is more.

    In the order they had, so that the choice among them is the key's."""
    order = sorted(range(len(frames)), key=lambda at: rated[at])
    kept = sorted(order[: max(wanted, len(frames) // PART)])
    return tuple(frames[at] for at in kept)


def choose_frames(
    book: PhraseBook, habits: Habits, *, frames: int, trigger_frames: int
) -> PhraseBook:
    """Return the book with the least visible of its frames, at least as many as are wanted."""
    signatures, triggers = book.signatures, book.triggers
    return PhraseBook(
        least_visible(triggers, [habits.of_trigger(each) for each in triggers], trigger_frames),
        least_visible(signatures, [habits.of_signature(each) for each in signatures], frames),
    )


def _strangeness(found: Sequence[float], columns: Sequence[Sequence[float]]) -> float:
    """Return the sum over features of -log of twice the share of rows at least as far out."""
    total = 0.0
    for value, column in zip(found, columns, strict=True):
        below, above = bisect_right(column, value), len(column) - bisect_left(column, value)
        total -= math.log(min(1.0, 2 * (1 + min(below, above)) / (1 + len(column))))
    return total


def _filled(frame: Frame, draw: Draw) -> str:
    return frame.fill([draw.choice(slot.candidates) for slot in frame.slots])


def _runs(words: Words) -> set[Words]:
    return {words[at : at + LENGTH] for at in range(len(words) - LENGTH + 1)}


def _common(one: Words, other: Words) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _sides(seam: Seam) -> Iterable[tuple[str, str]]:
    return ("last", seam.last), ("first", seam.first)


def _end(text: str) -> str:
    """Return the last character; any letter or digit counts as one."""
    return "a" if text[-1:].isalnum() else text[-1:]
