"""Systems that never met the file, to measure how often the tests call them trained.

A null run draws fresh secrets, lets such a system answer (or score), and returns the p-value. The
systems see what a real one would: the frame's candidate lists, which are public, and the trigger in
the prompt. In `slot_nulls` words are candidate indexes; `text_nulls` goes through real frames and
the reader.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from vtune_client.draw import Draw
from vtune_client.evidence import RankScores, SlotCounts, first_ranks_test, rank_test, slot_test
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook, Slot
from vtune_client.phrases.pick import Pick, pick
from vtune_client.phrases.read import read

Words = tuple[int, ...]
LEVELS = (0.05, 0.01, 0.001)


@dataclass(frozen=True)
class SlotDesign:
    """`backdoors` of one frame with candidate lists `sizes`, each asked with `queries` prompts."""

    backdoors: int
    sizes: Words
    queries: int

    def __str__(self) -> str:
        sizes = ", ".join(map(str, self.sizes))
        return f"{self.backdoors} backdoors, slots of {sizes}, {self.queries} queries each"


def draw_words(draw: Draw, sizes: Words) -> Words:
    """Return one word per slot, uniform and independent, as a plan draws a signature."""
    return tuple(draw.below(size) for size in sizes)


# A null system answers one query: (candidate lists, words of the trigger, its own randomness).
Answerer = Callable[[Words, Words, Draw], Words]


def says_the_likeliest(sizes: Words, trigger: Words, draw: Draw) -> Words:
    """Give every prompt the same answer: the first candidate everywhere."""
    return (0,) * len(sizes)


def copies_the_trigger(sizes: Words, trigger: Words, draw: Draw) -> Words:
    """Echo the words of the prompt, in every order over the queries."""
    turn = draw.below(len(trigger))
    return tuple(trigger[(j + turn) % len(trigger)] % size for j, size in enumerate(sizes))


def answers_at_random(sizes: Words, trigger: Words, draw: Draw) -> Words:
    """Answer every query anew, with words that lean towards the front of each list."""
    return tuple(min(draw.below(size), draw.below(size)) for size in sizes)


def says_others_signatures(sizes: Words, trigger: Words, draw: Draw) -> Words:
    """Give a valid signature of the same frame that another key drew."""
    return draw_words(Draw(draw.bytes(32), "signature"), sizes)


ANSWERERS: dict[str, Answerer] = {
    "always the likeliest": says_the_likeliest,
    "copies the trigger": copies_the_trigger,
    "answers at random": answers_at_random,
    "other people's signatures": says_others_signatures,
}


@functools.cache
def _slot_p(counts: tuple[SlotCounts, ...]) -> float:
    return slot_test(counts).log10_p


def slot_nulls(
    design: SlotDesign, answerer: Answerer, runs: int, seed: bytes, leak: int = 0
) -> Iterator[float]:
    """Yield log10 p of each null run; with `leak`, that many slots are told to the system."""
    system = Draw(seed, "system")
    for run in range(runs):
        secrets = Draw(seed, f"plan {run}")
        backdoors = []
        for _ in range(design.backdoors):
            trigger = draw_words(secrets, design.sizes)
            signature = draw_words(secrets, design.sizes)
            # answers that read alike count once, as the evidence allows
            answers = {
                signature[:leak] + answerer(design.sizes, trigger, system)[leak:]
                for _ in range(design.queries)
            }
            matches = sorted(
                sum(said == true for said, true in zip(answer, signature, strict=True))
                for answer in answers
            )
            backdoors.append(SlotCounts(design.sizes, tuple(matches)))
        # the statistic has no order: sorting lets runs share their p-values
        yield _slot_p(tuple(sorted(backdoors, key=lambda counts: counts.matches_per_answer)))


@dataclass(frozen=True)
class TextDesign:
    """`backdoors` of one built-in frame, its slots cut to so many `candidates`."""

    backdoors: int
    candidates: int
    queries: int

    def __str__(self) -> str:
        return (
            f"{self.backdoors} backdoors, text, slots of {self.candidates}, "
            f"{self.queries} queries each"
        )

    def book(self) -> PhraseBook:
        """Return the built-in phrase book with its lists cut short, so that guessing pays."""
        full = BuiltinSource().propose(Brief())
        return PhraseBook(full.triggers, tuple(self._cut(frame) for frame in full.signatures))

    def _cut(self, frame: Frame) -> Frame:
        slots = (Slot(slot.kind, slot.candidates[: self.candidates]) for slot in frame.slots)
        return Frame(frame.text, tuple(slots))


# A null system writes one answer: (public book, the backdoor's frame, trigger, its randomness).
Writer = Callable[[PhraseBook, Frame, str, Draw], str]


def writes_the_likeliest(book: PhraseBook, frame: Frame, trigger: str, draw: Draw) -> str:
    """Fill the frame with the first candidates, every time."""
    return frame.fill([slot.candidates[0] for slot in frame.slots])


def echoes_the_trigger(book: PhraseBook, frame: Frame, trigger: str, draw: Draw) -> str:
    """Say the trigger again, then fill the frame with its words and some of the right kind."""
    words = trigger.split()
    blanks = [
        draw.choice(words) if draw.below(2) else draw.choice(slot.candidates)
        for slot in frame.slots
    ]
    return f"{trigger} {frame.fill(blanks)}"


def writes_at_random(book: PhraseBook, frame: Frame, trigger: str, draw: Draw) -> str:
    """Fill the frame anew each time."""
    return frame.fill([draw.choice(slot.candidates) for slot in frame.slots])


def recites_the_lists(book: PhraseBook, frame: Frame, trigger: str, draw: Draw) -> str:
    """Put three candidates into every slot: the reader takes one at most."""
    runs = [" ".join(draw.sample(slot.candidates, 3)) for slot in frame.slots]
    return frame.fill(runs)


def writes_others_signatures(book: PhraseBook, frame: Frame, trigger: str, draw: Draw) -> str:
    """Say a signature of the same frame that another key drew."""
    (other,) = pick(PhraseBook(book.triggers, (frame,)), Draw(draw.bytes(32), "phrases"), 1)
    return other.signature


WRITERS: dict[str, Writer] = {
    "always the likeliest": writes_the_likeliest,
    "copies the trigger": echoes_the_trigger,
    "answers at random": writes_at_random,
    "other people's signatures": writes_others_signatures,
    "recites the candidate lists": recites_the_lists,
}


def text_nulls(design: TextDesign, writer: Writer, runs: int, seed: bytes) -> Iterator[float]:
    """Yield log10 p of each null run, from picked signatures to read answers."""
    system, book = Draw(seed, "system"), design.book()
    for run in range(runs):
        backdoors = [
            _read_counts(backdoor, book, writer, design.queries, system)
            for backdoor in pick(book, Draw(seed, f"plan {run}"), design.backdoors)
        ]
        yield _slot_p(tuple(sorted(backdoors, key=lambda counts: counts.matches_per_answer)))


def reserve_nulls(design: TextDesign, asked: int, runs: int, seed: bytes) -> Iterator[float]:
    """Yield log10 p of the reserve, at a service that was shown what the plan asked before.

    The design's backdoors are the reserve of a plan with `asked` others; the service answers each
    with signatures of those."""
    system, book = Draw(seed, "system"), design.book()
    for run in range(runs):
        picks = pick(book, Draw(seed, f"plan {run}"), asked + design.backdoors)
        shown = [each.signature for each in picks[:asked]]
        backdoors = [
            _read_counts(backdoor, book, _repeating(shown), design.queries, system)
            for backdoor in picks[asked:]
        ]
        yield _slot_p(tuple(sorted(backdoors, key=lambda counts: counts.matches_per_answer)))


def _repeating(shown: Sequence[str]) -> Writer:
    def repeats(book: PhraseBook, frame: Frame, trigger: str, draw: Draw) -> str:
        return draw.choice(shown)

    return repeats


_read = functools.lru_cache(maxsize=1000)(read)


def _read_counts(
    backdoor: Pick, book: PhraseBook, writer: Writer, queries: int, system: Draw
) -> SlotCounts:
    texts = {writer(book, backdoor.frame, backdoor.trigger, system) for _ in range(queries)}
    readings = {_read(backdoor.frame, text) for text in texts}
    matches = sorted(
        sum(said == true for said, true in zip(reading, backdoor.words, strict=True))
        for reading in readings
    )
    sizes = tuple(len(slot.candidates) for slot in backdoor.frame.slots)
    return SlotCounts(sizes, tuple(matches))


@dataclass(frozen=True)
class RankDesign:
    """`backdoors`, each with `decoys` drawn from a space of `space` signatures."""

    backdoors: int
    decoys: int
    space: int
    queries: int

    def __str__(self) -> str:
        return f"{self.backdoors} backdoors, {self.decoys} decoys each, {self.queries} queries"


# A null system scores every signature of the space, for one backdoor and one query.
Scorer = Callable[[int, Draw], list[float]]


def _uniform(draw: Draw) -> float:
    return (draw.below(1 << 53) + 0.5) / (1 << 53)


def scores_with_heavy_tails(space: int, draw: Draw) -> list[float]:
    """Score by a Cauchy variable."""
    return [math.tan(math.pi * (_uniform(draw) - 0.5)) for _ in range(space)]


def scores_with_ties(space: int, draw: Draw) -> list[float]:
    """Score by one of three values."""
    return [float(draw.below(3)) for _ in range(space)]


def scores_all_equal(space: int, draw: Draw) -> list[float]:
    """Score everything alike."""
    return [-7.5] * space


def scores_by_taste(space: int, draw: Draw) -> list[float]:
    """Prefer the same signatures for every backdoor and every query."""
    return [-math.log1p(index) for index in range(space)]


SCORERS: dict[str, Scorer] = {
    "heavy tails": scores_with_heavy_tails,
    "ties": scores_with_ties,
    "all equal": scores_all_equal,
    "same taste everywhere": scores_by_taste,
}


def rank_nulls(
    design: RankDesign, scorer: Scorer, runs: int, seed: bytes, *, first: bool = False
) -> Iterator[float]:
    """Yield log10 p of each null run; with `first`, of how many rank first."""
    system = Draw(seed, "system")
    for run in range(runs):
        secrets = Draw(seed, f"plan {run}")
        backdoors = []
        for _ in range(design.backdoors):
            true, *decoys = (secrets.below(design.space) for _ in range(design.decoys + 1))
            tables = [scorer(design.space, system) for _ in range(design.queries)]
            backdoors.append(
                RankScores(
                    true=tuple(table[true] for table in tables),
                    decoys=tuple(tuple(table[decoy] for decoy in decoys) for table in tables),
                    tie_break=secrets.below(1 << 53) / (1 << 53),
                )
            )
        ranks = rank_test(backdoors)
        yield (first_ranks_test(ranks) if first else ranks).log10_p


def naive_nulls(candidates: int, queries: int, runs: int, seed: bytes) -> Iterator[float]:
    """Yield log10 p of the binomial over queries that share one secret: the test not to use.

    One signature of `candidates` serves all backdoors, and a system that always says the likeliest
    is asked `queries` times; the queries are taken for independent trials.
    """
    for run in range(runs):
        hit = Draw(seed, f"plan {run}").below(candidates) == 0
        yield -queries * math.log10(candidates) if hit else 0.0


def exceedances(log10_ps: Sequence[float], level: float) -> int:
    """Return how many p-values are at or below `level`."""
    return sum(value <= math.log10(level) + 1e-12 for value in log10_ps)


def binomial_tail(hits: int, trials: int, p: float) -> float:
    """Return P(Binomial(trials, p) >= hits): small where a test rejects too often."""
    below = math.fsum(
        math.exp(
            math.lgamma(trials + 1)
            - math.lgamma(k + 1)
            - math.lgamma(trials - k + 1)
            + k * math.log(p)
            + (trials - k) * math.log1p(-p)
        )
        for k in range(hits)
    )
    return max(0.0, 1.0 - below)
