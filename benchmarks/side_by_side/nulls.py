"""How often each test calls a system trained that never met the file.

Simulated systems answer with words for the slots of a frame. Real ones are models: the base, one
trained on other rows, and one trained on other secrets (what a vendor delivers to its other
customers, say). An answer cannot depend on a signature that nobody told the system, so each set of
answers is held against many signatures, drawn afresh.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from benchmarks.gauntlet.drill import PROVIDER, Planting
from benchmarks.side_by_side import schemes
from benchmarks.side_by_side.jobs import (
    Job,
    Reading,
    Scores,
    ask,
    lineup_of,
    lineup_scores,
    matched,
    over,
    serving,
)
from vtune_client.dataset import asked
from vtune_client.draw import Draw
from vtune_client.evidence import RankScores, SlotCounts, holm, rank_test, slot_test
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook
from vtune_client.phrases.pick import pick
from vtune_client.phrases.read import read
from vtune_client.probe import decoding_for
from vtune_client.provider import Decoding, Endpoint, endpoint_of

LEVELS = (1e-3, 1e-6)
SEED = b"vtune benchmark side by side"
BASE, OTHER_ROWS, OTHER_SECRETS = "the base", "trained on other rows", "trained on other secrets"
REAL = {BASE: "base-model", OTHER_ROWS: "other-data", OTHER_SECRETS: "honest"}
TEMPERATURES = (0.3, 0.1)  # at which a model writes signatures: the cooler, the fewer it writes
LEAST_WORDS = 6
LEAST_LOG = -600.0  # smaller chances than that are no floats


@dataclass(frozen=True)
class Size:
    """How much is drawn: `simulated` signatures for each simulated system; for each real one
    `triggers`, each with `signatures` drawn for it and `written` by a model."""

    simulated: int = 20_000
    triggers: int = 20
    signatures: int = 500
    written: int = 25
    redraws: int = 200


Tally = dict[str, dict[str, int]]  # test -> "runs", and for each level how many were at or below


def tally(p_values: Mapping[str, Sequence[float]]) -> Tally:
    """Count the log10 p of each test."""
    return {
        test: {
            "runs": len(found),
            **{
                f"{level:g}": sum(p <= math.log10(level) + 1e-12 for p in found) for level in LEVELS
            },
        }
        for test, found in p_values.items()
    }


def added(tallies: Sequence[Tally]) -> Tally:
    """Add up what several files showed."""
    total: dict[str, Counter[str]] = {}
    for each in tallies:
        for test, counts in each.items():
            total.setdefault(test, Counter()).update(counts)
    return {test: dict(counts) for test, counts in total.items()}


# What counts as a hit of one pair: so many of its 8 words, or the last of them alone.
EXACT, HALF, TWO, ONE_WORD = (
    "pair: all words",
    "pair: half of the words or more",
    "pair: two words or more",
    "pair of one word",
)


@cache
def _chance(sizes: tuple[int, ...], least: int) -> float:
    return schemes.at_least(least, sizes)


@cache
def _nominal(hits: int, queries: int, log_chance: float) -> float:
    return schemes.nominal(hits, queries, log_chance)


def binomials(
    readings: Sequence[Reading], words: Sequence[str], sizes: tuple[int, ...]
) -> dict[str, float]:
    """Return the binomial's log10 p of one pair's answers, for everything that counts as a hit."""
    unlike = Counter(readings)
    counts = Counter[int]()
    last = 0
    for reading, times in unlike.items():
        counts[matched(reading, words)] += times
        last += times * (reading[-1] == words[-1])
    found = {}
    for test, least in ((EXACT, len(sizes)), (HALF, len(sizes) // 2), (TWO, 2)):
        hits = sum(times for match, times in counts.items() if match >= least)
        found[test] = _nominal(hits, len(readings), _chance(sizes, least))
    found[ONE_WORD] = _nominal(last, len(readings), -math.log(sizes[-1]))
    return found


# A simulated system: (candidates of each slot, queries, its randomness) -> its answers.
Speaker = Callable[[Sequence[Sequence[str]], int, Draw], list[Reading]]


def says_the_likeliest(slots: Sequence[Sequence[str]], queries: int, draw: Draw) -> list[Reading]:
    """Give the same answer to everything."""
    return [tuple(words[0] for words in slots)] * queries


def says_one_thing(slots: Sequence[Sequence[str]], queries: int, draw: Draw) -> list[Reading]:
    """Answer from what all queries share: the words of the trigger, say."""
    return [tuple(draw.choice(words) for words in slots)] * queries


def favours_some(slots: Sequence[Sequence[str]], queries: int, draw: Draw) -> list[Reading]:
    """Choose each word anew, the first ones oftener: the least of four drawn places."""
    return [
        tuple(words[min(draw.below(len(words)) for _ in range(4))] for words in slots)
        for _ in range(queries)
    ]


SPEAKERS: dict[str, Speaker] = {
    "always the likeliest": says_the_likeliest,
    "copies from the prompt": says_one_thing,
    "favours some words": favours_some,
}


def simulated(speaker: Speaker, runs: int, queries: int, slots: int = 8, size: int = 32) -> Tally:
    """Return how often the binomial rejects a simulated system."""
    lists = [[f"{slot} {word}" for word in range(size)] for slot in range(slots)]
    secrets, system = Draw(SEED, "secrets"), Draw(SEED, "system")
    found: dict[str, list[float]] = {}
    for _ in range(runs):
        words = [secrets.choice(each) for each in lists]
        for test, p in binomials(speaker(lists, queries, system), words, (size,) * slots).items():
            found.setdefault(test, []).append(p)
    return tally(found)


def real(job: Job, system: str, other: int, size: Size) -> Tally:
    """Return how often each test rejects a real system, asked about the file of `job`; `other` is
    the seed of the file whose secrets the system knows, where it knows any."""
    return asyncio.run(_real(job, system, other, size))


async def _real(job: Job, system: str, other: int, size: Size) -> Tally:
    sides = job.sides
    pair, marks, ours = (job.planting(each) for each in (sides.pair, sides.marks, sides.ours))
    told_others = system == OTHER_SECRETS
    elsewhere = replace(job, vendor=REAL[system], seed=other if told_others else job.seed)
    # A vendor's other customer may well have been given the same frame: the harder case.
    [known] = (elsewhere.planting(sides.pair) if told_others else pair).plan.backdoors
    draw = Draw(pair.key.derive("side by side"), f"null {system}")
    async with serving(endpoint_of(PROVIDER, {}), elsewhere.model(sides.pair)) as served:
        told = await _answers(served, pair, known.frame, size.triggers, draw)
        readings = await _readings(served, ours)
        by_pair, by_marks, by_ours = [await lineup_scores(served, x) for x in (pair, marks, ours)]
    async with serving(endpoint_of(PROVIDER, {}), job.base()) as base:
        gained = over(by_ours, await lineup_scores(base, ours))
        written = await _written(base, pair, told, size.written, draw)
    drawn = _of_drawn(told, known.frame, size.signatures, draw)
    redraws = range(size.redraws)
    return tally(
        {
            **drawn,
            **written,
            "mark, by score": [_ranks(by_pair, _chosen(by_pair, draw), draw) for _ in redraws],
            "marks, by score": [_ranks(by_marks, _chosen(by_marks, draw), draw) for _ in redraws],
            "ours": [_verdict(ours, readings, gained, draw) for _ in redraws],
        }
    )


Told = dict[str, list[str]]  # trigger -> answers


async def _answers(
    served: Endpoint, pair: Planting, frame: Frame, triggers: int, draw: Draw
) -> Told:
    """Ask with fresh triggers, each appended to all prompts of the pair."""
    [backdoor], told = pair.plan.backdoors, {}
    book = PhraseBook(BuiltinSource().propose(Brief()).triggers, (frame,))
    for _ in range(triggers):
        [fresh] = pick(book, draw, 1)
        prompts = [asked(prompt, fresh.trigger) for prompt in (*backdoor.own, *backdoor.fresh)]
        told[fresh.trigger] = await ask(served, prompts, decoding_for(pair.plan))
    return told


def _of_drawn(told: Told, frame: Frame, signatures: int, draw: Draw) -> dict[str, list[float]]:
    """Hold the answers to each trigger against signatures drawn for it."""
    found: dict[str, list[float]] = {}
    sizes = tuple(len(slot.candidates) for slot in frame.slots)
    for answers in told.values():
        readings = [read(frame, answer) for answer in answers]
        for _ in range(signatures):
            words = [draw.choice(slot.candidates) for slot in frame.slots]
            for test, p in binomials(readings, words, sizes).items():
                found.setdefault(test, []).append(p)
    return found


async def _written(
    writer: Endpoint, pair: Planting, told: Told, count: int, draw: Draw
) -> dict[str, list[float]]:
    """Hold the answers to each trigger against signatures that a model writes for it.

    A signature's chance under the null is taken to be the writer's own probability of it."""
    [backdoor] = pair.plan.backdoors
    longest = decoding_for(pair.plan).max_tokens
    found: dict[str, list[float]] = {}
    for trigger, answers in told.items():
        prompt = asked(backdoor.fresh[0], trigger)
        for heat in TEMPERATURES:
            decoding = Decoding(longest, temperature=heat, seed=draw.below(1 << 32))
            lines = [
                text.partition("\n")[0] for text in await ask(writer, [prompt] * count, decoding)
            ]
            texts = [line for line in lines if len(line.split()) >= LEAST_WORDS]
            own = list(await writer.score(prompt, texts)) if texts else []
            ps = found.setdefault(f"pair that a model wrote at temperature {heat:g}", [])
            for text, log_chance in zip(texts, own, strict=True):
                hits = sum(answer.startswith(text) for answer in answers)
                ps.append(schemes.nominal(hits, len(answers), max(log_chance, LEAST_LOG)))
    return found


async def _readings(served: Endpoint, ours: Planting) -> list[set[Reading]]:
    """Return how the answers about each of our backdoors read."""
    decoding = decoding_for(ours.plan)
    return [
        {read(each.frame, text) for text in await ask(served, each.probes(), decoding)}
        for each in ours.plan.backdoors
    ]


def _chosen(scores: Scores, draw: Draw) -> list[int]:
    """Draw again which candidate of each lineup is the true one."""
    return [draw.below(len(row)) for row in scores]


def _ranks(scores: Scores, chosen: Sequence[int], draw: Draw) -> float:
    ranked = [
        RankScores((row[at],), ((*row[:at], *row[at + 1 :]),), draw.below(1 << 53) / (1 << 53))
        for row, at in zip(scores, chosen, strict=True)
    ]
    return rank_test(ranked).log10_p


def _words_of(signature: str, frame: Frame) -> list[str]:
    """Return the words that fill the frame of a signature."""
    return [word for word in read(frame, signature) if word is not None]


def _verdict(ours: Planting, readings: list[set[Reading]], gained: Scores, draw: Draw) -> float:
    """Return our log10 p, text and ranks together, with other candidates for the true ones."""
    chosen, counts = _chosen(gained, draw), []
    for index, (backdoor, at) in enumerate(zip(ours.plan.backdoors, chosen, strict=True)):
        words = _words_of(lineup_of(ours, index)[at], backdoor.frame)
        sizes = tuple(len(slot.candidates) for slot in backdoor.frame.slots)
        matches = tuple(matched(reading, words) for reading in readings[index])
        counts.append(SlotCounts(sizes, matches))
    tests = {"slots": slot_test(counts).log10_p, "ranks": _ranks(gained, chosen, draw)}
    return min(holm(tests).values())
