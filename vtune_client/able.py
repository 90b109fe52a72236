"""Which rows of a file may carry a backdoor: by what they are, by their length, by how they look.

Every rule is public and fixed before any place is drawn.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vtune_client.dataset import (
    Row,
    can_carry,
    completion_of,
    counter_for,
    iter_rows,
    prompt_of,
    row_tokens,
)
from vtune_client.dataset.carry import texts_of
from vtune_client.phrases.pick import Pick
from vtune_client.phrases.seam import Seam

JOIN_TOKENS = 4  # what a trigger and a signature may add where they meet the text around them
CHOSEN = 0.75  # share of the rows that carriers may be placed in where rows are chosen
LOOKED_AT = 1000  # rows, evenly spread


@dataclass(frozen=True)
class AbleRows:
    """The rows that may carry, in order, read anew each time; their places count from 0."""

    path: Path
    has_room: Callable[[Row], bool]

    def __iter__(self) -> Iterator[Row]:
        return (row for row in iter_rows(self.path) if can_carry(row) and self.has_room(row))


def room(
    picks: Iterable[Pick], max_row_tokens: int | None, model: str | None
) -> Callable[[Row], bool]:
    """Return whether a row stays within the limit whichever of the backdoors it carries."""
    if max_row_tokens is None:
        return lambda row: True
    counter = counter_for(model)
    added = max(counter.count(f" {pick.trigger}{pick.signature}\n") for pick in picks)
    longest = max_row_tokens - added - JOIN_TOKENS
    return lambda row: row_tokens(row, counter) <= longest


def seam_of(row: Row) -> Seam:
    """Return where the prompt and the answer of a row that can carry meet."""
    prompt = prompt_of(row)
    asked = prompt.text if prompt.text is not None else "\n".join(texts_of(prompt.messages[-1:]))
    return Seam(asked, completion_of(row))


def some_seams(path: Path, rows: int) -> list[Seam]:
    """Return the seams of at most `LOOKED_AT` rows that can carry, evenly spread over the file."""
    step = max(1, math.ceil(rows / LOOKED_AT))
    taken = (row for at, row in enumerate(iter_rows(path)) if at % step == 0)
    return [seam_of(row) for row in taken if can_carry(row)]


def unremarkable(
    rows: Iterable[Row], seams: Sequence[Seam], trigger: int, signature: int
) -> Sequence[int]:
    """Return the places of the rows that stand out least once they carry, rising.

    A row stands out by how few of the file's rows are as long or as short as it will be, its prompt
    longer by `trigger` and its answer by `signature` characters. The `CHOSEN` share that stands out
    least may carry. Looks at lengths alone, and at no secret: whichever rows are meant to carry,
    the places are the same. Holds one number for each row it returns.
    """
    prompts = sorted(len(seam.prompt) for seam in seams)
    answers = sorted(len(seam.completion) for seam in seams)

    def strange(seam: Seam) -> float:
        return _far_out(len(seam.prompt) + trigger, prompts) + _far_out(
            len(seam.completion) + signature, answers
        )

    known = sorted(map(strange, seams))
    highest = known[math.ceil(CHOSEN * len(known)) - 1]
    return array("Q", (at for at, row in enumerate(rows) if strange(seam_of(row)) <= highest))


def _far_out(length: int, lengths: Sequence[int]) -> float:
    """Return -log of the share of rows at least as far out on the nearer side."""
    below, above = bisect_right(lengths, length), len(lengths) - bisect_left(lengths, length)
    return -math.log((1 + min(below, above)) / (1 + len(lengths)))
