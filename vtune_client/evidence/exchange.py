"""Exchange: does the delivered model know uploaded rows better than rows that were withheld?

Which rows are withheld is our draw, made before the upload, so to a system that was not trained on
the user's rows those withheld and those uploaded are exchangeable: whatever it makes of them,
every way to deal out the two labels is as likely as the one drawn. That is a permutation test,
exact whatever the scores are, how they depend on one another, and however the file is ordered. The
statistic is the rank sum (Wilcoxon 1945) within strata of rows of like length, because long and
short answers are scored on different scales; ties get mid-ranks, which are permuted like all else.

Its null distribution is counted: with rank weights w_i, the number of ways to pick k of n rows
whose weights sum to t is a coefficient of the product of (1 + y q^w_i), ties or not. Where that
count would be long, random relabellings stand in, and p = (1 + as good) / (1 + relabellings) is
exact too (Phipson and Smyth 2010), if never smaller than one in their number.

What the caller must see to: rows are left out and scores are computed without a look at the label
(see `held_out`), and the number of strata and the scale of the scores are fixed in advance.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from vtune_client.draw import Draw

STRATA = 3
RELABELLINGS = 9_999
# Bound on the bits the exact count adds up: about two seconds' work.
_LONGEST_COUNT = 40_000_000_000


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
    groups = [_stratum(group) for group in _strata(rows, strata)]
    pairs = sum(group.pairs for group in groups)
    statistic = sum(group.wins for group in groups) / 2
    groups = _reduced(groups)
    if sum(map(_steps, groups)) * _width(groups) <= _LONGEST_COUNT:
        method, log10_p = "exact count", _counted(groups)
    else:
        method, log10_p = "relabellings", _relabelled(groups, draw)
    return ExchangeTest(
        name=name,
        log10_p=min(0.0, log10_p),
        uploaded=uploaded,
        withheld=len(rows) - uploaded,
        statistic=statistic,
        auc=statistic / pairs if pairs else 0.5,
        method=method,
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


@dataclass(frozen=True)
class _Stratum:
    """Rows of like length: the weight of each, which is its mid-rank from 0, doubled."""

    weights: tuple[int, ...]  # rising
    uploaded: int
    observed: int  # sum of the weights of the uploaded rows

    @property
    def pairs(self) -> int:
        return self.uploaded * (len(self.weights) - self.uploaded)

    @property
    def wins(self) -> int:
        """Mann and Whitney's statistic, doubled."""
        return self.observed - self.uploaded * (self.uploaded - 1)

    @property
    def ways(self) -> int:
        return math.comb(len(self.weights), self.uploaded)


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


def _stratum(rows: Sequence[RowScore]) -> _Stratum:
    scores = sorted(row.score for row in rows)
    first = {score: at for at, score in reversed(list(enumerate(scores)))}
    last = {score: at for at, score in enumerate(scores)}
    weight = {score: first[score] + last[score] for score in first}
    return _Stratum(
        weights=tuple(weight[score] for score in scores),
        uploaded=sum(row.uploaded for row in rows),
        observed=sum(weight[row.score] for row in rows if row.uploaded),
    )


def _reduced(groups: Sequence[_Stratum]) -> list[_Stratum]:
    """Return the strata with their weights divided by what divides them all: 2 without ties."""
    unit = math.gcd(*(weight for group in groups for weight in group.weights)) or 1
    return [
        _Stratum(
            tuple(weight // unit for weight in group.weights),
            group.uploaded,
            group.observed // unit,
        )
        for group in groups
    ]


def _width(groups: Sequence[_Stratum]) -> int:
    """Return how many bits hold the number of ways to deal the labels, and a spare one."""
    return math.prod(group.ways for group in groups).bit_length() + 1


def _steps(group: _Stratum) -> int:
    """Return how many coefficients `_sums` adds up, about."""
    highest = sum(group.weights[len(group.weights) - group.uploaded :])
    return len(group.weights) * group.uploaded * highest // 2


def _counted(groups: Sequence[_Stratum]) -> float:
    """Return log10 of the share of all ways to deal the labels with as high a statistic."""
    width = _width(groups)
    counts = math.prod(_sums(group, width) for group in groups)
    observed = sum(group.observed for group in groups)
    hits = sum(_digits(counts >> observed * width, width))
    return math.log10(hits) - math.log10(math.prod(group.ways for group in groups))


def _sums(group: _Stratum, width: int) -> int:
    """Return how many sets of `uploaded` rows have each sum of weights.

    The counts are the digits, each `width` bits wide, of one long integer: the generating
    polynomial at q = 2**width, so that a product of polynomials is one of integers.
    """
    counts = [1] + [0] * group.uploaded
    for done, weight in enumerate(group.weights):
        for size in range(min(done + 1, group.uploaded), 0, -1):
            counts[size] += counts[size - 1] << weight * width
    return counts[group.uploaded]


def _digits(number: int, width: int) -> Iterator[int]:
    """Yield the digits of `number`, each `width` bits wide, lowest first."""
    data = number.to_bytes(number.bit_length() // 8 + 1, "little")
    for start in range(0, number.bit_length(), width):
        # cut out as bytes: shifting the whole number for every digit would be quadratic
        piece = int.from_bytes(data[start // 8 : (start + width) // 8 + 1], "little")
        yield piece >> start % 8 & (1 << width) - 1


def _relabelled(groups: Sequence[_Stratum], draw: Draw) -> float:
    """Return log10 of the share of relabellings, the true labels among them, that do as well."""
    observed = sum(group.observed for group in groups)
    hits = sum(
        sum(sum(draw.sample(group.weights, group.uploaded)) for group in groups) >= observed
        for _ in range(RELABELLINGS)
    )
    return math.log10((1 + hits) / (1 + RELABELLINGS))
