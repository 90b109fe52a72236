"""First sentences that have nothing to do with their row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from vtune_client.stealth.samples import Sample


class Topic:
    """Sums how rare the words are that stand in the first sentence and nowhere else in the row.

    What the reference filtration of RFTC (arXiv 2505.23015) looks for, without its model: a
    sentence of the answer that a right answer to this prompt would not share.
    """

    name = "off topic"
    looks_for = "first sentences with many rare words that the rest of the row does not use"
    advice = (
        "Use frames and words of the data (--stealthy), or frames in its register (--phrases-url); "
        "built-in words are new to the data by design."
    )

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        rows = Counter(
            word for sample in samples for word in sample.rest.union(sample.opening, sample.closing)
        )
        rarity = {word: math.log(len(samples) / count) for word, count in rows.items()}
        return [_unrelated(sample, rarity) for sample in samples]


def _unrelated(sample: Sample, rarity: Mapping[str, float]) -> float:
    strange = set(sample.opening) - sample.rest - set(sample.closing)
    return math.fsum(rarity[word] for word in strange)
