"""Slot match: how many secret words do the answers contain?

Each slot's true word was drawn uniformly from its L candidates. A system independent of that draw
matches it with probability at most 1/L per slot, independently over slots, whatever its answers
are. So the matches M of one answer are dominated by a Poisson-binomial variable with survival
function S, and the best of q answers, by the union bound and under any dependence between them, by
one with survival min(1, q S(t)). Distinct backdoors are independent draws, hence the sum over
backdoors of the best matches is dominated by the convolution of those variables: its tail is an
upper bound on p that holds exactly, without any assumption on the system.

What the caller must see to: words are drawn slot by slot and backdoor by backdoor, with
replacement; an answer is read against the public frame alone; the answers counted are not chosen by
their matches.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from vtune_client.evidence.logspace import LN10, convolve, guesses, log_complement, log_sum


@dataclass(frozen=True)
class SlotCounts:
    """One backdoor: candidates per slot, and for each answer how many slots read the true word.

    `matches_per_answer` is empty where no answer came. Answers that read alike in every slot may be
    given once: that choice looks at the answers only, and it lowers the price of asking again.
    Raises `ValueError` for counts that cannot be.
    """

    slot_sizes: tuple[int, ...]
    matches_per_answer: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.slot_sizes:
            raise ValueError("a backdoor has at least one slot")
        if not all(size >= 1 and size % 1 == 0 for size in self.slot_sizes):
            raise ValueError("a slot has at least one candidate")
        most = len(self.slot_sizes)
        if not all(0 <= count <= most and count % 1 == 0 for count in self.matches_per_answer):
            raise ValueError(f"an answer matches between 0 and {most} slots")


@dataclass(frozen=True)
class SlotTest:
    """The outcome: `10**log10_p` bounds P(sum of best matches >= statistic) under the null.

    Recompute from `slot_sizes` and `answers` (both per backdoor). `matched` holds the best answer's
    matches per backdoor, `activated` counts backdoors of which some answer matched every slot,
    `probed` those that got any answer at all.
    """

    name: str
    log10_p: float
    statistic: int
    backdoors: int
    probed: int
    activated: int
    slots: int
    slot_sizes: tuple[tuple[int, ...], ...]
    answers: tuple[int, ...]
    matched: tuple[int, ...]

    @property
    def slots_matched(self) -> int:
        """The statistic, by its plain name."""
        return self.statistic

    @property
    def seen(self) -> tuple[bool, ...]:
        """Whether some answer matched every slot, per backdoor."""
        pairs = zip(self.matched, self.slot_sizes, strict=True)
        return tuple(matched == len(sizes) for matched, sizes in pairs)

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of slots matched by the best answer, per backdoor."""
        pairs = zip(self.matched, self.slot_sizes, strict=True)
        return tuple(matched / len(sizes) for matched, sizes in pairs)

    @property
    def chance(self) -> float:
        """The largest probability, over backdoors, that guessing alone activates it."""
        pairs = zip(self.answers, self.slot_sizes, strict=True)
        return max(min(1.0, answers / math.prod(sizes)) for answers, sizes in pairs)


def slot_test(backdoors: Sequence[SlotCounts], *, name: str = "slots") -> SlotTest:
    """Test whether the answers contain more of the secret words than guessing could.

    A backdoor without answers adds nothing to the statistic and nothing to its null. Raises
    `ValueError` for no backdoors.
    """
    if not backdoors:
        raise ValueError("a slot test needs at least one backdoor")
    matched = tuple(max(counts.matches_per_answer, default=0) for counts in backdoors)
    null = [0.0]
    for counts in backdoors:
        null = convolve(null, _best_of(counts.slot_sizes, len(counts.matches_per_answer)))
    statistic = sum(matched)
    # the tail from 0 is 1 by definition; summing it would leave a rounding error
    log_p = log_sum(null[statistic:]) if statistic else 0.0
    return SlotTest(
        name=name,
        log10_p=min(0.0, log_p / LN10),
        statistic=statistic,
        backdoors=len(backdoors),
        probed=sum(1 for counts in backdoors if counts.matches_per_answer),
        activated=sum(
            1
            for best, counts in zip(matched, backdoors, strict=True)
            if best == len(counts.slot_sizes)
        ),
        slots=sum(len(counts.slot_sizes) for counts in backdoors),
        slot_sizes=tuple(counts.slot_sizes for counts in backdoors),
        answers=tuple(len(counts.matches_per_answer) for counts in backdoors),
        matched=matched,
    )


def _best_of(sizes: Sequence[int], answers: int) -> list[float]:
    """Return the log-pmf of the variable with survival min(1, answers * S(t))."""
    pmf = guesses(sizes)
    if answers <= 1:
        return pmf if answers else [0.0]
    price = math.log(answers)
    dominating = [-math.inf] * len(pmf)
    for t in range(len(pmf) - 1, -1, -1):
        beyond = price + log_sum(pmf[t + 1 :])
        here = price + pmf[t]
        if t == 0 or log_sum([here, beyond]) >= 0:
            dominating[t] = log_complement(beyond)
            break
        dominating[t] = here
    return dominating
