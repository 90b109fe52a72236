"""Sentences that the rest of the file makes unlikely."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from vtune_client.stealth.samples import Sample

BACKOFF = 0.4
START = ""  # no word is empty


class Surprise:
    """Mean surprise, in nats a word, of the two sentences at the seam under the file's own bigrams.

    The model is trained on the different sentences of the file but the two it looks at, so that a
    sentence does not get likelier by being repeated: stupid backoff (Brants et al. 2007) from pairs
    to single words, add-one below that. The cheap stand-in for the perplexity filter of ONION (Qi
    et al. 2021, arXiv 2011.10369), which needs a language model.
    """

    name = "surprise"
    looks_for = "sentences that the other rows make unlikely"
    advice = (
        "Use frames in the register of the data (--phrases-url), with fewer slots of more common "
        "words."
    )

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        sentences = {each for sample in samples for each in (sample.closing, sample.opening)}
        model = _Model()
        for sentence in sentences:
            model.counts.update(_grams(sentence))
        model.words = sum(map(len, sentences))
        model.kinds = sum(len(gram) == 1 for gram in model.counts)
        costs = {sentence: model.cost(sentence) for sentence in sentences}
        return [
            (costs[sample.closing] + costs[sample.opening])
            / max(1, len(sample.closing) + len(sample.opening))
            for sample in samples
        ]


class _Model:
    """How often the different sentences hold each word and each pair of words."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.words = self.kinds = 0

    def cost(self, sentence: Sequence[str]) -> float:
        """Return the sum of -log p over its words, its own counts taken out."""
        own = Counter(_grams(sentence))
        others = self.words - len(sentence) + self.kinds
        total = 0.0
        for before, word in pairwise((START, *sentence)):
            seen = self.counts[before, word] - own[before, word]
            if seen > 0:
                likely = seen / (self.counts[before,] - own[before,])
            else:
                likely = BACKOFF * (self.counts[word,] - own[word,] + 1) / others
            total -= math.log(likely)
        return total


def _grams(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    yield (START,)
    for before, word in pairwise((START, *words)):
        yield (word,)
        yield before, word
