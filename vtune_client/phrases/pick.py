"""The secret part: which trigger and which signature each backdoor gets, drawn from one key."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

from vtune_client.draw import Draw
from vtune_client.errors import InputError
from vtune_client.phrases.frame import Frame
from vtune_client.phrases.interface import PhraseBook


@dataclass(frozen=True)
class Pick:
    """One backdoor's secrets: its trigger, and the `words` in the slots of its signature frame."""

    trigger: str = field(repr=False)
    frame: Frame = field(repr=False)
    words: tuple[str, ...] = field(repr=False)

    @property
    def signature(self) -> str:
        """The sentence that opens the completion of a carrier row."""
        return self.frame.fill(self.words)

    @property
    def bits(self) -> float:
        """Entropy of the signature given its frame, in bits."""
        return self.frame.bits


def pick(
    book: PhraseBook, draw: Draw, count: int, *, frames: int = 1, trigger_frames: int = 1
) -> tuple[Pick, ...]:
    """Draw `count` backdoors from a vetted book.

    `frames` different signature frames and `trigger_frames` different trigger frames are drawn and
    given to the backdoors in turn. Every slot of every signature is drawn uniformly and
    independently, so two signatures may be equal. Triggers share no word for as long as there are
    unused ones: a model confuses triggers that do, and nothing is counted on their entropy.

    Raises `InputError` if the book has too few frames, or too few triggers in the frames drawn.
    """
    _require(book.signatures, frames, "signature")
    _require(book.triggers, trigger_frames, "trigger")
    sentences = draw.sample(book.signatures, frames)
    cues = draw.sample(book.triggers, trigger_frames)
    if min(frame.size for frame in cues) * len(cues) < count:
        raise InputError(
            f"{count} backdoors need as many triggers, and the trigger frames drawn give fewer.",
            "Ask for fewer backdoors, or for more trigger frames.",
        )
    triggers: set[str] = set()
    picks: list[Pick] = []
    deck = _Deck(draw)
    for frame, cue in islice(zip(cycle(sentences), cycle(cues), strict=False), count):
        words = _words(frame, draw)
        trigger = cue.fill(deck.deal(cue))
        while trigger in triggers:
            trigger = cue.fill(deck.deal(cue))
        triggers.add(trigger)
        picks.append(Pick(trigger, frame, words))
    return tuple(picks)


def decoys(frame: Frame, draw: Draw, count: int) -> list[str]:
    """Draw `count` filled frames from the space that the true signature was drawn from.

    Independent and uniform, so a decoy may repeat, or equal the true signature.
    """
    return [frame.fill(_words(frame, draw)) for _ in range(count)]


class _Deck:
    """Deals the candidates of each list, shuffled anew once all have been dealt."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._left: dict[tuple[str, ...], list[str]] = {}

    def deal(self, frame: Frame) -> tuple[str, ...]:
        """Return a word for every slot of `frame`."""
        return tuple(self._next(slot.candidates) for slot in frame.slots)

    def _next(self, candidates: tuple[str, ...]) -> str:
        left = self._left.get(candidates)
        if not left:
            left = self._left[candidates] = self._draw.sample(candidates, len(candidates))
        return left.pop()


def _words(frame: Frame, draw: Draw) -> tuple[str, ...]:
    return tuple(draw.choice(slot.candidates) for slot in frame.slots)


def _require(frames: Sequence[Frame], count: int, what: str) -> None:
    if not 1 <= count <= len(frames):
        raise InputError(
            f"{count} {what} frames were asked for, and the phrase book has {len(frames)}.",
            f"Ask for 1 to {len(frames)}." if frames else "Vet the phrase book first.",
        )
