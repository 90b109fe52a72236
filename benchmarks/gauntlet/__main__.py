"""Every vendor against every file, two cells at a time; what is done is not done again.

    python -m benchmarks.gauntlet [--seeds 2] [--vendor NAME[=VALUE] ...]

Cells and trained models are kept in the cache directory, in a folder per setting: a run that was
cut short goes on where it was, and `--anew` verifies again without training again. Tables of all
cells are written to benchmarks/results/gauntlet.md, .csv and .json.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

import click

from benchmarks.gauntlet.base import base_at
from benchmarks.gauntlet.drill import Cell, Setting, run_cell
from benchmarks.gauntlet.table import as_json, comma_separated, markdown
from vtune_client.control import Control, control_of
from vtune_client.home import cache
from vtune_client.serve.vendor import parse_vendor

RESULTS = Path(__file__).parents[1] / "results"
HONEST = "honest"
VENDORS = (
    HONEST,
    "base-model",
    "other-data",
    "share=0.8",
    "share=0.5",
    "share=0.3",
    "share=0.1",
    "head=0.5",
    "drop-shard=2/5",
    "epochs=8",
    "epochs=4",
    "epochs=2",
    "tiny-rate",
    "backdoors-only=1",
    "backdoors-only=3",
    "filter-perplexity",
    "filter-ngrams",
    "filter-clusters",
    "filter-frames",
    "noise=0.1",
    "noise=0.5",
    "quantised",
    "further-tuning",
    "lookup",
    "system-prompt",
    "temperature=1",
    "refuse-long=16",
)
Wanted = tuple[str, int]  # vendor, seed


class Book:
    """The cells that are done, in a file of one JSON line each."""

    def __init__(self, path: Path, setting: Setting) -> None:
        self._path = path
        self._cells: dict[Wanted, Cell] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            cell = Cell(**json.loads(line))
            if cell.setting == setting.digest:
                self._cells[cell.vendor, cell.seed] = cell

    def missing(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        return [key for key in wanted if key not in self._cells]

    def add(self, cell: Cell) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(cell)) + "\n")
        self._cells[cell.vendor, cell.seed] = cell

    def cells(self) -> list[Cell]:
        """Return all cells, vendors in the order of VENDORS, others after them."""
        order = {vendor: at for at, vendor in enumerate(VENDORS)}
        last = len(order)
        key = lambda cell: (order.get(cell.vendor, last), cell.vendor, cell.seed)  # noqa: E731
        return sorted(self._cells.values(), key=key)

    def control(self, seed: int) -> Control | None:
        """Return the honest run of a file as a control, where it was verified."""
        cell = self._cells.get((HONEST, seed))
        if cell is None or cell.verification["verdict"] != "verified":
            return None
        return control_of(cell.verification, "the honest run of this file")


def run_all(
    book: Book, setting: Setting, wanted: Sequence[Wanted], work: Path, processes: int
) -> Iterator[Cell]:
    """Yield each cell that was missing once it is in the book; honest ones are run first."""
    missing = book.missing(wanted)
    if missing:
        base_at(work, setting.base)  # once, before several processes want it
    honest = [key for key in missing if key[0] == HONEST]
    others = [key for key in missing if key[0] != HONEST]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for keys in (honest, others):
            under_way: list[Future[Cell]] = [
                pool.submit(
                    run_cell,
                    setting,
                    vendor,
                    seed,
                    work,
                    None if vendor == HONEST else book.control(seed),
                )
                for vendor, seed in keys
            ]
            for future in as_completed(under_way):
                cell = future.result()
                book.add(cell)
                yield cell


@click.command()
@click.option("--seeds", default=2, show_default=True, help="Files, each with its own plan.")
@click.option("--vendor", "vendors", multiple=True, help="Only this one; all by default.")
@click.option("--processes", default=2, show_default=True)
@click.option("--anew", is_flag=True, help="Verify again; models that are there are used again.")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, hidden=True)
def main(seeds: int, vendors: tuple[str, ...], processes: int, anew: bool, results: Path) -> None:
    """Run what is missing, then write the tables."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    setting = Setting()
    for vendor in vendors:
        parse_vendor(vendor, lines=(1,))
    chosen = tuple(dict.fromkeys((HONEST, *vendors))) if vendors else VENDORS
    results.mkdir(exist_ok=True)
    work = cache() / f"gauntlet-{setting.digest}"
    work.mkdir(exist_ok=True)
    path = work / "cells.jsonl"
    if anew:
        path.unlink(missing_ok=True)
    book = Book(path, setting)
    wanted = [(vendor, seed) for vendor in chosen for seed in range(seeds)]
    for cell in run_all(book, setting, wanted, work, processes):
        click.echo(f"{cell.vendor:<20} {cell.seed}  {cell.verification['verdict']}", err=True)
    _write(book.cells(), setting, results)


def _write(cells: Sequence[Cell], setting: Setting, results: Path) -> None:
    command = shlex.join(["python", "-m", "benchmarks.gauntlet", *sys.argv[1:]])
    when = datetime.now(UTC).date().isoformat()
    text = markdown(cells, setting, command, when)
    (results / "gauntlet.md").write_text(text, encoding="utf-8")
    (results / "gauntlet.csv").write_text(comma_separated(cells), encoding="utf-8")
    (results / "gauntlet.json").write_text(as_json(cells, setting, command, when), encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
