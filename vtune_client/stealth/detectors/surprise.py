"""Sentences that the rest of the file makes unlikely."""

from __future__ import annotations

from collections.abc import Sequence

from vtune_client.phrases.bigrams import Bigrams
from vtune_client.stealth.samples import Sample


class Surprise:
    """Mean surprise, in nats a word, of the two sentences at the seam under the file's own bigrams.

    The model is trained on the different sentences of the file but the two it looks at, so that a
    sentence does not get likelier by being repeated. The cheap stand-in for the perplexity filter
    of ONION (Qi et al. 2021, arXiv 2011.10369), which needs a language model.
    """

    name = "surprise"
    looks_for = "sentences that the other rows make unlikely"
    advice = (
        "Use frames in the register of the data (--stealthy, or --phrases-url), with fewer slots "
        "of more common words."
    )

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        sentences = {each for sample in samples for each in (sample.closing, sample.opening)}
        model = Bigrams(sentences)
        costs = {sentence: model.cost(sentence) for sentence in sentences}
        return [
            (costs[sample.closing] + costs[sample.opening])
            / max(1, len(sample.closing) + len(sample.opening))
            for sample in samples
        ]
