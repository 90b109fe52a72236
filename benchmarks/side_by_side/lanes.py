"""What one process does: the jobs of one scheme and one file, or the systems that know nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.side_by_side.book import NULL, Book
from benchmarks.side_by_side.jobs import FINDERS, Job
from benchmarks.side_by_side.nulls import REAL, SPEAKERS, Size, real, simulated
from benchmarks.side_by_side.schemes import Sides

JOBS = (
    "honest",
    "share=0.5",
    "share=0.1",
    "epochs=4",
    "tiny-rate",
    "temperature=1",
    "further-tuning",
    "lookup",
    "base-model",
    "other-data",
)


@dataclass(frozen=True)
class Run:
    """What is to be done, the same for every process."""

    sides: Sides
    work: Path
    jobs: tuple[str, ...] = JOBS
    seeds: int = 3
    size: Size = field(default_factory=Size)

    @property
    def book(self) -> Book:
        return Book(self.work / f"side-by-side-{self.sides.digest}.jsonl", self.sides.digest)

    def job(self, vendor: str, seed: int) -> Job:
        return Job(self.sides, self.work, vendor, seed)


# Two processes never train the same model: those that one row of lanes leaves are there for the
# next, and within a row each lane has a folder of its own.
ROWS = (("ours",), ("pair", "marks"), (NULL,))


def lane(run: Run, scheme: str, seed: int) -> list[str]:
    """Do what is missing for one scheme and one file; return what was done."""
    book, done = run.book, []
    there = book.lines()
    for name in REAL if scheme == NULL else run.jobs:
        if (scheme, name, seed) in there:
            continue
        if scheme == NULL:
            found = {"tally": real(run.job("honest", seed), name, (seed + 1) % run.seeds, run.size)}
        else:
            found = FINDERS[scheme](run.job(name, seed))
        book.add(scheme, name, seed, found)
        done.append(f"{scheme:<6} {name} {seed}")
    return done


def simulate(run: Run) -> list[str]:
    """Do what is missing for the simulated systems; return what was done."""
    there, done = run.book.lines(), []
    for name, speaker in SPEAKERS.items():
        if (NULL, name, 0) not in there:
            queries = run.sides.pair.plan.prompts
            run.book.add(NULL, name, 0, {"tally": simulated(speaker, run.size.simulated, queries)})
            done.append(f"{NULL:<6} {name}")
    return done
