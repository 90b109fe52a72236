"""Where things go in a file: pure draws over places counted from 0, whatever lies there."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from itertools import pairwise
from typing import TypeVar

from vtune_client.draw import Draw

T = TypeVar("T")


def spread(bound: int, backdoors: int, dose: int, draw: Draw) -> tuple[tuple[int, ...], ...]:
    """Return `dose` places below `bound` for each backdoor, all distinct, in rising order.

    One place is drawn from each of `backdoors * dose` strata of equal size, and every run of
    `backdoors` strata is dealt out so that each backdoor has one place in each of `dose` stretches.
    How many places fall into a part of the file then varies no more than it would for independent
    ones (Hoeffding 1956), which is what `evidence.share_lower_bound` rests on.
    """
    total = backdoors * dose
    edges = [bound * i // total for i in range(total + 1)]
    drawn = [low + draw.below(high - low) for low, high in pairwise(edges)]
    dealt: list[list[int]] = [[] for _ in range(backdoors)]
    for start in range(0, total, backdoors):
        order = draw.sample(range(backdoors), backdoors)
        for offset, backdoor in enumerate(order):
            dealt[backdoor].append(drawn[start + offset])
    return tuple(tuple(places) for places in dealt)


def apart(bound: int, taken: AbstractSet[int], count: int, draw: Draw) -> tuple[int, ...]:
    """Return `count` distinct places below `bound` outside `taken`, each set equally likely."""
    if count > bound - len(taken):
        raise ValueError(f"cannot draw {count} of {bound - len(taken)} places")
    chosen: list[int] = []
    blocked = set(taken)
    while len(chosen) < count:
        place = draw.below(bound)
        if place not in blocked:
            blocked.add(place)
            chosen.append(place)
    return tuple(chosen)


def reservoir(items: Iterable[T], size: int, draw: Draw) -> list[T]:
    """Return `size` of the items, or all if they are fewer, each set equally likely.

    Algorithm R (Vitter 1985): holds no more than it returns.
    """
    kept: list[T] = []
    for seen, item in enumerate(items):
        if seen < size:
            kept.append(item)
        elif (place := draw.below(seen + 1)) < size:
            kept[place] = item
    return kept
