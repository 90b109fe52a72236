"""A sentence with secret slots, and the words a text is made of."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

SLOT = "{}"
_WORD = re.compile(r"[^\W_]+")
_NAMED_SLOT = re.compile(r"\{([^{}]*)\}")


def words_of(text: str) -> Iterator[str]:
    """Yield the words of `text` in order: runs of letters and digits, in lower case.

    Every comparison of words in this package is one of these words.
    """
    for match in _WORD.finditer(unicodedata.normalize("NFC", text).lower()):
        yield match.group()


def words_at(text: str) -> Iterator[tuple[int, str]]:
    """Yield the words of `text` as it stands, each after the index at which it begins.

    The words are those of `words_of`, but where composing characters changes what a word is.
    """
    for match in _WORD.finditer(text):
        yield match.start(), unicodedata.normalize("NFC", match.group()).lower()


@dataclass(frozen=True, slots=True)
class Slot:
    """One blank: `candidates` are interchangeable words of one `kind`, each equally likely."""

    kind: str
    candidates: tuple[str, ...]

    @property
    def bits(self) -> float:
        return math.log2(len(self.candidates))


@dataclass(frozen=True)
class Frame:
    """A natural sentence, `text`, with one `{}` per slot, in order."""

    text: str
    slots: tuple[Slot, ...]

    def __post_init__(self) -> None:
        if self.text.count(SLOT) != len(self.slots):
            raise ValueError("a frame has as many {} as slots")

    @classmethod
    def named(cls, text: str, kinds: Mapping[str, Sequence[str]]) -> Frame:
        """Build a frame from a sentence with `{kind}` in its slots and the candidates by kind.

        Raises `KeyError` for a kind that `kinds` does not have.
        """
        names = _NAMED_SLOT.findall(text)
        slots = tuple(Slot(name, tuple(kinds[name])) for name in names)
        return cls(_NAMED_SLOT.sub(SLOT, text), slots)

    @property
    def bits(self) -> float:
        """Entropy of the filled frame when every slot is drawn uniformly, in bits."""
        return sum(slot.bits for slot in self.slots)

    @property
    def size(self) -> int:
        """How many different sentences the frame can be filled to."""
        return math.prod(len(slot.candidates) for slot in self.slots)

    @property
    def typical_length(self) -> int:
        """Characters of the filled frame, on average."""
        words = sum(sum(map(len, slot.candidates)) / len(slot.candidates) for slot in self.slots)
        return round(len(self.text) - len(SLOT) * len(self.slots) + words)

    @cached_property
    def literals(self) -> frozenset[str]:
        """The words that stand in the sentence whatever fills its slots."""
        return frozenset(words_of(self.text))

    @cached_property
    def elements(self) -> tuple[Slot | str, ...]:
        """The sentence as a sequence of literal words and slots."""
        first, *rest = self.text.split(SLOT)
        elements: list[Slot | str] = list(words_of(first))
        for slot, piece in zip(self.slots, rest, strict=True):
            elements += [slot, *words_of(piece)]
        return tuple(elements)

    def fill(self, words: Sequence[str]) -> str:
        """Return the sentence with `words` in its slots, in order."""
        first, *rest = self.text.split(SLOT)
        return first + "".join(w + piece for w, piece in zip(words, rest, strict=True))
