"""Responses that lie close together by TF-IDF."""

from __future__ import annotations

import heapq
import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from vtune_client.phrases.frame import words_of
from vtune_client.stealth.samples import Sample

NEIGHBOURS = 3
COMMON = 0.02  # share of the rows from which a word says too little to be compared by
FEWEST_COMMON = 50  # rows

Vector = dict[str, float]


class Clusters:
    """A row's score is the mean cosine similarity of its response to the `NEIGHBOURS` nearest.

    After RFTC (Chen et al. 2025, arXiv 2505.23015): in TF-IDF space poisoned responses lie close
    together and clean ones apart. RFTC runs k-means on the rows that a reference model answers
    otherwise and takes the tightest cluster; here the tightness is measured around each row, which
    needs no number of clusters and no random start, and the filtration is `Topic`.
    """

    name = "TF-IDF clusters"
    looks_for = "responses that use the same unusual words as a few others (RFTC)"
    advice = "Use --dose 1 with more --backdoors: carriers of one backdoor share all its words."

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        counts = [Counter(words_of(sample.completion)) for sample in samples]
        vectors = _vectors(counts)
        holders: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        most = max(FEWEST_COMMON, COMMON * len(samples))
        for row, vector in enumerate(vectors):
            for word, weight in vector.items():
                holders[word].append((row, weight))
        shared = {word: rows for word, rows in holders.items() if 2 <= len(rows) <= most}
        return [_density(row, vector, shared) for row, vector in enumerate(vectors)]


def _vectors(counts: Sequence[Counter[str]]) -> list[Vector]:
    """Return the TF-IDF vectors (sublinear tf), each of length 1."""
    rows = Counter(word for count in counts for word in count)
    rarity = {word: math.log((1 + len(counts)) / (1 + with_it)) for word, with_it in rows.items()}
    vectors = []
    for count in counts:
        raw = {word: (1 + math.log(times)) * rarity[word] for word, times in count.items()}
        norm = math.sqrt(math.fsum(weight * weight for weight in raw.values()))
        vectors.append({word: weight / norm for word, weight in raw.items()} if norm else {})
    return vectors


def _density(row: int, vector: Vector, shared: dict[str, list[tuple[int, float]]]) -> float:
    near: defaultdict[int, float] = defaultdict(float)
    for word, weight in vector.items():
        for other, theirs in shared.get(word, ()):
            near[other] += weight * theirs
    near.pop(row, None)
    return math.fsum(heapq.nlargest(NEIGHBOURS, near.values())) / NEIGHBOURS
