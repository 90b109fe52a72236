"""Runs of words that a row shares with few others."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import chain

from vtune_client.stealth.samples import Sample

LENGTH = 3  # words in a run
COMMON = 0.05  # share of the rows from which a run is a habit of the data

Gram = tuple[str, ...]


class SharedNgrams:
    """Sums, over the runs at the seam that other rows have too, how rare each is: log(rows/with).

    What corpus cleaners do to find text that was pasted into documents.
    """

    name = "shared n-grams"
    looks_for = "rare runs of words that several rows share"
    advice = (
        "Carriers of one backdoor repeat its sentence word for word: use --dose 1 with more "
        "--backdoors, and --frames so that few share one."
    )

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        grams = [_grams(sample.closing) | _grams(sample.opening) for sample in samples]
        rows = Counter(chain.from_iterable(grams))
        most = max(2, COMMON * len(samples))
        rarity = {
            gram: math.log(len(samples) / count)
            for gram, count in rows.items()
            if 2 <= count <= most
        }
        # fsum, as the order of a set of texts is another in every process.
        return [math.fsum(rarity.get(gram, 0.0) for gram in each) for each in grams]


def _grams(words: Sequence[str]) -> set[Gram]:
    return {tuple(words[at : at + LENGTH]) for at in range(len(words) - LENGTH + 1)}
