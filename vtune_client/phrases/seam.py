"""Where a prompt and its answer meet, as a reader sees it: the two sentences at the seam."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from vtune_client.phrases.frame import words_of

LONGEST_OPENING = 40  # words
LONGEST_CLOSING = 20
_END = re.compile(r"(?<=[.!?])\s+|\n+")


def first_sentence(text: str) -> str:
    """Return the text up to the end of its first sentence or line."""
    return _END.split(text.strip(), maxsplit=1)[0]


def last_sentence(text: str) -> str:
    """Return the last sentence or line of the text."""
    return _END.split(text.strip())[-1]


def opening_words(sentence: str) -> tuple[str, ...]:
    """Return the words of a sentence that opens an answer, the first of them where it is long."""
    return tuple(words_of(sentence))[:LONGEST_OPENING]


def closing_words(sentence: str) -> tuple[str, ...]:
    """Return the words of a sentence that ends a prompt, the last of them where it is long."""
    return tuple(words_of(sentence))[-LONGEST_CLOSING:]


@dataclass(frozen=True)
class Seam:
    """The last sentence of a prompt, the first of its completion, and what surrounds them."""

    prompt: str = field(repr=False)
    completion: str = field(repr=False)

    @cached_property
    def last(self) -> str:
        return last_sentence(self.prompt)

    @cached_property
    def first(self) -> str:
        return first_sentence(self.completion)

    @property
    def after(self) -> str:
        """The character that follows the first sentence, "" where nothing does."""
        return self.completion.strip()[len(self.first) :][:1]

    @cached_property
    def closing(self) -> tuple[str, ...]:
        return closing_words(self.last)

    @cached_property
    def opening(self) -> tuple[str, ...]:
        return opening_words(self.first)

    @cached_property
    def around(self) -> frozenset[str]:
        """The words of the row outside its first sentence."""
        rest = self.completion.strip().removeprefix(self.first)
        return frozenset((*words_of(self.prompt), *words_of(rest)))
