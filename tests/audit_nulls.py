"""Several tests of one job, and many jobs of one audit: how often what is said of them is wrong.

A verdict is the smallest p-value of its tests after Holm's adjustment, and here they hang together:
the system ranks signatures by the words of its own answers. An audit names jobs by e-BH; some of
its models are trained, and several jobs may be one model under several names.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from tests.anytime_nulls import (
    SPEAKERS,
    AnytimeDesign,
    Speaker,
    anytime_runs,
    matched,
    scores_by_own_words,
)
from tests.nulls import LEVELS, draw_words
from tests.row_nulls import RowDesign, RowScorer, row_nulls
from vtune_client.draw import Draw
from vtune_client.evidence import (
    Running,
    SlotCounts,
    Stakes,
    ebh,
    first_ranks_test,
    holm,
    rank_test,
    slot_test,
)


def verdict_nulls(
    design: AnytimeDesign,
    rows: RowDesign,
    speaker: Speaker,
    scorer: RowScorer,
    runs: int,
    seed: bytes,
) -> Iterator[float]:
    """Yield log10 p of a verdict from all tests of text, ranks and rows, all of one system."""
    system = Draw(seed, "system")
    row_log10_ps = row_nulls(rows, scorer, runs, seed)
    for run, rows_log10_p in enumerate(row_log10_ps):
        secrets = Draw(seed, f"verdict {run}")
        counts, scores, every = [], [], []
        for _ in range(design.backdoors):
            trigger = draw_words(secrets, design.sizes)
            signature = draw_words(secrets, design.sizes)
            answers = speaker(design.sizes, trigger, design.queries, system)
            said = list(dict.fromkeys(answers))
            matches = (sum(map(bool, matched(answer, signature))) for answer in said)
            counts.append(SlotCounts(design.sizes, tuple(matches)))
            every.append([matched(answer, signature) for answer in answers])
            scores.append(scores_by_own_words(signature, said, design, secrets))
        ranks = rank_test(scores)
        running = Running([Stakes(design.sizes, design.queries)] * design.backdoors)
        for result in chain.from_iterable(zip(*every, strict=True)):
            running.add(result)
        tests = {
            "slots": slot_test(counts).log10_p,
            "anytime": running.log10_p,
            "ranks": ranks.log10_p,
            "first ranks": first_ranks_test(ranks).log10_p,
            "rows": rows_log10_p,
        }
        yield min(holm(tests).values())


@dataclass(frozen=True)
class AuditDesign:
    """`jobs` that nobody trained and `trained` ones, verified as in `each`; every model that nobody
    trained stands for `names` jobs."""

    jobs: int
    trained: int
    each: AnytimeDesign
    names: int = 1

    def __str__(self) -> str:
        alike = f", {self.names} of one model" if self.names > 1 else ""
        return f"{self.jobs} untrained{alike}, {self.trained} trained jobs; each {self.each}"


def audit_nulls(
    design: AuditDesign, system: str, runs: int, seed: bytes
) -> Iterator[dict[float, bool]]:
    """Yield for each level whether one of the named jobs, drawn at random, is an untrained one.

    Its mean is the false discovery rate: the expected share of the names that are false."""
    draw = Draw(seed, "audit")
    models = design.jobs // design.names
    untrained = _log10_es(design.each, system, runs * models, seed)
    trained = _log10_es(design.each, system, runs * design.trained, seed + b"t", trained=True)
    for _ in range(runs):
        log10_es: dict[str, float] = {}
        for model in range(models):
            log10_e = next(untrained)
            log10_es |= {f"untrained {model} {name}": log10_e for name in range(design.names)}
        log10_es |= {f"trained {job}": next(trained) for job in range(design.trained)}
        chosen = draw.below(1 << 53)
        named = {level: ebh(log10_es, level) for level in LEVELS}
        yield {
            level: bool(names) and names[chosen % len(names)].startswith("untrained")
            for level, names in named.items()
        }


def _log10_es(
    design: AnytimeDesign, system: str, runs: int, seed: bytes, trained: bool = False
) -> Iterator[float]:
    leak = len(design.sizes) if trained else 0
    for running in anytime_runs(design, SPEAKERS[system], runs, seed, leak):
        yield running.log10_e
