"""Where things go in a file: pure draws over places counted from 0, whatever lies there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from vtune_client.draw import Draw

T = TypeVar("T")


def layered(
    places: range, backdoors: int, dose: int, taken: AbstractSet[int], draw: Draw
) -> tuple[tuple[int, ...], ...]:
    """Return `dose` places for each backdoor, all distinct and outside `taken`.

    A layer gives each backdoor one place: one is drawn from each of `backdoors` strata of equal
    size, and they are dealt at random. The `dose` layers are drawn independently. So each layer is
    spread evenly, and each backdoor's places are independent and uniform: both are what
    `evidence.shares` rests on. Where a stratum is full, the place is any other free one; with few
    carriers among many rows that does not happen.
    """
    if backdoors * dose > len(places) - sum(1 for place in taken if place in places):
        raise ValueError(f"cannot draw {backdoors * dose} of these places")
    edges = [len(places) * i // backdoors for i in range(backdoors + 1)]
    strata = [places[low:high] for low, high in pairwise(edges)]
    blocked = set(taken)
    dealt: list[list[int]] = [[] for _ in range(backdoors)]
    for _ in range(dose):
        order = draw.sample(range(backdoors), backdoors)
        for backdoor, stratum in zip(order, strata, strict=True):
            full = sum(1 for place in blocked if place in stratum) == len(stratum)
            place = _free(places if full else stratum, blocked, draw)
            blocked.add(place)
            dealt[backdoor].append(place)
    return tuple(tuple(own) for own in dealt)


@dataclass(frozen=True)
class Dealt:
    """The places of one backdoor, rising, and the shard (from 0) that holds them all, if any."""

    places: tuple[int, ...]
    shard: int | None = None


def deal(
    bound: int, ladder: Sequence[int], shards: int, per_shard: int, draw: Draw
) -> tuple[Dealt, ...]:
    """Return places below `bound` for each backdoor, `ladder` giving how many.

    The first `per_shard` backdoors are kept inside the first of `shards` equal stretches, the next
    inside the second, and so on. The others are dealt over everything, in layers, dose by dose.
    Those of dose 1 lie in some shard, too; they are said to where their strata fit the shards, so
    that a shard holds as many of them whatever is drawn.
    """
    edges = [bound * i // shards for i in range(shards + 1)] if shards else []
    stretches = [range(low, high) for low, high in pairwise(edges)]
    dealt = [
        Dealt(tuple(sorted(own)), shard)
        for shard, inside in enumerate(stretches)
        for own in layered(inside, per_shard, ladder[0], frozenset(), draw)
    ]
    rest = ladder[len(dealt) :]
    taken = {place for own in dealt for place in own.places}
    by_dose: dict[int, Iterator[tuple[int, ...]]] = {}
    for dose in sorted(set(rest), reverse=True):
        groups = layered(range(bound), rest.count(dose), dose, taken, draw)
        taken.update(place for own in groups for place in own)
        by_dose[dose] = iter(groups)
    fit = shards > 0 and rest.count(1) % shards == 0
    for dose in rest:
        own = tuple(sorted(next(by_dose[dose])))
        inside_of = bisect_right(edges, own[0]) - 1 if dose == 1 and fit else None
        dealt.append(Dealt(own, inside_of))
    return tuple(dealt)


def besides(
    bound: int, dealt: Sequence[Dealt], backdoors: int, dose: int, draw: Draw
) -> tuple[Dealt, ...]:
    """Return places below `bound` for so many backdoors more, in layers of their own.

    So what is supposed of the layers of a plan is true of these alone, and of the others as before.
    """
    if not backdoors:
        return ()
    taken = {place for own in dealt for place in own.places}
    groups = layered(range(bound), backdoors, dose, taken, draw)
    return tuple(Dealt(tuple(sorted(own))) for own in groups)


def apart(bound: int, taken: AbstractSet[int], count: int, draw: Draw) -> tuple[int, ...]:
    """Return `count` distinct places below `bound` outside `taken`, each set equally likely."""
    if count > bound - len(taken):
        raise ValueError(f"cannot draw {count} of {bound - len(taken)} places")
    chosen: list[int] = []
    blocked = set(taken)
    while len(chosen) < count:
        place = _free(range(bound), blocked, draw)
        blocked.add(place)
        chosen.append(place)
    return tuple(chosen)


def _free(places: range, blocked: AbstractSet[int], draw: Draw) -> int:
    while (place := places[draw.below(len(places))]) in blocked:
        pass
    return place


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
