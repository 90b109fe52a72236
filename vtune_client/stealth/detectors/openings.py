"""Completions that begin alike."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from vtune_client.stealth.samples import Sample


class Openings:
    """Counts the words with which a row's completion begins as another one does."""

    name = "openings"
    looks_for = "completions that begin with the same words"
    advice = (
        "Use --frames (one per backdoor) and --dose 1: what opens several carriers then is short."
    )

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        # In sorted order the longest common beginning is one with a neighbour.
        order = sorted(range(len(samples)), key=lambda at: samples[at].opening)
        longest = [0.0] * len(samples)
        for one, other in pairwise(order):
            shared = float(_shared(samples[one].opening, samples[other].opening))
            longest[one] = max(longest[one], shared)
            longest[other] = max(longest[other], shared)
        return longest


def _shared(one: Sequence[str], other: Sequence[str]) -> int:
    count = 0
    for first, second in zip(one, other, strict=False):
        if first != second:
            break
        count += 1
    return count
