"""Asking one question at a time, and stopping when it is enough, without spoiling the evidence.

**The process.** The questions stand in an order fixed in advance: the first prompt of every
backdoor, the second of every backdoor, ..., then all ranks. After each result,
E = product over the backdoors begun of (aside + sum over results so far of stake x e-value), see
`evalues`: questions not asked count 0, backdoors not begun count 1.

**Why it may be stopped at any time.** Hold the system's own randomness fixed. The order is fixed
and the system sees no result, so what it would answer to the t-th question is the same whether or
not we get that far. Answers then depend on nothing else that we drew; scores depend on the lineups
too, which leave open which candidate is the true one. Let m_i be the factor of backdoor i once all
its results are in, and M their product. Multiplied out, each term of M takes from a backdoor its
answers or its rank, never both; given all lineups and the other secrets a rank has mean 1, and then
the answers to distinct secrets do: E[M] = 1, and just so E[m_(j+1) ... m_n | secrets 1..j] = 1. So
K_j = E[M | secrets 1..j], with M itself as the last, is a martingale that starts at 1. A factor,
once begun, only grows with results. Hence E <= K_J at every moment, J being the number of backdoors
begun: for J = n because E <= M, for J < n (while first prompts are asked) because M is at least the
factors so far times m_(J+1) ... m_n. Where there are ranks alone, hold the lineups fixed as well.
(1) Ville: P(E ever reaches 1/alpha) <= P(K ever does) <= alpha. So 1 / (largest E so far) is a
p-value at every moment at once.
(2) Stop by any rule that looks at the results so far. Whether that happens at J = j is decided by
the first j secrets, so J is a stopping time for K, and E[E at the stop] <= E[K_J] = 1: E at the
stop is an e-value, as e-BH needs.

The filtration is that of backdoors, not of answers. Within one backdoor nothing is a martingale:
the sum of its stakes is valid only because what is not asked counts 0.

**What this allows.** Stop whenever results say so; go on later where it stopped. Skip questions
only for a reason that no match had a part in (`Running.skip_text`). Results that chose the *next
question* would show in the questions, and the system sees those: so the order is fixed.

**What it costs the other tests.** Where asking stopped because of what was seen, the p-values of
`slot_test` and `rank_test` and the bound on the share of rows are not valid: they belong to
questions whose number was fixed in advance. Only the anytime p-value is, and by itself: with Holm
over tests that count only where nothing stopped early, the errors of both ways add up.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from vtune_client.evidence.evalues import (
    ASIDE,
    Matched,
    Stakes,
    backdoor_log10_e,
    rank_log10_e,
    slot_log10_e,
)
from vtune_client.evidence.logspace import LN10, log_sum

Result = Matched | int
"""An answer slot by slot, or a rank, 1 for the best."""

# What `unlikely` waits for: an answer of each backdoor may be a fluke, two are a trend.
LOOKS = 2


@dataclass(frozen=True)
class Question:
    """The next answer, or the rank, of a backdoor (counted from 0)."""

    backdoor: int
    ranked: bool


@dataclass(frozen=True)
class AnytimeTest:
    """The outcome: `10**log10_p` bounds P(E ever got that large) under the null.

    `log10_e` is E when asking ended. Recompute both by `replay(stakes, results)`; `planned` counts
    the questions that could have been asked.
    """

    name: str
    log10_p: float
    log10_e: float
    backdoors: int
    planned: int
    stakes: tuple[Stakes, ...]
    results: tuple[Result, ...]


class Running:
    """The evidence so far of questions asked in the order of `left`.

    Raises `ValueError` for no backdoors, or some with prompts and some without.
    """

    def __init__(self, backdoors: Sequence[Stakes]) -> None:
        if not backdoors:
            raise ValueError("anytime evidence needs at least one backdoor")
        if len({stakes.prompts > 0 for stakes in backdoors}) > 1:
            raise ValueError("either every backdoor is asked with prompts, or none is")
        self._backdoors = tuple(backdoors)
        self._left = _order(self._backdoors)
        self._planned = len(self._left)
        self._results: list[Result] = []
        self._answers: list[list[Matched]] = [[] for _ in backdoors]
        self._ranks: list[int | None] = [None for _ in backdoors]
        self._factors = [0.0 for _ in backdoors]
        self._peak = 0.0

    @property
    def left(self) -> tuple[Question, ...]:
        """The questions still to be asked, in their order."""
        return tuple(self._left)

    @property
    def log10_e(self) -> float:
        """log10 of E now: an e-value if asking ends here."""
        return math.fsum(self._factors)

    @property
    def log10_p(self) -> float:
        """log10 of the anytime p-value, 1 / (largest E so far); never above 0."""
        return -self._peak

    def add(self, result: Result) -> None:
        """Take the result of the first question left.

        Raises `ValueError` where that question has another kind of result, or none is left."""
        question = self._left[0] if self._left else None
        if question is None or question.ranked != isinstance(result, int):
            raise ValueError("results come in the order of the questions, one each")
        backdoor = question.backdoor
        answers, rank = self._answers[backdoor], self._ranks[backdoor]
        if isinstance(result, int):
            rank = result
        else:
            answers = [*answers, result]
        factor = backdoor_log10_e(self._backdoors[backdoor], answers, rank)
        self._answers[backdoor], self._ranks[backdoor] = answers, rank
        self._factors[backdoor] = factor
        self._results.append(result)
        del self._left[0]
        self._peak = max(self._peak, self.log10_e)

    def skip_text(self) -> None:
        """Go on with the ranks at once.

        Only where every backdoor was asked and no answer held a word in any slot: then no match had
        a part in the decision. Raises `ValueError` otherwise."""
        if not all(self._answers):
            raise ValueError("text is skipped only once every backdoor was asked")
        if any(hit is not None for answers in self._answers for m in answers for hit in m):
            raise ValueError("text is skipped only while no answer reads as a signature")
        self._left = [question for question in self._left if question.ranked]

    def reached(self, alpha: float) -> bool:
        """Tell whether the anytime p-value is at most `alpha`."""
        return self.log10_p <= _log10(alpha)

    def hopeless(self, alpha: float, left: int | None = None) -> bool:
        """Tell whether perfect results to the next `left` questions would not reach `alpha` either.

        None: to all that are left. Nothing is lost by stopping then."""
        best, factors = self._peak, list(self._factors)
        begun = [bool(a) or r is not None for a, r in zip(self._answers, self._ranks, strict=True)]
        for question in self._left[:left]:
            i = question.backdoor
            so_far = factors[i] if begun[i] else math.log10(ASIDE)
            gain = _perfect(self._backdoors[i], question.ranked)
            factors[i], begun[i] = log_sum([so_far * LN10, gain * LN10]) / LN10, True
            best = max(best, math.fsum(factors))
        return -best > _log10(alpha)

    def unlikely(self, alpha: float) -> bool:
        """Tell whether `alpha` is out of reach if the answers left are like those that came.

        A rule of thumb, to save queries: it may stop what would have got there, and never touches
        validity. It speaks once every backdoor has two answers (or all it was to have), counts each
        at the mean of its answers so far, and takes ranks still open for perfect, since scores show
        far more than text.
        """
        threshold = _log10(alpha)
        waiting = any(
            len(answers) < min(LOOKS, stakes.prompts)
            for answers, stakes in zip(self._answers, self._backdoors, strict=True)
        )
        if waiting or self.reached(alpha):
            return False
        projected = map(_projected, self._backdoors, self._answers, self._ranks)
        return -math.fsum(projected) > threshold

    def outcome(self, name: str = "anytime") -> AnytimeTest:
        """Return the evidence so far, as it goes into a verdict."""
        return AnytimeTest(
            name=name,
            log10_p=self.log10_p,
            log10_e=self.log10_e,
            backdoors=len(self._backdoors),
            planned=self._planned,
            stakes=self._backdoors,
            results=tuple(self._results),
        )


def replay(backdoors: Sequence[Stakes], results: Iterable[Result]) -> Running:
    """Return the evidence of these results, a rank that comes early meaning that text was skipped.

    Raises `ValueError` as `Running` does."""
    running = Running(backdoors)
    for result in results:
        if isinstance(result, int) and running.left and not running.left[0].ranked:
            running.skip_text()
        running.add(result)
    return running


def _order(backdoors: Sequence[Stakes]) -> list[Question]:
    numbers = range(max(stakes.prompts for stakes in backdoors))
    texts = [
        Question(index, ranked=False)
        for number in numbers
        for index, stakes in enumerate(backdoors)
        if number < stakes.prompts
    ]
    ranks = [Question(index, ranked=True) for index, s in enumerate(backdoors) if s.decoys]
    return texts + ranks


def _perfect(stakes: Stakes, ranked: bool) -> float:
    """Return log10 of what the best possible result adds to a backdoor's e-value."""
    if ranked:
        return math.log10(stakes.on_rank) + rank_log10_e(1, stakes.decoys)
    all_true = (True,) * len(stakes.slot_sizes)
    each = stakes.on_answers / stakes.prompts
    return math.log10(each) + slot_log10_e(stakes.slot_sizes, all_true)


def _projected(stakes: Stakes, answers: Sequence[Matched], rank: int | None) -> float:
    """Return log10 of a backdoor's e-value if the answers left are like the mean of those here."""
    parts = [math.log10(ASIDE)]
    if answers:
        each = math.log10(stakes.on_answers / len(answers))
        parts += [each + slot_log10_e(stakes.slot_sizes, matched) for matched in answers]
    if stakes.decoys:
        parts.append(math.log10(stakes.on_rank) + rank_log10_e(rank or 1, stakes.decoys))
    return log_sum([part * LN10 for part in parts]) / LN10


def _log10(alpha: float) -> float:
    if not 0 < alpha < 1:
        raise ValueError("alpha lies within (0, 1)")
    return math.log10(alpha)
