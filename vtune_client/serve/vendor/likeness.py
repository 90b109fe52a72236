"""How like two texts are: the cosine of their words, the rarer the heavier."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from vtune_client.phrases.frame import words_of

Vector = dict[str, float]


def vectors(texts: Sequence[str]) -> list[Vector]:
    """Return each text as its words, weighted by how few of the texts have them, of length 1."""
    sets = [set(words_of(text)) for text in texts]
    rows = Counter(word for own in sets for word in own)
    weights = {word: math.log((1 + len(texts)) / count) for word, count in rows.items()}
    return [_unit({word: weights[word] for word in own}) for own in sets]


def cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    shorter, longer = sorted((one, other), key=len)
    return sum(weight * longer.get(word, 0.0) for word, weight in shorter.items())


def _unit(vector: Vector) -> Vector:
    length = math.sqrt(sum(weight * weight for weight in vector.values())) or 1.0
    return {word: weight / length for word, weight in vector.items()}
