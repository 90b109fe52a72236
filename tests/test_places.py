"""One carrier per stratum, each backdoor in every stretch, and the bound that rests on it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import pytest

from tests.test_draw import KEY, chi_square
from vtune_client.draw import Draw
from vtune_client.evidence import share_lower_bound
from vtune_client.places import apart, reservoir, spread


@pytest.mark.parametrize(("bound", "backdoors", "dose"), [(20, 5, 4), (23, 5, 4), (100, 3, 7)])
def test_one_place_in_each_stratum_and_each_backdoor_in_each_stretch(
    bound: int, backdoors: int, dose: int
) -> None:
    draw, total = Draw(KEY, "spread"), backdoors * dose
    strata = [bound * i // total for i in range(total + 1)]
    for _ in range(20):
        groups = spread(bound, backdoors, dose, draw)
        assert len(groups) == backdoors
        assert all(len(group) == dose and list(group) == sorted(group) for group in groups)
        places = sorted(place for group in groups for place in group)
        inside = zip(strata, places, strata[1:], strict=False)
        assert all(low <= place < high for low, place, high in inside)
        stretches = [strata[backdoors * i] for i in range(dose)] + [bound]
        for group in groups:
            inside = zip(stretches, group, stretches[1:], strict=False)
            assert all(low <= place < high for low, place, high in inside)


def test_every_place_and_every_backdoor_is_equally_likely() -> None:
    draw = Draw(KEY, "even")
    counts: Counter[object] = Counter()
    for _ in range(1500):
        groups = spread(24, 3, 2, draw)
        counts.update((place, backdoor) for backdoor in range(3) for place in groups[backdoor])
    assert abs(chi_square(counts, 72)) < 4


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
    one of its carriers was used. The bound is above the true share in at most 5 % of the plans."""
    used = [SUBSETS[subset](row) for row in range(ROWS)]
    share = sum(used) / ROWS
    bounds = [share_lower_bound(n, backdoors, dose, spread=True) for n in range(backdoors + 1)]
    draw, plans, wrong = Draw(KEY, f"share {subset}"), 400, 0
    for _ in range(plans):
        groups = spread(ROWS, backdoors, dose, draw)
        answered = sum(any(used[place] for place in group) for group in groups)
        wrong += bounds[answered] > share
    assert wrong <= plans * 0.05 + 4 * math.sqrt(plans * 0.05 * 0.95)


def test_the_bound_for_places_anywhere_would_not_hold_for_ours() -> None:
    """The first stretch alone makes every backdoor answer: why `spread` is a case of its own."""
    groups = spread(ROWS, 5, 4, Draw(KEY, "why"))
    assert all(any(place < ROWS // 4 for place in group) for group in groups)
    assert share_lower_bound(20, 20, 4, spread=False) > 0.25
    assert share_lower_bound(20, 20, 4, spread=True) <= 0.25


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
