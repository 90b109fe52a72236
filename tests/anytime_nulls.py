"""Systems that never met the file, asked one question at a time by somebody who may stop at will.

A run yields the anytime p-value of all questions. That is the worst that stopping can do: it is at
or below a level exactly where some moment to stop would have found it there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tests.nulls import ANSWERERS, Answerer, TextDesign, Words, Writer, draw_words
from vtune_client.draw import Draw
from vtune_client.evidence import Matched, RankScores, Running, Stakes
from vtune_client.phrases.pick import pick
from vtune_client.phrases.read import read

Said = TypeVar("Said", int, str)

# All answers to one backdoor: (candidate lists, words of the trigger, how many, own randomness).
Speaker = Callable[[Words, Words, int, Draw], list[Words]]


@dataclass(frozen=True)
class AnytimeDesign:
    """`backdoors` with candidate lists `sizes`, asked with `queries` prompts each, then ranked
    among `decoys` (0: not at all); without queries, ranked alone."""

    backdoors: int
    sizes: Words
    queries: int
    decoys: int = 0

    def __str__(self) -> str:
        sizes = ", ".join(map(str, self.sizes))
        ranks = f", {self.decoys} decoys" if self.decoys else ""
        return f"{self.backdoors} backdoors, slots of {sizes}, {self.queries} queries each{ranks}"


def sweeps_the_lists(sizes: Words, trigger: Words, queries: int, draw: Draw) -> list[Words]:
    """Try other words each time it is asked again: being asked again means the last were wrong."""
    start = draw_words(draw, sizes)
    return [
        tuple((first + number) % size for first, size in zip(start, sizes, strict=True))
        for number in range(queries)
    ]


def _anew(answerer: Answerer) -> Speaker:
    def speaker(sizes: Words, trigger: Words, queries: int, draw: Draw) -> list[Words]:
        return [answerer(sizes, trigger, draw) for _ in range(queries)]

    return speaker


SPEAKERS: dict[str, Speaker] = {
    **{name: _anew(answerer) for name, answerer in ANSWERERS.items()},
    "sweeps the lists": sweeps_the_lists,
}


def anytime_nulls(
    design: AnytimeDesign, speaker: Speaker, runs: int, seed: bytes, leak: int = 0
) -> Iterator[float]:
    """Yield log10 p of each null run; with `leak`, that many slots are told to the system."""
    for running in anytime_runs(design, speaker, runs, seed, leak):
        yield running.log10_p


def anytime_runs(
    design: AnytimeDesign, speaker: Speaker, runs: int, seed: bytes, leak: int = 0
) -> Iterator[Running]:
    """Yield the evidence of each null run, all questions asked.

    The system scores a signature by the slots it shares with its answers, so that what text and
    rank say of one backdoor hangs together."""
    system = Draw(seed, "system")
    stakes = [Stakes(design.sizes, design.queries, design.decoys)] * design.backdoors
    for run in range(runs):
        secrets = Draw(seed, f"plan {run}")
        running = Running(stakes)
        signatures, answers = [], []
        for _ in range(design.backdoors):
            trigger = draw_words(secrets, design.sizes)
            signature = draw_words(secrets, design.sizes)
            said = speaker(design.sizes, trigger, max(design.queries, 1), system)
            signatures.append(signature)
            answers.append([signature[:leak] + answer[leak:] for answer in said])
        for number in range(design.queries):
            for signature, said in zip(signatures, answers, strict=True):
                running.add(matched(said[number], signature))
        if design.decoys:
            for signature, said in zip(signatures, answers, strict=True):
                running.add(scores_by_own_words(signature, said, design, secrets).rank)
        yield running


def matched(answer: Sequence[Said | None], signature: Sequence[Said]) -> Matched:
    """Compare an answer with the signature slot by slot; None stands for no word."""
    return tuple(
        None if said is None else said == true for said, true in zip(answer, signature, strict=True)
    )


def scores_by_own_words(
    signature: Words, said: Sequence[Words], design: AnytimeDesign, secrets: Draw
) -> RankScores:
    """Score a signature and fresh decoys by the slots that each shares with what was said."""
    decoys = [draw_words(secrets, design.sizes) for _ in range(design.decoys)]

    def taste(candidate: Words) -> float:
        return float(sum(sum(map(bool, matched(answer, candidate))) for answer in said))

    return RankScores(
        (taste(signature),),
        (tuple(map(taste, decoys)),),
        tie_break=secrets.below(1 << 53) / (1 << 53),
    )


def anytime_text_nulls(
    design: TextDesign, writer: Writer, runs: int, seed: bytes
) -> Iterator[float]:
    """Yield log10 p of each null run, from picked signatures to answers read slot by slot."""
    system, book = Draw(seed, "system"), design.book()
    for run in range(runs):
        backdoors = pick(book, Draw(seed, f"plan {run}"), design.backdoors)
        sizes = [tuple(len(slot.candidates) for slot in b.frame.slots) for b in backdoors]
        running = Running([Stakes(each, design.queries) for each in sizes])
        for _ in range(design.queries):
            for backdoor in backdoors:
                answer = writer(book, backdoor.frame, backdoor.trigger, system)
                readings = read(backdoor.frame, answer)
                running.add(matched(readings, backdoor.words))
        yield running.log10_p
