"""The cells that are done, kept from one run to the next, and the runs that fill the gaps."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.gauntlet.base import base_at
from benchmarks.gauntlet.drill import Cell, Controls, Setting, run_cell
from benchmarks.gauntlet.series import HONEST, VENDORS
from vtune_client.control import Control, control_of

Wanted = tuple[str, int]  # vendor, seed


class Book:
    """The cells of one setting, in a file of one JSON line each."""

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

    def controls(self, seed: int) -> Controls:
        """Return both rounds of the honest run of a file as controls, where they were verified."""
        cell = self._cells.get((HONEST, seed))
        return (_control(cell.verification), _control(cell.unscored)) if cell else (None, None)


def _control(verdict: Mapping[str, Any] | None) -> Control | None:
    if not verdict or verdict["verdict"] != "verified":
        return None
    return control_of(verdict, "the honest run of this file")


def run_all(
    book: Book, setting: Setting, wanted: Sequence[Wanted], work: Path, processes: int
) -> Iterator[Cell]:
    """Yield each cell that was missing once it is in the book; honest ones are run first."""
    missing = book.missing(wanted)
    if not missing:
        return
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
                    (None, None) if vendor == HONEST else book.controls(seed),
                    both=True,
                )
                for vendor, seed in keys
            ]
            for future in as_completed(under_way):
                cell = future.result()
                book.add(cell)
                yield cell
