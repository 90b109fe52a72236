"""Is an honest vendor called "not verified" because it trains with another recipe?

    python -m benchmarks.recipes [--seeds 3] [--runs 2] [--processes 2]

Trains every recipe on every file, twice, verifies each run once, and judges every run of a file by
every other as its control. Runs and models are kept in the cache directory, so that a run that was
cut short goes on where it was. Writes benchmarks/results/recipes.md and recipes.json.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.gauntlet.drill import Setting
from benchmarks.machine import machine
from benchmarks.recipes.cells import Book, Done, Recipe, Wanted, folder_of, run_all
from benchmarks.recipes.pairs import pairs, traces
from benchmarks.recipes.table import by_difference, by_recipe, named, reading, setting_of
from vtune_client.home import cache

RESULTS = Path(__file__).parents[1] / "results"
FULL = [Recipe(0, rate, epochs) for rate in (1e-3, 3e-3) for epochs in (1, 2, 4, 8, 12)]
LORA = [
    *(Recipe(16, rate, epochs) for rate in (1e-3, 3e-3) for epochs in (4, 12)),
    *(Recipe(rank, 3e-3, 12) for rank in (4, 8)),
    Recipe(16, 1e-2, 12),
]
RECIPES = (*FULL, *LORA)
# What the tables do not say by themselves.
NOTES = ""


@click.command()
@click.option("--seeds", default=3, show_default=True, help="Files, each with its own plan.")
@click.option("--runs", default=2, show_default=True, help="Trainings of a recipe on a file.")
@click.option("--processes", default=2, show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, hidden=True)
def main(seeds: int, runs: int, processes: int, results: Path) -> None:
    """Run what is missing, then judge all pairs and write the tables."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    plain = Setting()
    work = folder_of(plain, cache())
    book = Book(work / "cells.jsonl")
    wanted = wanted_cells(RECIPES, seeds, runs)
    for done in run_all(book, plain, wanted, work, processes):
        verdict = done.verification["verdict"]
        click.echo(f"{done.wanted.name:<24} {done.wanted.seed}  {verdict}", err=True)
    results.mkdir(exist_ok=True)
    _write(book.of(wanted), plain, seeds, runs, results)


def wanted_cells(recipes: Sequence[Recipe], seeds: int, runs: int) -> list[Wanted]:
    """Return every run of every recipe, file by file, and the base itself for comparison."""
    return [
        *(
            Wanted(recipe, seed, run)
            for recipe in recipes
            for seed in range(seeds)
            for run in range(runs)
        ),
        *(Wanted(None, seed) for seed in range(seeds)),
    ]


def _write(cells: Sequence[Done], plain: Setting, seeds: int, runs: int, results: Path) -> None:
    command = shlex.join(["python", "-m", "benchmarks.recipes", *sys.argv[1:]])
    when = datetime.now(UTC).date().isoformat()
    text = markdown(cells, plain, seeds, runs, f"`{command}`, {when}. {machine()}.")
    (results / "recipes.md").write_text(text, encoding="utf-8")
    record = {
        "command": command,
        "date": when,
        "machine": machine(),
        "cells": [_plain(cell) for cell in cells],
    }
    (results / "recipes.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    click.echo(text)


def markdown(cells: Sequence[Done], plain: Setting, seeds: int, runs: int, how: str) -> str:
    found = list(pairs(cells, plain.plan.ladder))
    text_alone = list(pairs(cells, plain.plan.ladder, scored=False))
    parts = [
        "# Honest vendors with other recipes",
        how,
        setting_of(plain, seeds, runs),
        reading(cells, found, text_alone),
        NOTES,
        "## By difference from the control",
        "Pairs by verdict; then how many would be not verified without the trace rule, and by the "
        "rule that counts whole answers alone, whatever traces other tests find. The client "
        "accuses nobody whose job is known to have had another recipe than the control; here every "
        "pair is judged.",
        by_difference(found),
        "## By recipe",
        "Each recipe's runs, first without a control: the loss of the last steps, what they show, "
        'and how many leave a trace in which test. "Accused" is not verified, against every '
        "verified control.",
        by_recipe(cells, found),
        "## Where the service offers no scores" if text_alone else "",
        by_difference(text_alone) if text_alone else "",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _plain(cell: Done) -> dict[str, object]:
    verdict = cell.verification
    return {
        "recipe": named(cell.wanted.recipe),
        "file": cell.wanted.seed,
        "run": cell.wanted.run,
        "verdict": verdict["verdict"],
        "activated": verdict["activated"],
        "slots matched": verdict["slots_matched"],
        "log10 p": {test["name"]: test["log10_p"] for test in verdict["tests"]},
        "traces": traces(verdict),
        "loss": cell.loss,
        "seconds": [cell.train_seconds, cell.verify_seconds],
    }


if __name__ == "__main__":
    main()
