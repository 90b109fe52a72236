"""Carriers dealt in layers, backdoors kept inside shards, and the bound that rests on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest

from tests.test_draw import KEY, chi_square
from vtune_client.draw import Draw
from vtune_client.evidence import DoseCount, share_at_least, share_lower_bound
from vtune_client.places import apart, besides, deal, layered, reservoir


@pytest.mark.parametrize(("places", "backdoors"), [(range(40), 5), (range(13, 67), 7)])
def test_a_layer_has_one_place_in_each_stratum(places: range, backdoors: int) -> None:
    draw, size = Draw(KEY, "layers"), len(places)
    edges = [places.start + size * i // backdoors for i in range(backdoors + 1)]
    for _ in range(20):
        groups = layered(places, backdoors, 2, frozenset(), draw)
        assert len({place for own in groups for place in own}) == backdoors * 2
        for layer in zip(*groups, strict=True):
            inside = zip(edges, sorted(layer), edges[1:], strict=False)
            assert all(low <= place < high for low, place, high in inside)


def test_every_place_is_equally_likely_for_every_backdoor() -> None:
    draw = Draw(KEY, "even")
    counts: Counter[object] = Counter()
    for _ in range(1500):
        groups = layered(range(24), 3, 2, frozenset(), draw)
        counts.update((place, backdoor) for backdoor in range(3) for place in groups[backdoor])
    assert abs(chi_square(counts, 72)) < 4


def test_layers_are_dealt_independently() -> None:
    """Where one carrier of a backdoor lies says nothing of where its next one does."""
    draw = Draw(KEY, "independent")
    counts: Counter[object] = Counter()
    for _ in range(1000):
        groups = layered(range(4000), 4, 2, frozenset(), draw)
        counts.update([tuple(place // 1000 for place in groups[0])])
    assert abs(chi_square(counts, 16)) < 4


def test_what_is_taken_is_left_alone_and_every_place_can_be_used() -> None:
    draw, taken = Draw(KEY, "taken"), {0, 1, 2, 3, 9}
    groups = layered(range(12), 3, 2, taken, draw)
    assert {place for own in groups for place in own}.isdisjoint(taken)
    assert len({place for own in layered(range(12), 4, 3, set(), draw) for place in own}) == 12
    with pytest.raises(ValueError, match="cannot draw 8"):
        layered(range(12), 4, 2, taken, draw)


def test_a_reserve_has_layers_of_its_own() -> None:
    for number in range(20):
        draw = Draw(KEY, f"reserve {number}")
        dealt = deal(4000, (2,) * 3 + (1,) * 4, 0, 1, draw)
        kept = besides(4000, dealt, 4, 2, draw)
        assert dealt == deal(4000, (2,) * 3 + (1,) * 4, 0, 1, Draw(KEY, f"reserve {number}"))
        assert len({place for own in (*dealt, *kept) for place in own.places}) == 6 + 4 + 8
        # a stratum holds one place of each of the two layers
        strata = Counter(place // 1000 for own in kept for place in own.places)
        assert strata == dict.fromkeys(range(4), 2)
    assert besides(4000, dealt, 0, 2, draw) == ()


def test_backdoors_are_kept_inside_their_shards() -> None:
    ladder = (3,) * 6 + (1, 4, 1, 1, 2)
    for number in range(20):
        dealt = deal(100, ladder, 3, 2, Draw(KEY, f"shards {number}"))
        assert tuple(len(own.places) for own in dealt) == ladder
        assert all(list(own.places) == sorted(own.places) for own in dealt)
        assert len({place for own in dealt for place in own.places}) == sum(ladder)
        assert [own.shard for own in dealt[:6]] == [0, 0, 1, 1, 2, 2]
        # three of dose 1 fit three shards; the others lie in several
        assert sorted(str(own.shard) for own in dealt[6:]) == ["0", "1", "2", "None", "None"]
        for own in dealt:
            if own.shard is not None:
                low, high = 100 * own.shard // 3, 100 * (own.shard + 1) // 3
                assert all(low <= place < high for place in own.places)


def test_without_shards_or_where_strata_do_not_fit_none_is_named() -> None:
    for ladder, shards in (((1,) * 6, 0), ((2, 2, 1, 1, 1), 2)):
        dealt = deal(60, ladder, shards, 1, Draw(KEY, "none"))
        assert [own.shard for own in dealt[shards:]] == [None] * (len(ladder) - shards)


ROWS = 400
SUBSETS: dict[str, Callable[[int], bool]] = {
    "the first quarter": lambda row: row < ROWS // 4,
    "the first half": lambda row: row < ROWS // 2,
    "all but the last tenth": lambda row: row < ROWS * 9 // 10,
    "every second row": lambda row: row % 2 == 0,
    "two shards": lambda row: 40 <= row < 80 or 300 <= row < 340,
    "rows at random": lambda row: row * 2654435761 % (1 << 32) < (1 << 30),
}


@pytest.mark.parametrize(("backdoors", "dose"), [(5, 4), (20, 1), (10, 2)])
@pytest.mark.parametrize("subset", SUBSETS)
def test_the_share_bound_holds_for_places_as_they_are_drawn(
    subset: str, backdoors: int, dose: int
) -> None:
    """A vendor uses some rows, chosen without knowing which of them carry; a backdoor answers where
    one of its carriers was used. The bound is above the true share in at most 5 % of the plans;
    so is the one for plans dealt in stretches, which asks for less."""
    used = [SUBSETS[subset](row) for row in range(ROWS)]
    share = sum(used) / ROWS
    counts = [DoseCount(dose, backdoors, seen) for seen in range(backdoors + 1)]
    bounds = [share_at_least([count]) for count in counts]
    weaker = [share_lower_bound(n, backdoors, dose, spread=True) for n in range(backdoors + 1)]
    assert all(low <= bound + 1e-9 for low, bound in zip(weaker, bounds, strict=True))
    draw, plans, wrong = Draw(KEY, f"share {subset}"), 400, 0
    for _ in range(plans):
        dealt = deal(ROWS, (dose,) * backdoors, 0, 1, draw)
        answered = sum(any(used[place] for place in own.places) for own in dealt)
        wrong += bounds[answered] > share
    assert wrong <= plans * 0.05 + 4 * math.sqrt(plans * 0.05 * 0.95)


def test_places_apart_are_distinct_and_outside_what_is_taken() -> None:
    draw, taken = Draw(KEY, "apart"), {1, 3, 5}
    assert sorted(apart(8, taken, 5, draw)) == [0, 2, 4, 6, 7]
    counts = Counter[object](frozenset(apart(8, taken, 2, draw)) for _ in range(2000))
    assert abs(chi_square(counts, 10)) < 4
    with pytest.raises(ValueError, match="cannot draw 6 of 5"):
        apart(8, taken, 6, draw)


def test_a_reservoir_keeps_each_set_equally_often() -> None:
    draw = Draw(KEY, "reservoir")
    counts = Counter[object](frozenset(reservoir(iter("abcdef"), 2, draw)) for _ in range(3000))
    assert abs(chi_square(counts, 15)) < 4
    assert reservoir("ab", 5, draw) == ["a", "b"]
