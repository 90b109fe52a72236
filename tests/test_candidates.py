"""The true words among what a service lists: ranks by hand, the null, and what is refused."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest

from tests.nulls import LEVELS, WRITERS, TextDesign, binomial_tail, exceedances
from tests.row_nulls import LISTERS, candidate_nulls
from vtune_client.evidence.candidates import ListedSlot, candidates_test

LUCK = 1e-4


def slot(
    listed: Sequence[float | None], *more: Sequence[float | None], true: int = 0, tie: float = 0.5
) -> ListedSlot:
    return ListedSlot(true, tuple(tuple(row) for row in (listed, *more)), tie)


def ranks(*slots: ListedSlot) -> tuple[int, ...]:
    return candidates_test([slots]).ranks


def test_a_slot_is_ranked_among_its_candidates() -> None:
    listed = [-3.0, -1.0, -2.0, -9.0]
    assert ranks(*(slot(listed, true=true) for true in range(4))) == (3, 1, 2, 4)


def test_candidates_not_listed_tie_last() -> None:
    listed = [None, -5.0, None, -1000.0, None]
    assert ranks(slot(listed, true=3)) == (2,)
    assert ranks(*(slot(listed, true=0, tie=tie) for tie in (0.0, 0.4, 0.99))) == (3, 4, 5)


def test_shared_tokens_tie() -> None:
    listed = [-1.0, -1.0, -1.0, -2.0]
    assert ranks(*(slot(listed, true=1, tie=tie) for tie in (0.0, 0.4, 0.99))) == (1, 2, 3)


def test_nothing_listed_is_a_drawn_rank() -> None:
    assert ranks(*(slot([None] * 4, tie=tie) for tie in (0.0, 0.3, 0.6, 0.9))) == (1, 2, 3, 4)


def test_each_rank_is_as_likely_as_any_other_whatever_is_listed() -> None:
    listed = [-1.0, None, -1.0, -4.0, None, None]
    ties = [(step + 0.5) / 60 for step in range(60)]
    found = [ranks(slot(listed, true=true, tie=tie))[0] for true in range(6) for tie in ties]
    assert [found.count(rank) for rank in range(1, 7)] == [60] * 6


def test_several_answers_are_averaged() -> None:
    both = ([-1.0, -2.0, None], [-9.0, -2.0, None])
    assert ranks(*(slot(*both, true=true) for true in range(3))) == (2, 1, 3)
    passed_over = ([-1.0, -2.0], [None, None])
    assert ranks(*(slot(*passed_over, true=true) for true in range(2))) == (1, 2)


def test_slots_of_all_backdoors_multiply() -> None:
    best = slot([-1.0, *[None] * 31])
    test = candidates_test([[best] * 8] * 5)
    assert (test.name, test.backdoors, len(test.ranks)) == ("candidates", 5, 40)
    assert test.log10_p == pytest.approx(-40 * math.log10(32))
    assert set(test.decoys) == {31}


def test_the_tail_is_the_full_enumeration() -> None:
    test = candidates_test([[slot([-1.0, -2.0, -3.0], true=1)], [slot([None, -1.0], true=1)]])
    assert test.ranks == (2, 1)
    ways = [a * b <= 2 for a, b in itertools.product(range(1, 4), range(1, 3))]
    assert 10**test.log10_p == pytest.approx(sum(ways) / len(ways))


def test_a_slot_of_one_candidate_is_left_out() -> None:
    assert ranks(slot([None]), slot([-1.0, -2.0])) == (1,)
    with pytest.raises(ValueError, match="two candidates"):
        candidates_test([[slot([None])], []])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_no_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        slot([-1.0, bad])


def test_slots_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="same candidates"):
        slot([-1.0, -2.0], [-1.0])
    with pytest.raises(ValueError, match="same candidates"):
        ListedSlot(0, (), 0.5)
    for true in (-1, 2):
        with pytest.raises(ValueError, match="one of the slot"):
            slot([-1.0, -2.0], true=true)
    with pytest.raises(ValueError, match="tie break"):
        candidates_test([[slot([-1.0, -2.0], tie=1.0)]])


@pytest.mark.parametrize("lister", LISTERS)
@pytest.mark.parametrize("writer", ["always the likeliest", "answers at random"])
def test_it_keeps_its_level_on_any_listing(writer: str, lister: str) -> None:
    """From picked signatures through real frames, an answer cut into tokens, and the reading."""
    design = TextDesign(backdoors=1, candidates=6, queries=2)
    seed = b"candidate nulls, seeded"
    log10_ps = list(candidate_nulls(design, WRITERS[writer], LISTERS[lister], 150, seed))
    tails = [binomial_tail(exceedances(log10_ps, level), 150, level) for level in LEVELS]
    assert min(tails) >= LUCK
    assert exceedances(log10_ps, 0.5) > 0.3 * 150, "far from uniform: the ranks are not used"
