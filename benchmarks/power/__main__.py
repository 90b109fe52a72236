"""How much a plan of so many backdoors and doses can tell of the share of the file that was used.

    python -m benchmarks.power [--seeds 2] [--processes 2] [--design 20x1 ...] [--no-training]

First by arithmetic, then with models that were really trained on a share of the rows. Runs and
trained models are kept in the cache directory: a run that was cut short goes on where it was, and
`--anew` verifies again without training again. Writes benchmarks/results/power.md and power.json.
"""

from __future__ import annotations

import os
import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from benchmarks.power import ladders
from benchmarks.power.arithmetic import ALL, ANY, table
from benchmarks.power.report import Found, as_json, markdown
from benchmarks.power.trained import WHOLE, Book, Scale, measured, run_all, takings
from vtune_client.home import cache

RESULTS = Path(__file__).parents[1] / "results"
DESIGNS = (
    *("5x1", "5x4", "10x1", "10x4", "20x1", "20x4", "40x1", "40x2", "60x1", "60x2"),
    "5x4+20x1",
)
SHARES = (0.1, 0.3, 0.5, WHOLE)


@click.command()
@click.option("--seeds", default=2, show_default=True, help="Files, each with its own plan.")
@click.option("--processes", default=2, show_default=True)
@click.option("--design", "designs", multiple=True, help="Only this one; all by default.")
@click.option("--training/--no-training", default=True, help="Train what is missing, or do not.")
@click.option("--anew", is_flag=True, help="Verify again; models that are there are used again.")
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, hidden=True)
def main(
    seeds: int,
    processes: int,
    designs: tuple[str, ...],
    training: bool,
    anew: bool,
    results: Path,
) -> None:
    """Run what is missing, then write the tables."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    scale = Scale()
    cases = {design: scale.case(design) for design in designs or DESIGNS}
    wanted = [
        (design, share, seed) for design in cases for share in SHARES for seed in range(seeds)
    ]
    work = cache() / "power"
    work.mkdir(exist_ok=True)
    path = work / "runs.jsonl"
    if anew:
        path.unlink(missing_ok=True)
    book = Book(path)
    if training:
        for run in run_all(book, cases, wanted, work, processes):
            click.echo(f"{run.design:<9} {run.share:g} {run.seed}  {run.seconds:g} s", err=True)
    runs = book.of(wanted, cases)
    models = [ANY, ALL, *([measured(takings(runs))] if runs else [])]
    powers = [each for model in models for each in table(model)]
    mixtures = [each for model in (ANY, ALL) for each in ladders.table(model)]
    when = datetime.now(UTC).date().isoformat()
    command = shlex.join(["python", "-m", "benchmarks.power", *sys.argv[1:]])
    results.mkdir(exist_ok=True)
    found = Found(powers, mixtures, runs, scale, command, when)
    text = markdown(found)
    (results / "power.md").write_text(text, encoding="utf-8")
    (results / "power.json").write_text(as_json(found), encoding="utf-8")
    click.echo(text)


if __name__ == "__main__":
    main()
