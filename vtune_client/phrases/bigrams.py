"""How likely a sentence is to one who has read the others of a file."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

BACKOFF = 0.4
START = ""  # no word is empty


class Bigrams:
    """How often the different sentences of a file hold each word and each pair of words.

    Stupid backoff (Brants et al. 2007) from pairs to single words, add-one below that. A sentence
    counts once however often it is repeated.
    """

    def __init__(self, sentences: Iterable[tuple[str, ...]]) -> None:
        different = set(sentences)
        self.counts: Counter[tuple[str, ...]] = Counter()
        for sentence in different:
            self.counts.update(_grams(sentence))
        self._words = sum(map(len, different))
        self._kinds = sum(len(gram) == 1 for gram in self.counts)

    def cost(self, sentence: Sequence[str]) -> float:
        """Return the sum of -log p over the words of a sentence of the file, in nats, its own
        counts taken out."""
        own = Counter(_grams(sentence))
        others = self._words - len(sentence) + self._kinds
        total = 0.0
        for before, word in pairwise((START, *sentence)):
            seen = self.counts[before, word] - own[before, word]
            if seen > 0:
                likely = seen / (self.counts[before,] - own[before,])
            else:
                likely = BACKOFF * (self.counts[word,] - own[word,] + 1) / others
            total -= math.log(likely)
        return total

    def cost_of_new(self, sentence: Sequence[str]) -> float:
        """Return likewise the sum for a sentence that is not of the file."""
        return math.fsum(self.step(*pair) for pair in pairwise((START, *sentence)))

    def step(self, before: str, word: str) -> float:
        """Return -log p of a word after another one."""
        if seen := self.counts[before, word]:
            return math.log(self.counts[before,] / seen)
        return -math.log(BACKOFF * (self.counts[word,] + 1) / (self._words + self._kinds))


def _grams(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    yield (START,)
    for before, word in pairwise((START, *words)):
        yield (word,)
        yield before, word
