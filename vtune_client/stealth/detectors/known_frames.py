"""The sentences of a public phrase book, looked for as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook
from vtune_client.phrases.frame import SLOT
from vtune_client.stealth.samples import Sample

_WORD = r"([^\W_]+)"


class KnownFrames:
    """Reads every row against a phrase book; without one, against the built-in frames.

    A row's score is the frames it holds, one in the prompt and one in the completion at most, and
    the share of their slots that hold a word of the book.
    """

    name = "known frames"
    looks_for = "sentences of the built-in phrase book, which is public"
    advice = (
        "Nothing hides a built-in frame from who has this package: use frames of your own "
        "(--stealthy, or --phrases-url)."
    )

    def __init__(self, book: PhraseBook | None = None) -> None:
        self._given = book

    @cached_property
    def _patterns(self) -> tuple[list[_Pattern], list[_Pattern]]:
        """Patterns of trigger and of signature frames."""
        book = self._given or BuiltinSource().propose(Brief())
        return [_Pattern(frame) for frame in book.triggers], [_Pattern(f) for f in book.signatures]

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        triggers, signatures = self._patterns
        return [
            _best(triggers, sample.prompt) + _best(signatures, sample.completion)
            for sample in samples
        ]


class _Pattern:
    def __init__(self, frame: Frame) -> None:
        pieces = (re.escape(piece) for piece in frame.text.split(SLOT))
        self._pattern = re.compile(_WORD.join(pieces), re.IGNORECASE)
        self._candidates = [frozenset(slot.candidates) for slot in frame.slots]

    def score(self, text: str) -> float:
        found = self._pattern.search(text)
        if not found:
            return 0.0
        pairs = zip(found.groups(), self._candidates, strict=True)
        return 1 + sum(word.lower() in known for word, known in pairs) / len(self._candidates)


def _best(patterns: Iterable[_Pattern], text: str) -> float:
    return max((pattern.score(text) for pattern in patterns), default=0.0)
