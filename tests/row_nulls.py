"""Systems that never met the rows or the secret words, for the exchange and candidates tests.

As in `tests.nulls`, a null run draws what we draw, lets such a system score rows or list tokens,
and returns the p-value. A scorer sees the whole file and may prefer any rows, only not by who
was withheld. A lister sees the public frame and writes an answer with its tokens.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from tests.nulls import TextDesign, Writer, scores_with_heavy_tails
from vtune_client.draw import Draw
from vtune_client.evidence.candidates import ListedSlot, candidates_test
from vtune_client.evidence.exchange import RowScore, exchange_test, gaps
from vtune_client.listed import listed
from vtune_client.phrases import Frame
from vtune_client.phrases.pick import Pick, pick
from vtune_client.provider import TokenScores


@dataclass(frozen=True)
class RowDesign:
    """A file of `file` rows, of which so many are withheld and as many uploaded ones compared."""

    file: int
    withheld: int
    strata: int

    def __str__(self) -> str:
        rows = f"{self.withheld} against {self.withheld} of {self.file} rows"
        return f"{rows}, {self.strata} strata"

    def lengths(self) -> list[int]:
        """Return the rows' lengths: few different ones, growing along the file."""
        return [1 + row * 7 // self.file + row % 3 for row in range(self.file)]


# A null system scores every row of a file: (their lengths, its own randomness).
RowScorer = Callable[[Sequence[int], Draw], list[float]]


def knows_some_rows(lengths: Sequence[int], draw: Draw) -> list[float]:
    """Score by a Cauchy variable: a few rows by far the best known."""
    return scores_with_heavy_tails(len(lengths), draw)


def knows_all_or_nothing(lengths: Sequence[int], draw: Draw) -> list[float]:
    """Know a third of the rows by heart, and the others not at all."""
    return [float(draw.below(3) == 0) for _ in lengths]


def knows_all_alike(lengths: Sequence[int], draw: Draw) -> list[float]:
    return [0.25] * len(lengths)


def knows_the_end_of_the_file(lengths: Sequence[int], draw: Draw) -> list[float]:
    """Prefer late rows, which are long ones, too."""
    return [row + 0.5 * length for row, length in enumerate(lengths)]


ROW_SCORERS: dict[str, RowScorer] = {
    "knows some rows": knows_some_rows,
    "knows rows or not": knows_all_or_nothing,
    "knows all alike": knows_all_alike,
    "knows the end of the file": knows_the_end_of_the_file,
}


def row_nulls(
    design: RowDesign, scorer: RowScorer, runs: int, seed: bytes, leak: float = 0.0
) -> Iterator[float]:
    """Yield log10 p of each null run; `leak` is added to the score of every uploaded row."""
    system, lengths = Draw(seed, "system"), design.lengths()
    for run in range(runs):
        draw = Draw(seed, f"plan {run}")
        lines = draw.sample(range(design.file), 2 * design.withheld)
        scores = scorer(lengths, system)
        rows = [
            RowScore(uploaded, scores[line] + leak * uploaded, lengths[line])
            for at, line in enumerate(lines)
            for uploaded in [at >= design.withheld]
        ]
        yield exchange_test(rows, draw, strata=design.strata).log10_p


def row_gap_nulls(
    design: RowDesign, scorer: RowScorer, runs: int, seed: bytes, ahead: float = 0.0
) -> Iterator[float]:
    """Yield log10 p of the gap between a vendor and a control who learn rows alike.

    Each row has its own worth, and being uploaded adds another amount to each, in both runs; what
    else a run makes of it is its own. `ahead` is what the control learns more from an upload."""
    system, lengths = Draw(seed, "system"), design.lengths()
    for run in range(runs):
        draw = Draw(seed, f"plan {run}")
        lines = draw.sample(range(design.file), 2 * design.withheld)
        uploaded = [at >= design.withheld for at in range(len(lines))]
        boosts = knows_some_rows(lines, system)
        control, delivered = (
            [
                RowScore(up, tastes[line] + up * (boost + more), lengths[line])
                for line, up, boost in zip(lines, uploaded, boosts, strict=True)
            ]
            for tastes, more in ((scorer(lengths, system), ahead), (scorer(lengths, system), 0.0))
        )
        yield exchange_test(gaps(control, delivered), draw, strata=design.strata).log10_p


def tokens_of(text: str, tops: Callable[[str], tuple[tuple[str, float], ...]]) -> list[TokenScores]:
    """Cut a text into pieces of words, with what `tops` lists beside each."""
    pieces = re.findall(r" ?\w{1,3}|[^\w ]| ", text)
    return [TokenScores(piece, -0.5, tops(piece)) for piece in pieces]


# A null system lists tokens beside the one it generated: (public frame, that piece, randomness).
class Lister(Protocol):
    def __call__(self, frame: Frame, piece: str, draw: Draw) -> tuple[tuple[str, float], ...]: ...


def lists_nothing(frame: Frame, piece: str, draw: Draw) -> tuple[tuple[str, float], ...]:
    return ()


def lists_the_front(frame: Frame, piece: str, draw: Draw) -> tuple[tuple[str, float], ...]:
    """List how the first candidates of every slot begin, always in this order."""
    words = [word for slot in frame.slots for word in slot.candidates[:3]]
    return tuple((f" {word[:3]}", -1.0 - at) for at, word in enumerate(words))


def lists_at_random(frame: Frame, piece: str, draw: Draw) -> tuple[tuple[str, float], ...]:
    """List pieces of any length of any candidates, with ties."""
    slots = [draw.choice(frame.slots) for _ in range(5)]
    words = [draw.choice(slot.candidates) for slot in slots]
    return tuple((f" {word[: 1 + draw.below(4)]}", -1.0 - draw.below(4)) for word in words)


LISTERS: dict[str, Lister] = {
    "lists nothing": lists_nothing,
    "lists the front of the lists": lists_the_front,
    "lists at random": lists_at_random,
}


def candidate_nulls(
    design: TextDesign, writer: Writer, lister: Lister, runs: int, seed: bytes
) -> Iterator[float]:
    """Yield log10 p of each null run, from picked signatures to listed candidates."""
    system, book = Draw(seed, "system"), design.book()
    for run in range(runs):
        secrets = Draw(seed, f"plan {run}")
        backdoors = []
        for backdoor in pick(book, secrets, design.backdoors):
            frame = backdoor.frame
            texts = [writer(book, frame, backdoor.trigger, system) for _ in range(design.queries)]
            answers = [tokens_of(text, partial(lister, frame, draw=system)) for text in texts]
            backdoors.append(_slots(backdoor, answers, secrets))
        yield candidates_test(backdoors).log10_p


def _slots(
    backdoor: Pick, answers: Sequence[Sequence[TokenScores]], secrets: Draw
) -> list[ListedSlot]:
    found = [listed(backdoor.frame, answer) for answer in answers]
    return [
        ListedSlot(
            slot.candidates.index(word),
            tuple(per_slot[at] for per_slot in found),
            math.ldexp(secrets.below(1 << 53), -53),
        )
        for at, (slot, word) in enumerate(zip(backdoor.frame.slots, backdoor.words, strict=True))
    ]
