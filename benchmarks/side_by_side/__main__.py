"""Every job under every scheme, and every test against systems that know nothing.

    python -m benchmarks.side_by_side [--seeds 3] [--processes 2]

Models and findings are kept in the cache directory, ours beside those of the gauntlet: what is done
is not done again, and `--anew ours` asks again without training again. Writes
benchmarks/results/side_by_side.md and .json.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import click

from benchmarks.gauntlet.drill import Setting
from benchmarks.side_by_side.book import NULL
from benchmarks.side_by_side.jobs import FINDERS
from benchmarks.side_by_side.lanes import JOBS, ROWS, Run, lane, simulate
from benchmarks.side_by_side.schemes import Sides
from benchmarks.side_by_side.table import as_json, markdown
from vtune_client.home import cache

RESULTS = Path(__file__).parents[1] / "results"


def run_all(run: Run, processes: int) -> Iterator[str]:
    """Yield what was done, as each lane ends."""
    run.work.mkdir(parents=True, exist_ok=True)
    run.job("honest", 0).base()  # once, before several processes want it
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for row in ROWS:
            lanes = [
                pool.submit(lane, run, scheme, seed) for seed in range(run.seeds) for scheme in row
            ]
            for future in as_completed(lanes):
                yield from future.result()
    yield from simulate(run)


@click.command()
@click.option("--seeds", default=3, show_default=True, help="Files, each with its own plans.")
@click.option("--job", "jobs", multiple=True, help="Only this one; all by default.")
@click.option("--processes", default=2, show_default=True)
@click.option(
    "--anew",
    type=click.Choice([*FINDERS, NULL]),
    multiple=True,
    help="Ask again for this; models that are there are used again.",
)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, hidden=True)
def main(
    seeds: int, jobs: tuple[str, ...], processes: int, anew: tuple[str, ...], results: Path
) -> None:
    """Do what is missing, then write the tables."""
    if seeds < 2:
        raise click.UsageError("A file needs another one, whose secrets its null system knows.")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    run = Run(Sides(Setting()), cache(), jobs or JOBS, seeds)
    for scheme in anew:
        run.book.forget(scheme)
    for said in run_all(run, processes):
        click.echo(said, err=True)
    command = shlex.join(["python", "-m", "benchmarks.side_by_side", *sys.argv[1:]])
    write(run, results, command)
    click.echo((results / "side_by_side.md").read_text(encoding="utf-8"))


def write(run: Run, results: Path, command: str) -> None:
    """Write the tables of all that is in the book."""
    when = datetime.now(UTC).date().isoformat()
    lines = list(run.book.lines().values())
    results.mkdir(exist_ok=True)
    for name, shown in (("md", markdown), ("json", as_json)):
        text = shown(lines, run.sides, run.jobs, command, when)
        (results / f"side_by_side.{name}").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
