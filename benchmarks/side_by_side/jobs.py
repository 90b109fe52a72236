"""One job under one scheme: plant, let the vendor train and serve, ask, test."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.gauntlet.base import base_at
from benchmarks.gauntlet.drill import PROVIDER, Planting, Setting, deliver, run_cell
from benchmarks.side_by_side import schemes
from benchmarks.side_by_side.schemes import Sides
from vtune_client.dataset import Prompt, asked, iter_rows, texts
from vtune_client.draw import Draw
from vtune_client.evidence import RankScores, SlotCounts, rank_test, slot_test
from vtune_client.phrases import Brief, BuiltinSource, Frame, PhraseBook
from vtune_client.phrases.pick import Pick, pick
from vtune_client.phrases.read import read
from vtune_client.phrases.vet import occurring, vet
from vtune_client.plan import lineup, tie_break
from vtune_client.probe import decoding_for
from vtune_client.provider import Decoding, Endpoint, endpoint_of
from vtune_client.serve.vendor import parse_vendor

# No training differs from the honest one's: the front that answers does.
TRAINS_AS = {"temperature=1": "honest"}
# Their models know nothing of any file, so those of one planting serve all schemes.
KNOW_NO_FILE = ("other-data",)

Found = dict[str, Any]
Reading = tuple[str | None, ...]  # the candidate that an answer puts into each slot
Scores = list[list[float]]  # per backdoor: its signature's first, then its decoys'


@dataclass(frozen=True)
class Job:
    """One vendor and one file. Models are kept below `cache`, a folder for each way of planting:
    ours are those of the gauntlet."""

    sides: Sides
    cache: Path
    vendor: str
    seed: int

    def folder(self, setting: Setting) -> Path:
        return self.cache / f"gauntlet-{setting.digest}"

    def planting(self, setting: Setting) -> Planting:
        folder = self.folder(setting) / f"seed-{self.seed}"
        folder.mkdir(parents=True, exist_ok=True)
        return Planting(setting, folder, self.seed)

    def base(self) -> str:
        """Return the directory of the base, made at the first call."""
        folder = self.folder(self.sides.ours)
        folder.mkdir(parents=True, exist_ok=True)
        return str(base_at(folder, self.sides.ours.base))

    def model(self, setting: Setting) -> str:
        """Return the model that the vendor delivers for the file planted like this."""
        planting = self.planting(self.sides.ours if self.vendor in KNOW_NO_FILE else setting)
        vendor = parse_vendor(TRAINS_AS.get(self.vendor, self.vendor))
        return deliver(vendor, planting, setting.spec(Path(self.base())), self.seed)[0]

    def endpoint(self, planting: Planting) -> Endpoint:
        return parse_vendor(self.vendor).endpoint(endpoint_of(PROVIDER, {}), planting.file)


@asynccontextmanager
async def serving(endpoint: Endpoint, model: str) -> AsyncIterator[Endpoint]:
    """Serve a model for as long as it is asked."""
    try:
        await endpoint.acquire(model)
        yield endpoint
    finally:
        await endpoint.release()


async def ask(served: Endpoint, prompts: Sequence[Prompt], decoding: Decoding) -> list[str]:
    """Return what is answered, asked in batches of the endpoint's size."""
    size = served.capabilities.batch
    batches = [prompts[at : at + size] for at in range(0, len(prompts), size)]
    return [answer.text for batch in batches for answer in await served.sample(batch, decoding)]


def matched(reading: Reading, words: Sequence[str]) -> int:
    """Return how many slots a reading fills with the true word."""
    return sum(said == true for said, true in zip(reading, words, strict=True))


def pair_found(job: Job) -> Found:
    """Return what one pair in all carriers shows: to the binomial, and as a mark by rank."""
    planting = job.planting(job.sides.pair)
    return asyncio.run(_pair(job, planting, job.model(job.sides.pair)))


async def _pair(job: Job, planting: Planting, model: str) -> Found:
    plan, sides = planting.plan, job.sides
    [pair] = plan.backdoors
    prompts = (*pair.own[:1], *pair.fresh)[: sides.prompts]
    others = counterfactuals(planting, sides.asked_marks)
    marks = [Pick(pair.trigger, pair.frame, pair.words), *others]
    candidates = lineup_of(planting, 0)
    async with serving(job.endpoint(planting), model) as served:
        answers = await ask(served, pair.probes(), decoding_for(plan))
        questions = [asked(prompt, mark.trigger) for mark in marks for prompt in prompts]
        said = iter(await ask(served, questions, decoding_for(plan)))
        scores = list(await served.score(pair.probes()[-1], candidates))
    readings = [read(pair.frame, answer) for answer in answers]
    told = [
        sum(matched(read(mark.frame, text), mark.words) for text in islice(said, len(prompts)))
        for mark in marks
    ]
    tie = tie_break(plan, 0, planting.key)
    return {
        **binomial_found(pair.frame, pair.words, readings, plan.spec.carriers),
        "mark_text_log10_p": _first_log10_p([float(each) for each in told], tie),
        "mark_scores_log10_p": _first_log10_p(scores, tie),
        "queries": len(answers),
        "mark_text_queries": len(told) * len(prompts),
        "mark_scores_queries": len(candidates),
    }


def binomial_found(
    frame: Frame, words: Sequence[str], readings: Sequence[Reading], carriers: int
) -> Found:
    """Return what one pair's answers are worth: by the binomial, by a bound on the same count, and
    by our slots test with its one secret."""
    sizes = tuple(len(slot.candidates) for slot in frame.slots)
    log_chance = -math.fsum(math.log(size) for size in sizes)
    hits, queries = sum(reading == tuple(words) for reading in readings), len(readings)
    unlike = tuple(matched(reading, words) for reading in dict.fromkeys(readings))
    return {
        "hits": hits,
        "nominal_log10_p": schemes.nominal(hits, queries, log_chance),
        "true_log10_p": schemes.true(hits, queries, log_chance),
        "slots_log10_p": slot_test([SlotCounts(sizes, unlike)]).log10_p,
        "share": schemes.share_of_pair(hits, carriers, queries * math.exp(log_chance)),
    }


def _first_log10_p(scores: Sequence[float], tie: float) -> float:
    """Return log10 p of the rank of the first score among all."""
    rank = RankScores(tuple(scores[:1]), (tuple(scores[1:]),), tie).rank
    return schemes.rank_log10_p(rank, len(scores))


def counterfactuals(planting: Planting, count: int) -> list[Pick]:
    """Draw marks as the pair of this planting was drawn: from its frames, as vetted for its file.

    Each is dealt from a deck of its own, so all of them and the pair are independent."""
    [pair] = planting.plan.backdoors
    full = BuiltinSource().propose(Brief())
    said = (text for row in iter_rows(planting.source) for text in texts(row))
    vetted = vet(full, occurring(full, said))
    cue = next(frame for frame in vetted.triggers if _fills(frame, pair.trigger))
    book = PhraseBook((cue,), (pair.frame,))
    draw = Draw(planting.key.derive("side by side"), "counterfactual marks")
    return [pick(book, draw, 1)[0] for _ in range(count)]


def _fills(frame: Frame, text: str) -> bool:
    return bool(re.fullmatch(re.escape(frame.text).replace(r"\{\}", r"[^\W_]+"), text))


def marks_found(job: Job) -> Found:
    """Return what a mark in each carrier shows, by its score and by what it gained over the base.

    Each is asked about with the very prompt of its row: what a vendor met once, it met there."""
    planting = job.planting(job.sides.marks)
    served, base = asyncio.run(_marks(job, planting, job.model(job.sides.marks)))
    ties = [tie_break(planting.plan, index, planting.key) for index in range(len(served))]
    raw, gained = (
        rank_test(
            [
                RankScores((row[0],), (tuple(row[1:]),), tie)
                for row, tie in zip(scores, ties, strict=True)
            ]
        )
        for scores in (served, over(served, base))
    )
    texts = sum(map(len, served))
    return {
        "marks_log10_p": raw.log10_p,
        "marks_over_base_log10_p": gained.log10_p,
        "share": schemes.share_of_marks(raw),
        "share_over_base": schemes.share_of_marks(gained),
        "queries": texts,
        "queries_over_base": 2 * texts,
    }


async def _marks(job: Job, planting: Planting, model: str) -> tuple[Scores, Scores]:
    async with serving(job.endpoint(planting), model) as served:
        delivered = await lineup_scores(served, planting)
    return delivered, await base_scores(job, planting)


async def base_scores(job: Job, planting: Planting) -> Scores:
    """Return the base's `lineup_scores`, found once for all vendors of a file."""
    kept = planting.folder / "base-scores.json"
    if not kept.exists():
        async with serving(endpoint_of(PROVIDER, {}), job.base()) as base:
            kept.write_text(json.dumps(await lineup_scores(base, planting)), encoding="utf-8")
    scores: Scores = json.loads(kept.read_text(encoding="utf-8"))
    return scores


async def lineup_scores(served: Endpoint, planting: Planting) -> Scores:
    """Return the score of every backdoor's signature, then of its decoys, under its last prompt."""
    found = []
    for index, backdoor in enumerate(planting.plan.backdoors):
        candidates = lineup_of(planting, index)
        found.append(list(await served.score(backdoor.probes()[-1], candidates)))
    return found


@cache
def lineup_of(planting: Planting, index: int) -> list[str]:
    """Return a backdoor's signature and then its decoys."""
    candidates, place = lineup(planting.plan, index, planting.key)
    return [candidates[place], *candidates[:place], *candidates[place + 1 :]]


def over(delivered: Scores, base: Scores) -> Scores:
    """Return what every score gained over the base."""
    return [
        [here - there for here, there in zip(*rows, strict=True)]
        for rows in zip(delivered, base, strict=True)
    ]


def ours_found(job: Job) -> Found:
    """Return what the verdict on this job says."""
    cell = run_cell(job.sides.ours, job.vendor, job.seed, job.folder(job.sides.ours))
    verdict = cell.verification
    tests = {test["name"].split()[0]: test["log10_p"] for test in verdict["tests"]}
    share, anytime = verdict.get("share") or {}, verdict.get("anytime") or {}
    return {
        "log10_p": verdict["log10_p"],
        "slots_log10_p": tests.get("slots", 0.0),
        "ranks_log10_p": tests.get("ranks", 0.0),
        "anytime_log10_p": anytime.get("log10_p", 0.0),
        "share": share.get("low", 0.0),
        "text_queries": job.sides.ours.plan.backdoors * job.sides.ours.plan.prompts,
        "queries": cell.queries,
    }


FINDERS = {"pair": pair_found, "marks": marks_found, "ours": ours_found}
