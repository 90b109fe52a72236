"""Every vendor against every file, two cells at a time; what is done is not done again.

    python -m benchmarks.gauntlet [--seeds 2] [--model smollm2] [--vendor NAME[=VALUE] ...]

Cells and trained models are kept in the cache directory, in a folder per setting: a run that was
cut short goes on where it was, and `--anew` verifies again without training again. Tables and
pictures of all cells are written to benchmarks/results/gauntlet.md, .csv, .json and .svg, those of
the embedded model to gauntlet-smollm2.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import click

from benchmarks.gauntlet.base import Published, base_at
from benchmarks.gauntlet.book import Book, run_all
from benchmarks.gauntlet.drill import vendor_of
from benchmarks.gauntlet.report import Run, pages, run_of
from benchmarks.gauntlet.series import MODELS, Series
from vtune_client.home import cache

RESULTS = Path(__file__).parents[1] / "results"


@click.command()
@click.option("--seeds", default=2, show_default=True, help="Files, each with its own plan.")
@click.option("--model", type=click.Choice(list(MODELS)), default="small", show_default=True)
@click.option("--vendor", "vendors", multiple=True, help="Only this one; all by default.")
@click.option("--processes", default=2, show_default=True)
@click.option("--anew", is_flag=True, help="Verify again; models that are there are used again.")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, hidden=True)
def main(
    seeds: int, model: str, vendors: tuple[str, ...], processes: int, anew: bool, results: Path
) -> None:
    """Run what is missing, then write the tables."""
    if find_spec("matplotlib") is None:  # said now, not after the last cell
        raise click.ClickException("The pictures need matplotlib. Run: pip install matplotlib")
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    for vendor in vendors:
        vendor_of(vendor, (1,))
    results.mkdir(exist_ok=True)
    every = MODELS[model]()
    works = [_work(series) for series in every]
    share_base(every, works)
    runs: list[Run] = []
    for series, work in zip(every, works, strict=True):
        path = work / "cells.jsonl"
        if anew:
            path.unlink(missing_ok=True)
        book = Book(path, series.setting)
        wanted = series.wanted(seeds, vendors)
        for cell in run_all(book, series.setting, wanted, work, processes):
            click.echo(
                f"{series.name:<8} {cell.vendor:<20} {cell.seed}  {cell.verification['verdict']}",
                err=True,
            )
        if cells := book.cells():
            runs.append(run_of(series, cells))
    command = shlex.join(["python", "-m", "benchmarks.gauntlet", *sys.argv[1:]])
    stem = "gauntlet" if model == "small" else f"gauntlet-{model}"
    made = pages(stem, runs, command, datetime.now(UTC).date().isoformat())
    for name, content in made.items():
        (results / name).write_bytes(content)
    click.echo(made[f"{stem}.md"].decode())


def _work(series: Series) -> Path:
    work = cache() / f"gauntlet-{series.setting.digest}"
    work.mkdir(exist_ok=True)
    return work


def share_base(every: Sequence[Series], works: Sequence[Path]) -> None:
    """Let settings that have the base of the first one use what was made for it."""
    first = every[0].setting.base
    for series, work in zip(every[1:], works[1:], strict=True):
        made = work / "base"
        if not isinstance(first, Published) and series.setting.base == first and not made.exists():
            made.symlink_to(base_at(works[0], first), target_is_directory=True)


if __name__ == "__main__":
    main()
