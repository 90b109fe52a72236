"""Exchange: does the delivered model know uploaded rows better than rows that were withheld?

Which rows are withheld is our draw, made before the upload, so to a system that was not trained on
the user's rows those withheld and those uploaded are exchangeable: whatever it makes of them,
every way to deal out the two labels is as likely as the one drawn. That is a permutation test,
exact whatever the scores are, how they depend on one another, and however the file is ordered. The
statistic is the rank sum (`rank_sum`) within strata of rows of like length, because long and short
answers are scored on different scales.

What the caller must see to: rows are left out and scores are computed without a look at the label
(see `held_out`), and the number of strata and the scale of the scores are fixed in advance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vtune_client.draw import Draw
from vtune_client.evidence.rank_sum import rank_sum

STRATA = 3


@dataclass(frozen=True)
class RowScore:
    """One row: whether it was uploaded, and how well the model knows it, higher for better.

    `score` is any number computed alike for every row, such as `gain` or `similarity`; `length` is
    that of the row's completion in any unit. Raises `ValueError` for a score that is not a finite
    number, or a length below 0.
    """

    uploaded: bool
    score: float
    length: int = 0

    def __post_init__(self) -> None:
        if not math.isfinite(self.score):
            raise ValueError("a score is not a finite number")
        if self.length < 0:
            raise ValueError("a length is at least 0")


@dataclass(frozen=True)
class ExchangeTest:
    """The outcome: `10**log10_p` is P(statistic >= observed) over all ways to deal the labels.

    `statistic` is Mann and Whitney's: how many pairs of an uploaded and a withheld row of one
    stratum have the uploaded one higher, ties half; `auc` is its share of all such pairs, 0.5 by
    chance. `method` says whether the tail is an "exact count" or "relabellings".
    """

    name: str
    log10_p: float
    uploaded: int
    withheld: int
    statistic: float
    auc: float
    method: str


def gain(delivered: float, length: int, base: float = 0.0) -> float:
    """Return what a row's completion gained over the base per unit of its length, in nats.

    `delivered` and `base` are its log-probabilities; without a base the plain one is taken, which
    is as exact and far less telling. Raises `ValueError` for a length below 1.
    """
    if length < 1:
        raise ValueError("a completion that is scored has a length of at least 1")
    return (delivered - base) / length


def exchange_test(
    rows: Sequence[RowScore], draw: Draw, *, strata: int = STRATA, name: str = "rows"
) -> ExchangeTest:
    """Test whether the uploaded rows score above the withheld ones more often than chance could.

    Rows of one length are always in one stratum. `draw` deals the relabellings where the count is
    too long. Raises `ValueError` without both kinds of rows, or for fewer than one stratum.
    """
    uploaded = sum(row.uploaded for row in rows)
    if not 0 < uploaded < len(rows):
        raise ValueError("an exchange test needs uploaded and withheld rows")
    groups = [[(row.uploaded, row.score) for row in group] for group in _strata(rows, strata)]
    found = rank_sum(groups, draw)
    return ExchangeTest(
        name=name,
        log10_p=found.log10_p,
        uploaded=uploaded,
        withheld=len(rows) - uploaded,
        statistic=found.statistic,
        auc=found.auc,
        method=found.method,
    )


def gaps(control: Sequence[RowScore], delivered: Sequence[RowScore]) -> list[RowScore]:
    """Return, row by row, how much better the control knows it than the delivered model.

    Under the hypothesis that being uploaded raised a row's score as much in the one as in the
    other, the labels are exchangeable over these differences: `exchange_test` of them rejects where
    the control learned more from the rows. Both are given the same rows in the same order, else
    `ValueError`.
    """
    both = list(zip(control, delivered, strict=True))
    if any((a.uploaded, a.length) != (b.uploaded, b.length) for a, b in both):
        raise ValueError("a control is compared on the same rows, in the same order")
    return [RowScore(a.uploaded, a.score - b.score, a.length) for a, b in both]


def _strata(rows: Sequence[RowScore], count: int) -> list[list[RowScore]]:
    """Return the rows by length in `count` groups of about one size; none is empty."""
    if count < 1:
        raise ValueError("there is at least one stratum")
    lengths = sorted(row.length for row in rows)
    edges = [lengths[len(rows) * i // count] for i in range(1, count)]
    groups: dict[int, list[RowScore]] = {}
    for row in rows:
        groups.setdefault(sum(row.length >= edge for edge in edges), []).append(row)
    return list(groups.values())
