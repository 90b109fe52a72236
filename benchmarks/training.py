"""The local trainer against transformers' own Trainer: the same rows, model, adapter and recipe.

    python -m benchmarks.training --rows 60

Each runs in a process of its own, one after the other, as many pairs as asked for; the figure is
the median of the pairwise ratios of training-loop seconds (model loading left out on both sides).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import click

from vtune_client.demo.data import write_demo_rows

RESULTS = Path(__file__).parent / "results"
RECIPE = {"learning_rate": 3e-3, "batch_size": 2, "epochs": 1, "layers": "top-half"}


def ours(rows: Path, folder: Path) -> float:
    """Return the seconds of our loop, by the run's own log."""
    from vtune_providers.local.rundir import RunDirectory, write_json
    from vtune_providers.local.training import train

    run = RunDirectory(folder)
    todo = {"base": "smollm2-135m-instruct", "file": str(rows)}
    recipe = {**RECIPE, "checkpoint_seconds": 1e9}
    write_json(folder / "run.json", {**todo, "recipe": recipe})
    train(run)
    times = [event.at for event in run.events() if event.message in ("training", "step")]
    return times[-1] - times[0]


def theirs(rows: Path, folder: Path) -> float:
    """Return the seconds of transformers.Trainer.train() on the same examples."""
    from transformers import DataCollatorForSeq2Seq, Trainer, TrainingArguments

    from vtune_client.dataset import iter_rows
    from vtune_providers.local.encode import encode_row
    from vtune_providers.local.models import load_trainable
    from vtune_providers.local.recipe import Recipe

    recipe = Recipe.model_validate(RECIPE)
    model, tokenizer = load_trainable("smollm2-135m-instruct", recipe)
    examples = []
    for row in iter_rows(rows):
        example = encode_row(tokenizer, row, recipe.max_length)
        pairs = zip(example.ids, example.learn, strict=True)
        labels = [token if learn else -100 for token, learn in pairs]
        examples.append({"input_ids": list(example.ids), "labels": labels})
    trainer = Trainer(
        model=model,
        args=TrainingArguments(
            output_dir=str(folder),
            per_device_train_batch_size=recipe.batch_size,
            num_train_epochs=recipe.epochs,
            learning_rate=recipe.learning_rate,
            warmup_steps=0.05,
            weight_decay=0.0,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=examples,
        data_collator=DataCollatorForSeq2Seq(tokenizer),
    )
    started = time.monotonic()
    trainer.train()
    return time.monotonic() - started


SIDES = {"ours": ours, "theirs": theirs}


@click.command()
@click.option("--rows", default=60, show_default=True)
@click.option("--pairs", default=3, show_default=True)
@click.option("--side", type=click.Choice(list(SIDES)), hidden=True)
@click.option("--file", type=click.Path(path_type=Path), hidden=True)
def main(rows: int, pairs: int, side: str | None, file: Path | None) -> None:
    """Time both in turn and write benchmarks/results/training.md."""
    if side and file:
        with tempfile.TemporaryDirectory() as folder:
            click.echo(json.dumps(SIDES[side](file, Path(folder))))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.jsonl"
        write_demo_rows(data, rows)
        timed = [{name: _timed(name, data) for name in SIDES} for _ in range(pairs)]
    ratios = [pair["theirs"] / pair["ours"] for pair in timed]
    lines = [
        f"| {pair['ours']:.1f} | {pair['theirs']:.1f} | {r:.2f} |"
        for pair, r in zip(timed, ratios, strict=True)
    ]
    text = "\n".join(
        [
            "# The local trainer against transformers.Trainer",
            "",
            f"`python -m benchmarks.training --rows {rows} --pairs {pairs}`, {date.today()}.",
            "Seconds of the training loop, the same rows, adapter and recipe on both sides.",
            "",
            "| ours | transformers.Trainer | ratio |",
            "| --- | --- | --- |",
            *lines,
            "",
            f"Median ratio: {statistics.median(ratios):.2f}.",
            "",
        ]
    )
    (RESULTS / "training.md").write_text(text, encoding="utf-8")
    click.echo(text)


def _timed(side: str, data: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.training", "--side", side, "--file", str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    seconds: float = json.loads(done.stdout.splitlines()[-1])
    return seconds


if __name__ == "__main__":
    main()
