"""Every p-value rests on these draws: repeatable, uniform, independent of each other."""

from __future__ import annotations

import hmac
import math
from collections import Counter
from itertools import permutations, product

import pytest

from vtune_client.draw import Draw

KEY = bytes(range(32))


def chi_square(counts: Counter[object], cells: int) -> float:
    """Return how far the counts are from equal ones, as a standard normal deviate.

    Wilson and Hilferty 1931: the cube root of chi-square over its degrees of freedom is normal.
    """
    assert len(counts) <= cells
    expected = counts.total() / cells
    squares = sum((count - expected) ** 2 for count in counts.values())
    chi = (squares + (cells - len(counts)) * expected**2) / expected
    free = cells - 1
    return float(((chi / free) ** (1 / 3) - (1 - 2 / (9 * free))) / math.sqrt(2 / (9 * free)))


def test_the_same_key_and_label_draw_the_same() -> None:
    one, other = Draw(KEY, "a"), Draw(KEY, "a")
    assert [one.below(1000) for _ in range(50)] == [other.below(1000) for _ in range(50)]


def test_the_stream_is_hmac_sha256_in_counter_mode() -> None:
    """Written down here once more, so that a plan drawn today can be drawn again in ten years."""
    key = hmac.digest(KEY, b"vtune draw\0places", "sha256")
    blocks = [hmac.digest(key, n.to_bytes(8, "big"), "sha256") for n in range(3)]
    draw = Draw(KEY, "places")
    assert draw.bytes(5) + draw.bytes(40) + draw.bytes(51) == b"".join(blocks)


@pytest.mark.parametrize("other", [Draw(KEY, "b"), Draw(KEY[::-1], "a"), Draw(KEY, "")])
def test_another_label_or_key_draws_independently(other: Draw) -> None:
    one = Draw(KEY, "a")
    pairs = Counter[object]((one.below(6), other.below(6)) for _ in range(7200))
    assert abs(chi_square(pairs, 36)) < 4


@pytest.mark.parametrize("bound", [2, 3, 10, 32, 100])
def test_integers_are_uniform(bound: int) -> None:
    draw = Draw(KEY, "uniform")
    counts = Counter[object](draw.below(bound) for _ in range(200 * bound))
    assert abs(chi_square(counts, bound)) < 4


def test_successive_integers_are_independent() -> None:
    draw = Draw(KEY, "serial")
    counts = Counter[object]((draw.below(5), draw.below(5), draw.below(5)) for _ in range(12_500))
    assert abs(chi_square(counts, 125)) < 4


class Given(Draw):
    """Draws from numbers that are given."""

    def __init__(self, *numbers: int) -> None:
        super().__init__(KEY, "given")
        self._numbers = list(numbers)

    def bytes(self, count: int) -> bytes:
        return self._numbers.pop(0).to_bytes(count, "big")


def test_numbers_past_the_last_whole_multiple_are_drawn_again() -> None:
    """Else the small residues would come up more often."""
    last = (1 << 64) - 1  # 2**64 is 1 modulo 3, so of the 64-bit numbers just this one is too many
    assert Given(last, last, 5).below(3) == 2
    assert Given(last - 1).below(3) == 2
    assert Given(last).below(1 << 32) == (1 << 32) - 1  # divides 2**64: nothing is too many


def test_a_large_bound_shows_no_bias() -> None:
    """Without rejection the lower half would come up twice as often."""
    bound = 3 << 62
    draw = Draw(KEY, "large")
    low = sum(draw.below(bound) < bound // 3 for _ in range(3000))
    assert abs(low - 1000) < 4 * math.sqrt(3000 * 2 / 9)


@pytest.mark.parametrize("bound", [0, -1, (1 << 64) + 1])
def test_a_bound_out_of_range_is_refused(bound: int) -> None:
    with pytest.raises(ValueError, match="bound"):
        Draw(KEY, "a").below(bound)


def test_the_largest_bound_is_the_whole_number() -> None:
    assert Draw(KEY, "a").below(1 << 64) == int.from_bytes(Draw(KEY, "a").bytes(8), "big")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        Draw(b"short", "a")


def test_a_sample_has_no_item_twice_and_leaves_its_source_alone() -> None:
    draw, items = Draw(KEY, "sample"), list(range(20))
    for count in range(21):
        drawn = draw.sample(items, count)
        assert len(set(drawn)) == len(drawn) == count
    assert items == list(range(20))
    with pytest.raises(ValueError, match="cannot draw 21 of 20"):
        draw.sample(items, 21)


def test_every_ordered_sample_is_equally_likely() -> None:
    draw = Draw(KEY, "orders")
    counts = Counter[object](tuple(draw.sample("abcd", 3)) for _ in range(4800))
    assert set(counts) == set(permutations("abcd", 3))
    assert abs(chi_square(counts, 24)) < 4


def test_choices_are_independent() -> None:
    draw = Draw(KEY, "choices")
    counts = Counter[object]((draw.choice("ab"), draw.choice("xyz")) for _ in range(3000))
    assert set(counts) == set(product("ab", "xyz"))
    assert abs(chi_square(counts, 6)) < 4


def test_nothing_of_the_key_is_shown() -> None:
    assert repr(Draw(KEY, "label")) == "<Draw>"
