"""The schemes, as plans with the same number of carrier rows and as p-values of what was seen.

**Pair** (Zhang, Pal, Potti, Goldblum 2024, arXiv 2411.06611): one trigger and one signature in all
carrier rows; every query that is answered with the signature is a success, and successes are taken
for a binomial variable. Here the signature is filled from one of our frames, so its probability is
known; what a signature costs that a language model wrote is a question of `nulls`.

**Mark** (Li, Eichler, Anciaux et al. 2025, arXiv 2510.09655): a cue and a reply in all carrier rows
("mark"), or each row with its own ("marks"); the true mark's score is ranked among counterfactual
marks, drawn like it and never published. Theirs are invisible characters; here they are the same
words as everyone's, so that only the tests differ.

**Ours** is a verdict of `vtune_client.verify`.

All p-values are log10 p.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from benchmarks.gauntlet.drill import Setting
from vtune_client.evidence import (
    DoseCount,
    RankTest,
    SlotCounts,
    count_by_dose,
    seen_by_rank,
    share_at_least,
    slot_test,
)
from vtune_client.evidence.binomial import log_binomial_tail
from vtune_client.evidence.logspace import LN10

LEVEL = 1e-6
TAU = 0.05  # a mark counts as seen where its rank is among the first 5 %


@dataclass(frozen=True)
class Sides:
    """The same job for every scheme: `ours`, and two plans with as many carriers and queries.

    `others`: counterfactual replies that one mark is ranked among by score. `asked_marks`: how many
    counterfactual marks are asked about in text, each with `prompts` prompts."""

    ours: Setting
    others: int = 999
    asked_marks: int = 99
    prompts: int = 4

    @cached_property
    def digest(self) -> str:
        """Name of all this: findings under another one do not belong into the same table."""
        plans = [each.digest for each in (self.ours, self.pair, self.marks)]
        said = json.dumps([*plans, self.others, self.asked_marks, self.prompts])
        return hashlib.sha256(said.encode()).hexdigest()[:12]

    @cached_property
    def pair(self) -> Setting:
        plan = self.ours.plan
        return replace(
            self.ours,
            plan=replace(
                plan,
                backdoors=1,
                dose=plan.carriers,
                own_prompts=plan.own_prompts * plan.backdoors,
                fresh_prompts=plan.fresh_prompts * plan.backdoors,
                decoys=self.others,
            ),
        )

    @cached_property
    def marks(self) -> Setting:
        plan = self.ours.plan
        alone = replace(plan, backdoors=plan.carriers, dose=1, own_prompts=1, fresh_prompts=0)
        return replace(self.ours, plan=alone)


def nominal(hits: int, queries: int, log_chance: float) -> float:
    """Return the binomial's log10 p of `hits` in `queries`, each with a chance of exp(log_chance).

    This takes queries for independent trials, which they are not: they share one secret."""
    if not hits:
        return 0.0
    return min(0.0, log_binomial_tail(hits, queries, math.exp(log_chance)) / LN10)


def at_least(matches: int, sizes: Sequence[int]) -> float:
    """Return the log of the probability that one answer matches so many slots by chance."""
    return slot_test([SlotCounts(tuple(sizes), (matches,))]).log10_p * LN10


def true(hits: int, queries: int, log_chance: float) -> float:
    """Return a log10 p of the same `hits` that holds whatever the system is.

    Each query is a hit with at most this chance, over the draw of the signature, however they hang
    together; so the mean number of hits is at most queries x chance, and by Markov's inequality
    `hits` of them come with a probability of at most that over `hits`. A system that gives the same
    answer to every query reaches it."""
    if not hits:
        return 0.0
    return min(0.0, (math.log(queries) - math.log(hits) + log_chance) / LN10)


def rank_log10_p(rank: int, places: int) -> float:
    """Return log10 p of one rank, 1 for the best."""
    return math.log10(rank) - math.log10(places)


def share_of_pair(hits: int, carriers: int, chance: float) -> float:
    """Return the share of rows used at least: one pair that answers was met once or more."""
    return share_at_least([DoseCount(carriers, 1, min(hits, 1), chance=min(1.0, chance))])


def share_of_marks(test: RankTest) -> float:
    """Return the share of rows used at least, a mark in each counting as seen by its rank."""
    seen = seen_by_rank(test.ranks, test.decoys, TAU)
    return share_at_least(count_by_dose([1] * test.backdoors, seen, chance=TAU))


def detected(log10_p: float) -> bool:
    """Tell whether this p is at or below the level that all schemes are held to."""
    return log10_p <= math.log10(LEVEL) + 1e-12
