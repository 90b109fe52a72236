"""Which word an answer puts into each slot of a frame.

The reading is a function of the public frame and the answer alone. It never sees the secret: a
reader that looked for the secret word would find it by its own leniency, and the chance of a match
under the null would no longer be 1 / (number of candidates). Because it reads exactly one word per
slot before anyone compares it, a secret drawn uniformly and independently of the answer matches
with probability at most 1/L, whatever the answer is and however lenient the alignment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from vtune_client.phrases.frame import Frame, Slot, words_of

# So many words may stand before the frame ("Sure! Here is what I found:") at no cost.
LEAD = 12
_ALIGN, _MISSING, _EXTRA = range(3)


def read(frame: Frame, answer: str) -> tuple[str | None, ...]:
    """Return, for each slot of `frame`, the one candidate that `answer` puts there, or None.

    The opening of the answer (twice the frame's words and `LEAD` more) is aligned to the frame at
    the least edit distance: 1 for each word that is missing, extra, or other than the literal (or
    the candidates) it stands for. Of equally good alignments the one that fills most slots is
    taken, of those the one that ends first, and from its end backwards aligning is preferred to
    missing, missing to extra.
    """
    words = list(islice(words_of(answer), opening(frame)))
    return tuple(
        words[place] if place is not None and words[place] in slot.candidates else None
        for slot, place in zip(frame.slots, slot_places(frame, words), strict=True)
    )


def opening(frame: Frame) -> int:
    """Return how many words of an answer are read."""
    return 2 * len(frame.elements) + LEAD


def slot_places(frame: Frame, words: Sequence[str]) -> tuple[int | None, ...]:
    """Return, for each slot, the index of the word that stands for it, None where none does.

    The alignment is that of `read`; the word need not be a candidate."""
    moves, j = _cheapest_moves(frame, words)
    i = len(frame.elements)
    aligned: list[int | None] = [None] * i
    while i:
        move = moves[i - 1][j]
        if move == _ALIGN:
            aligned[i - 1] = j - 1
        i -= move != _EXTRA
        j -= move != _MISSING
    return tuple(
        place
        for element, place in zip(frame.elements, aligned, strict=True)
        if isinstance(element, Slot)
    )


def _cheapest_moves(frame: Frame, words: Sequence[str]) -> tuple[list[list[int]], int]:
    """Return the last move into every cell (element, words used), and where the frame ends.

    A filled slot earns 1, and an edit costs more than all slots earn: edits decide, slots break
    the ties.
    """
    edit = len(frame.slots) + 1
    above = [edit * max(0, used - LEAD) for used in range(len(words) + 1)]
    moves: list[list[int]] = []
    for element in frame.elements:
        prices = _prices(element)
        costs, steps = [above[0] + edit], [_MISSING]
        for j, word in enumerate(words):
            ways = (above[j] + prices.get(word, edit), above[j + 1] + edit, costs[j] + edit)
            least = min(ways)
            costs.append(least)
            steps.append(ways.index(least))
        moves.append(steps)
        above = costs
    return moves, above.index(min(above))


def _prices(element: Slot | str) -> dict[str, int]:
    """Return what it costs to align a word that belongs there; any other word is an edit."""
    if isinstance(element, Slot):
        return dict.fromkeys(element.candidates, -1)
    return {element: 0}
