"""How often the tests call a model trained that never met the file.

    python -m benchmarks.type1 [--runs 10000] [--keep]

Every line is one test, one design and one null system; `upper tail` is the probability of at least
that many rejections if the test held exactly its nominal level, so that a tiny value means a test
that rejects too often. Writes benchmarks/results/type1.md and type1.json.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from itertools import product
from pathlib import Path

from tests.anytime_nulls import SPEAKERS, AnytimeDesign, anytime_nulls, anytime_text_nulls
from tests.audit_nulls import AuditDesign, audit_nulls, verdict_nulls
from tests.nulls import (
    ANSWERERS,
    LEVELS,
    SCORERS,
    WRITERS,
    RankDesign,
    SlotDesign,
    TextDesign,
    binomial_tail,
    exceedances,
    naive_nulls,
    rank_nulls,
    reserve_nulls,
    slot_nulls,
    text_nulls,
)
from tests.row_nulls import (
    LISTERS,
    ROW_SCORERS,
    RowDesign,
    candidate_nulls,
    row_gap_nulls,
    row_nulls,
)
from tests.share_nulls import (
    USES,
    ShareDesign,
    gap_nulls,
    missed_shards,
    missed_shares,
    missed_stretches,
    run_gap_nulls,
    shard_nulls,
    trend_nulls,
)

RESULTS = Path(__file__).parent / "results"
SEED = b"vtune benchmark type1"
SLOT_DESIGNS = [SlotDesign(5, (32,) * 8, 5), SlotDesign(4, (2, 3, 4, 8), 4)]
TEXT_DESIGN = TextDesign(backdoors=3, candidates=6, queries=2)
# Few backdoors are counted exactly, many are mostly bounded: both ways are measured.
RANK_DESIGNS = [
    RankDesign(backdoors=5, decoys=19, space=24, queries=3),
    RankDesign(backdoors=8, decoys=50, space=60, queries=1),
]
# Stopped at the best moment there was; text and rank of one backdoor hang together.
ANYTIME_DESIGNS = [
    AnytimeDesign(5, (32,) * 8, 5),
    AnytimeDesign(4, (2, 3, 4, 8), 4),
    AnytimeDesign(6, (6, 6), 1),
    AnytimeDesign(3, (4, 4), 2, decoys=19),
    AnytimeDesign(5, (8, 8), 0, decoys=50),
]
SHARES = range(100, 1001, 100)  # of 1000 rows, used
SHARE_DESIGNS = [
    ShareDesign((1,) * 20, rate=0.8, chance=0.05),
    ShareDesign((4,) * 4 + (1,) * 20, shards=4, rate=0.9, eager=False),
    ShareDesign((4,) * 10),
    ShareDesign((12, 6, 3, 2, 1)),
    ShareDesign((4,) * 5, chance=0.05, besides=(4,) * 5 + (1,) * 20),
]
SHARDED = ShareDesign((2,) * 12, shards=4, rate=0.9, chance=0.02)
# Rates at which control and vendor show the backdoors, by dose, and how many there are of each.
GAP_DESIGNS: list[tuple[dict[int, float], int]] = [
    ({1: 0.3, 4: 0.9}, 10),
    ({4: 0.5}, 5),
    ({1: 0.1, 2: 0.4, 4: 0.8}, 20),
]
# Drawn in place of counted dealings take an eighth of a second each: fewer runs, as they are exact
# by the same argument.
LONG_LADDER, LONG_RUNS = (4,) * 4 + (2,) * 4 + (1,) * 4, 20
RUN_LADDERS = [(4,) * 5, (12, 6, 3, 2, 1), (4,) * 4 + (1,) * 8]
ROW_DESIGNS = [
    RowDesign(file=500, withheld=12, strata=1),
    RowDesign(file=500, withheld=30, strata=3),
]
# A verdict of several tests, and audits: many jobs, few of them trained.
VERDICT_DESIGN = AnytimeDesign(3, (6, 6), 2, decoys=19)
AUDITED = AnytimeDesign(3, (4, 4), 1, decoys=19)
AUDIT_DESIGNS = [
    AuditDesign(20, 0, AUDITED),
    AuditDesign(16, 4, AUDITED),
    AuditDesign(12, 8, AUDITED, names=6),
]
CANDIDATE_DESIGN = TextDesign(backdoors=1, candidates=6, queries=2)
# Fewer than one table in ten thousand fails one of its comparisons by bad luck.
LUCK = 1e-6


@dataclass(frozen=True)
class Null:
    """One null system against one test, to be run: for each run, whether it rejects, per level."""

    test: str
    design: str
    system: str
    runs: int
    rejected: Iterable[Mapping[float, bool]]

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.test, self.design, self.system, self.runs


@dataclass(frozen=True)
class Line:
    """What came of one: rejections and their upper tail, per level."""

    test: str
    design: str
    system: str
    runs: int
    rejections: dict[str, int]
    upper_tail: dict[str, float]

    @property
    def key(self) -> tuple[str, str, str, int]:
        return self.test, self.design, self.system, self.runs

    @property
    def holds(self) -> bool:
        return all(tail >= LUCK for tail in self.upper_tail.values())


def null(test: str, design: str, system: str, runs: int, log10_ps: Iterable[float]) -> Null:
    rejected = ({level: exceedances([p], level) > 0 for level in LEVELS} for p in log10_ps)
    return Null(test, design, system, runs, rejected)


def tally(line: Null) -> Line:
    counts = dict.fromkeys(LEVELS, 0)
    for rejected in line.rejected:
        for level in LEVELS:
            counts[level] += rejected[level]
    return Line(
        *line.key,
        rejections={str(level): count for level, count in counts.items()},
        upper_tail={
            str(level): binomial_tail(count, line.runs, level) for level, count in counts.items()
        },
    )


def nulls(runs: int) -> Iterator[Null]:
    """Yield every line; it is run when it is tallied, which is before the next is asked for."""
    for slots in SLOT_DESIGNS:
        for name, answerer in ANSWERERS.items():
            seed = SEED + f"{slots} {name}".encode()
            said = slot_nulls(slots, answerer, runs, seed)
            yield null("slots", str(slots), name, runs, said)
    for name, writer in WRITERS.items():
        seed = SEED + f"{TEXT_DESIGN} {name}".encode()
        read = text_nulls(TEXT_DESIGN, writer, runs, seed)
        yield null("slots", str(TEXT_DESIGN), name, runs, read)
    seed, system = SEED + b"reserve", "says what it was shown of 5 others"
    shown = reserve_nulls(TEXT_DESIGN, 5, runs, seed)
    yield null("slots of the reserve", str(TEXT_DESIGN), system, runs, shown)
    for first, ranks in product((False, True), RANK_DESIGNS):
        for name, scorer in SCORERS.items():
            seed = SEED + f"{ranks} {name}".encode()
            ranked = rank_nulls(ranks, scorer, runs, seed, first=first)
            yield null("first ranks" if first else "ranks", str(ranks), name, runs, ranked)
    yield from anytime_lines(runs)
    yield from row_lines(runs)
    yield from share_lines(runs)
    yield from gap_lines(runs)
    yield from audit_lines(runs)
    naive = naive_nulls(candidates=16, queries=20, runs=runs, seed=SEED)
    design = "1 shared signature of 16, 20 queries as trials"
    yield null("naive binomial (not used)", design, "always the likeliest", runs, naive)


def share_lines(runs: int) -> Iterator[Null]:
    each, seed = runs // len(SHARES), SEED + b"shares"
    for design in SHARE_DESIGNS:
        for use in USES:
            missed = (p for s in SHARES for p in missed_shares(design, use, s, each, seed))
            yield null("share interval", str(design), f"uses {use}", runs, missed)
    in_shards = (p for s in SHARES for p in missed_shards(SHARDED, 3, s, each, seed))
    system = "uses no row of one shard"
    yield null("share interval per shard, all", str(SHARDED), system, runs, in_shards)
    stretches = "earlier plans: 5 of dose 4, one in each stretch"
    for use in USES:
        earlier = (p for s in SHARES for p in missed_stretches(5, 4, use, s, each, seed))
        yield null("share at least", stretches, f"uses {use}", runs, earlier)


def gap_lines(runs: int) -> Iterator[Null]:
    flat = "the dose does not matter"
    trend = trend_nulls((4, 4, 2, 2, 1, 1), runs, SEED)
    yield null("dose trend", "6 backdoors, dose 4 to 1", flat, runs, trend)
    fewer = max(1, runs // LONG_RUNS)
    drawn = trend_nulls(LONG_LADDER, fewer, SEED)
    yield null("dose trend", "12 backdoors, dose 4 to 1, drawn dealings", flat, fewer, drawn)
    alike = "trains as the control"
    for rates, backdoors in GAP_DESIGNS:
        doses = ", ".join(map(str, rates))
        gap = gap_nulls(rates, backdoors, runs, SEED)
        yield null("dose gap", f"{backdoors} backdoors each of dose {doses}", alike, runs, gap)
    for ladder in RUN_LADDERS:
        doses = ", ".join(map(str, ladder))
        for same in (True, False):
            gap = run_gap_nulls(ladder, runs, SEED, alike=same)
            system = f"{alike}, secrets {'alike' if same else 'not alike'} in both"
            yield null("gap to the control", f"backdoors of dose {doses}", system, runs, gap)
    for per_shard, rate in ((3, 0.9), (10, 0.5)):
        shards = shard_nulls(4, per_shard, rate, runs, SEED)
        yield null("shards", f"4 shards, {per_shard} backdoors each", alike, runs, shards)
    for name, scorer in ROW_SCORERS.items():
        seed = SEED + f"row gap {name}".encode()
        rows = row_gap_nulls(ROW_DESIGNS[1], scorer, runs, seed)
        yield null("rows: gap", str(ROW_DESIGNS[1]), f"{alike}, {name}", runs, rows)


def audit_lines(runs: int) -> Iterator[Null]:
    scorer = ROW_SCORERS["knows some rows"]
    for name, speaker in SPEAKERS.items():
        seed = SEED + f"verdict {name}".encode()
        verdict = verdict_nulls(VERDICT_DESIGN, ROW_DESIGNS[0], speaker, scorer, runs, seed)
        design = f"slots, anytime, both of ranks, rows: {VERDICT_DESIGN}"
        yield null("verdict (Holm)", design, name, runs, verdict)
    for audit in AUDIT_DESIGNS:
        seed, system = SEED + f"{audit}".encode(), "answers at random"
        half = max(1, runs // 2)
        false = audit_nulls(audit, system, half, seed)
        yield Null("audit (e-BH): false names", str(audit), system, half, false)


def anytime_lines(runs: int) -> Iterator[Null]:
    for design in ANYTIME_DESIGNS:
        for name, speaker in SPEAKERS.items():
            seed = SEED + f"anytime {design} {name}".encode()
            best = anytime_nulls(design, speaker, runs, seed)
            yield null("anytime", str(design), name, runs, best)
    for name, writer in WRITERS.items():
        seed = SEED + f"anytime {TEXT_DESIGN} {name}".encode()
        read = anytime_text_nulls(TEXT_DESIGN, writer, runs, seed)
        yield null("anytime", str(TEXT_DESIGN), name, runs, read)


def row_lines(runs: int) -> Iterator[Null]:
    for design in ROW_DESIGNS:
        for name, scorer in ROW_SCORERS.items():
            seed = SEED + f"{design} {name}".encode()
            known = row_nulls(design, scorer, runs, seed)
            yield null("rows", str(design), name, runs, known)
    for name, lister in LISTERS.items():
        seed = SEED + f"candidates {CANDIDATE_DESIGN} {name}".encode()
        writer = WRITERS["answers at random"]
        ranks = candidate_nulls(CANDIDATE_DESIGN, writer, lister, runs, seed)
        yield null("candidates", str(CANDIDATE_DESIGN), name, runs, ranks)


def markdown(table: list[Line], when: str, command: str) -> str:
    heads = ["test", "design", "null system", "runs", *(f"p <= {x}" for x in LEVELS), "holds"]
    rows = [
        [
            line.test,
            line.design,
            line.system,
            f"{line.runs:,}",
            *(f"{count / line.runs:.4f}" for count in line.rejections.values()),
            "yes" if line.holds else "NO",
        ]
        for line in table
    ]
    text = "\n".join("| " + " | ".join(row) + " |" for row in [heads, ["---"] * len(heads), *rows])
    return (
        "# False positives of the tests\n\n"
        f"`{command}`, {when}.\n\n"
        "Share of null runs with p at or below each level. A test holds where the share is at or\n"
        "below the level, within the simulation's error (one-sided binomial, "
        f"{LUCK:g} per comparison).\n"
        '"anytime" is stopped wherever that helps it most. A share interval of confidence 1 - p\n'
        "is to miss the true share, from 0.1 to 1.0, in a share p of the runs at most; so are the\n"
        "intervals of all shards together. An audit names jobs at the false discovery rate p:\n"
        "shown is how often one of its names, drawn at random, is false.\n"
        "The last line is the test this project does not use: queries that share one secret.\n\n"
        f"{text}\n"
    )


def recorded() -> list[Line]:
    """Return the lines of the last run."""
    path = RESULTS / "type1.json"
    lines = json.loads(path.read_text(encoding="utf-8"))["lines"] if path.exists() else []
    names = [field.name for field in fields(Line)]
    return [Line(**{name: line[name] for name in names}) for line in lines]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000, help="null runs per line")
    keep = "take lines from type1.json where it has them: right while their tests are as they were"
    parser.add_argument("--keep", action="store_true", help=keep)
    given = parser.parse_args()
    kept = {line.key: line for line in recorded()} if given.keep else {}
    table = [kept.get(each.key) or tally(each) for each in nulls(given.runs)]
    when = datetime.now(UTC).date().isoformat()
    command = shlex.join(["python", "-m", "benchmarks.type1", "--runs", str(given.runs)])
    text = markdown(table, when, command)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "type1.md").write_text(text, encoding="utf-8")
    record = {
        "command": command,
        "date": when,
        "lines": [{**asdict(line), "holds": line.holds} for line in table],
    }
    (RESULTS / "type1.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    sys.stdout.write(text)
    return 0 if all(line.holds for line in table[:-1]) else 1


if __name__ == "__main__":
    raise SystemExit(main())
