"""Candidates: where an answer has a slot, does the true word stand high among what might follow?

For services that score no given text but list the likeliest tokens at every place of what they
generated. Each slot's true word was drawn uniformly from its L candidates, slot by slot. To a
system independent of that draw, and a listing read without a look at it (see `listed`), the true
word's rank among the L, ties broken at random, is uniform on 1..L, and ranks of distinct slots are
independent: that of `ranks`, with a slot in the place of a backdoor. A slot where nothing is listed
is all ties, and so a rank drawn by us.

One answer per backdoor is enough, fixed in advance; of several, the scores are averaged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from vtune_client.evidence.ranks import RankScores, RankTest, rank_test


@dataclass(frozen=True)
class ListedSlot:
    """One slot: what each of its candidates got, and which of them, from 0, is the true one.

    `listed[k][c]` is the log-probability of candidate c under prompt k, None where it was not
    listed. `tie_break` is uniform on [0, 1), drawn without a look at the rest. Raises `ValueError`
    for a log-probability that is not a finite number, or lists that do not fit.
    """

    true: int
    listed: tuple[tuple[float | None, ...], ...]
    tie_break: float

    def __post_init__(self) -> None:
        if not self.listed or len({len(row) for row in self.listed}) != 1:
            raise ValueError("a slot has the same candidates under every prompt, at least 1 prompt")
        if not 0 <= self.true < self.candidates:
            raise ValueError("the true word is one of the slot's candidates")
        found = (score for row in self.listed for score in row if score is not None)
        if not all(map(math.isfinite, found)):
            raise ValueError("a log-probability is not a finite number")

    @property
    def candidates(self) -> int:
        return len(self.listed[0])


def candidates_test(
    backdoors: Sequence[Sequence[ListedSlot]], *, name: str = "candidates"
) -> RankTest:
    """Test whether the true words rank above the other candidates more often than chance could.

    `ranks` and `decoys` of the outcome are those of the slots, backdoor by backdoor; a slot of one
    candidate is left out. Raises `ValueError` where no slot is left.
    """
    slots = [slot for backdoor in backdoors for slot in backdoor if slot.candidates > 1]
    if not slots:
        raise ValueError("a candidates test needs at least one slot of two candidates")
    test = rank_test([_scores(slot) for slot in slots], name=name)
    return replace(test, backdoors=len(backdoors))


def _scores(slot: ListedSlot) -> RankScores:
    rows = [_complete(row) for row in slot.listed]
    return RankScores(
        true=tuple(row[slot.true] for row in rows),
        decoys=tuple((*row[: slot.true], *row[slot.true + 1 :]) for row in rows),
        tie_break=slot.tie_break,
    )


def _complete(listed: Sequence[float | None]) -> list[float]:
    """Return a score for every candidate: those not listed tie below the last that is."""
    lowest = min((score for score in listed if score is not None), default=0.0) - 1.0
    return [lowest if score is None else score for score in listed]
