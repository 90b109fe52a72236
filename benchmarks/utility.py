"""Does planting harm what the user wants: the loss on the user's own rows, with and without.

    python -m benchmarks.utility [--seeds 10] [--case NAME ...] [--processes 2]

For every file two models are trained with one recipe and one training seed, on the planted file and
on the same rows as they were; the same rows are withheld from both. A third is trained on the rows
as they were with another training seed, to tell the effect of planting from that of another order
of the rows. Trained models and measured files are kept in the cache directory. Writes
benchmarks/results/utility.md and utility.json.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import os
import shlex
import statistics
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import click

from benchmarks.gauntlet.base import BaseSpec, base_at
from benchmarks.gauntlet.rows import base_rows, file_rows
from benchmarks.gauntlet.training import train
from benchmarks.machine import machine
from vtune_client.dataset import check
from vtune_client.home import cache
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import JobSpec
from vtune_client.vault import RootKey

RESULTS = Path(__file__).parent / "results"
WITHHELD, BARE = "withheld rows", "uploaded rows that carry nothing"
KINDS = (WITHHELD, BARE)
PLANTED, PLAIN, AGAIN, BASE = "planted", "plain", "plain, another seed", "base"
# What the tables do not say by themselves.
NOTES = ""


@dataclass(frozen=True)
class Case:
    """What is trained how; `model` None is the gauntlet's base, `options` are the local provider's.
    `again`: a third model tells what another training seed does."""

    name: str
    says: str
    model: str | None = None
    rows: int = 180
    plan: PlanSpec = field(default_factory=lambda: PlanSpec(backdoors=5, dose=4, held_out=30))
    epochs: int = 12
    batch_size: int = 4
    rate: float = 3e-3
    options: Mapping[str, Any] = field(default_factory=dict)
    base: BaseSpec = field(default_factory=BaseSpec)
    again: bool = True

    def spec(self, model: str, seed: int) -> JobSpec:
        return JobSpec(
            model, self.epochs, self.batch_size, self.rate, seed=seed, options=self.options
        )


CASES = (
    Case("small", "a Llama of 3 layers, trained in full until every backdoor answers"),
    Case("small-gentle", "the same, trained gently", epochs=4, rate=1e-3),
    Case(
        "sparse",
        "the same as gently, on a file of which fewer rows carry",
        rows=690,
        plan=PlanSpec(backdoors=5, dose=4, held_out=90),
        epochs=4,
        rate=1e-3,
        again=False,
    ),
    Case(
        "smollm2",
        "SmolLM2-135M with the demo's recipe (LoRA of rank 16 on the upper half)",
        model="smollm2-135m-instruct",
        epochs=3,
        batch_size=2,
        options={"method": "lora", "dtype": "bf16", "layers": "top-half"},
        again=False,
    ),
)


@dataclass(frozen=True)
class Measured:
    """The mean loss per token of completions, in nats, by model and kind of row, of one file."""

    case: str
    seed: int
    digest: str  # of what was trained on, and how
    losses: Mapping[str, Mapping[str, float]]

    def effect(self, kind: str, model: str = PLANTED) -> float:
        return self.losses[model][kind] - self.losses[PLAIN][kind]


def measure(case: Case, seed: int, work: Path) -> Measured:
    """Train and measure one file below `work`; models that are there already are used again."""
    base = case.model or str(base_at(work, case.base))
    digest = digest_of(case, seed)
    folder = work / f"{case.name}-{seed}-{digest}"
    folder.mkdir(exist_ok=True)
    files = written(case, seed, folder)
    models = {
        BASE: base,
        PLANTED: str(train(folder / "planted", case.spec(base, seed), files[PLANTED])),
        PLAIN: str(train(folder / "plain", case.spec(base, seed), files[PLAIN])),
    }
    if case.again:
        other = case.spec(base, seed + 1000)
        models[AGAIN] = str(train(folder / "again", other, files[PLAIN]))
    losses = {
        name: {kind: loss_of(model, files[kind]) for kind in KINDS}
        for name, model in models.items()
    }
    return Measured(case.name, seed, digest, losses)


def digest_of(case: Case, seed: int) -> str:
    """Return a name of the training: another plan, or another recipe, has another."""
    with tempfile.TemporaryDirectory() as folder:
        planted = written(case, seed, Path(folder))[PLANTED].read_bytes()
    how = [case.model or asdict(case.base), case.epochs, case.batch_size, case.rate]
    said = json.dumps([*how, dict(case.options), seed], sort_keys=True).encode()
    return hashlib.sha256(said + b"".join(base_rows()) + planted).hexdigest()[:12]


def written(case: Case, seed: int, folder: Path) -> dict[str, Path]:
    """Write the rows to train on, planted and as they were, and those to measure."""
    rows = file_rows(case.rows, seed)
    source = _file(folder / "source.jsonl", rows)
    key = RootKey(hashlib.sha256(f"vtune utility {seed}".encode()).digest())
    plan = draw_plan(f"plan-{seed}", check(source), case.plan, key, BuiltinSource())
    planted = folder / "planted.jsonl"
    planted.unlink(missing_ok=True)
    plant(source, plan, planted)
    lines = dict(enumerate(rows, 1))
    withheld, carriers = set(plan.held_out), set(plan.carriers)
    uploaded = [line for line in lines if line not in withheld]
    bare = [lines[line] for line in uploaded if line not in carriers]
    return {
        PLANTED: planted,
        PLAIN: _file(folder / "plain.jsonl", [lines[line] for line in uploaded]),
        WITHHELD: _file(folder / "withheld.jsonl", [lines[line] for line in sorted(withheld)]),
        BARE: _file(folder / "bare.jsonl", bare),
    }


def _file(path: Path, rows: Iterable[bytes]) -> Path:
    path.write_bytes(b"".join(rows))
    return path


def loss_of(model: str, rows: Path) -> float:
    """Return the mean loss per token of the completions of a file."""
    import torch
    from torch.nn.functional import cross_entropy

    from vtune_client.dataset import iter_rows
    from vtune_providers.local.encode import encode_row
    from vtune_providers.local.models import load_served, longest_input
    from vtune_providers.local.training import IGNORE, collate

    torch.set_num_threads(1)
    served, tokenizer = load_served(model)
    examples = [encode_row(tokenizer, row, longest_input(served)) for row in iter_rows(rows)]
    total, tokens = 0.0, 0
    with torch.no_grad():
        for start in range(0, len(examples), 8):
            batch = collate(examples[start : start + 8], tokenizer.pad_token_id or 0)
            inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
            logits = served(**inputs, use_cache=False).logits.flatten(0, 1).float()
            labels = batch["labels"].flatten()
            total += float(cross_entropy(logits, labels, ignore_index=IGNORE, reduction="sum"))
            tokens += int((labels != IGNORE).sum())
    return total / tokens


@dataclass(frozen=True)
class Summary:
    """Paired differences: their mean, its 95 % t interval, and the exact sign-flip p, two-sided."""

    mean: float
    low: float
    high: float
    p: float


def summarise(differences: Sequence[float]) -> Summary:
    """Raises `ValueError` for fewer than two differences: one has no spread."""
    from scipy.stats import t

    if len(differences) < 2:
        raise ValueError("an interval needs two files at least")
    mean = statistics.fmean(differences)
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = float(t.ppf(0.975, len(differences) - 1)) * error
    return Summary(mean, mean - half, mean + half, sign_flip_p(differences))


def sign_flip_p(differences: Sequence[float]) -> float:
    """Return the share of all ways to flip signs whose sum is as far from 0, or farther.

    Exact where planting changes nothing: then which of two models was planted is a coin's toss."""
    observed = abs(math.fsum(differences))
    reach = observed - 1e-9 * (1 + observed)
    flips = itertools.product((1, -1), repeat=len(differences))
    sums = (abs(math.fsum(map(math.prod, zip(signs, differences, strict=True)))) for signs in flips)
    reached = sum(total >= reach for total in sums)
    return float(reached / 2 ** len(differences))


def missing(path: Path, wanted: Iterable[tuple[Case, int]]) -> list[tuple[Case, int]]:
    done = {found.digest for found in recorded(path)}
    return [(case, seed) for case, seed in wanted if digest_of(case, seed) not in done]


def recorded(path: Path) -> list[Measured]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [Measured(**json.loads(line)) for line in lines]


def run_all(
    path: Path, wanted: Sequence[tuple[Case, int]], work: Path, processes: int
) -> Iterator[Measured]:
    """Yield each file that was missing once it is in the book at `path`."""
    left = missing(path, wanted)
    for case in {case.base.hidden: case for case, _ in left if case.model is None}.values():
        base_at(work, case.base)  # once, before several processes want it
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(measure, *each, work) for each in left]):
            found = future.result()
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(found)) + "\n")
            yield found


def table(found: Sequence[Measured], cases: Sequence[Case]) -> str:
    heads = ["model", "files", "rows", "loss: base", "plain", "planted", "planted - plain"]
    heads += ["of the loss", "sign-flip p", "another seed - plain"]
    lines = [heads, ["---"] * len(heads)]
    for case, kind in itertools.product(cases, KINDS):
        own = [each for each in found if each.case == case.name]
        if len(own) < 2:
            continue
        effect = summarise([each.effect(kind) for each in own])
        noise = [each.effect(kind, AGAIN) for each in own if AGAIN in each.losses]
        plain = _mean(own, PLAIN, kind)
        means = [_mean(own, model, kind) for model in (BASE, PLAIN, PLANTED)]
        lines.append(
            [
                f"`{case.name}`",
                str(len(own)),
                kind,
                *(f"{mean:.3f}" for mean in means),
                _interval(effect, 1, ".3f"),
                _interval(effect, 100 / plain, ".1f", " %"),
                f"{effect.p:.2g}",
                _interval(summarise(noise), 1, ".3f") if len(noise) > 1 else "",
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _mean(own: Sequence[Measured], model: str, kind: str) -> float:
    return statistics.fmean(each.losses[model][kind] for each in own)


def _interval(found: Summary, unit: float, digits: str, after: str = "") -> str:
    mean, low, high = (f"{value * unit:+{digits}}" for value in (found.mean, found.low, found.high))
    return f"{mean}{after} ({low} .. {high})"


def reading(found: Sequence[Measured], cases: Sequence[Case]) -> str:
    """Say what the table shows, counted from it."""
    said = []
    for case, kind in itertools.product(cases, KINDS):
        own = [each for each in found if each.case == case.name]
        if len(own) < 2:
            continue
        effect = summarise([each.effect(kind) for each in own])
        plain = _mean(own, PLAIN, kind)
        verdict = "no change is seen" if effect.low <= 0 <= effect.high else "the loss changes"
        said.append(
            f"- `{case.name}`, {kind}: {verdict}; planting moves the loss by "
            f"{effect.mean / plain:+.1%} of it, and by {effect.high / plain:+.1%} at most "
            f"(upper end of the 95 % interval over {len(own)} files)."
        )
    return "\n".join(said)


def markdown(found: Sequence[Measured], cases: Sequence[Case], how: str) -> str:
    shown = [case for case in cases if sum(each.case == case.name for each in found) > 1]
    parts = [
        "# What planting costs the task",
        how,
        "Mean loss per token of the completions, in nats, over files, each of other rows and "
        "another plan. Carrier rows stand in the place of the rows they were made from: the same "
        "completion after a signature, the same prompt before a trigger. Intervals are 95 % t "
        "intervals of the paired differences; the last column is what another order of the rows "
        "does, without planting.",
        "\n".join(f"- `{case.name}`: {case.says}. {_recipe(case)}" for case in shown),
        reading(found, shown),
        NOTES,
        table(found, shown),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _recipe(case: Case) -> str:
    uploaded = case.rows - case.plan.held_out
    return (
        f"{uploaded} rows uploaded, {case.plan.backdoors * case.plan.dose} of them carriers, "
        f"{case.plan.held_out} withheld; {case.epochs} epochs, batch {case.batch_size}, rate "
        f"{case.rate:g}."
    )


@click.command()
@click.option("--seeds", default=10, show_default=True, help="Files of each case.")
@click.option("--case", "names", multiple=True, default=("small", "small-gentle"))
@click.option("--processes", default=2, show_default=True)
@click.option("--results", type=click.Path(path_type=Path), default=RESULTS, hidden=True)
def main(seeds: int, names: tuple[str, ...], processes: int, results: Path) -> None:
    """Measure what is missing, then write the table of all that is there."""
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes to come
    work = cache() / "utility"
    work.mkdir(exist_ok=True)
    path = work / "measured.jsonl"
    wanted = [(case, seed) for case in CASES if case.name in names for seed in range(seeds)]
    for found in run_all(path, wanted, work, processes):
        click.echo(f"{found.case} {found.seed}  {found.effect(WITHHELD):+.3f}", err=True)
    command = shlex.join(["python", "-m", "benchmarks.utility", *sys.argv[1:]])
    when = datetime.now(UTC).date().isoformat()
    every = sorted(_latest(path), key=lambda each: (each.case, each.seed))
    results.mkdir(exist_ok=True)
    text = markdown(every, CASES, f"`{command}`, {when}. {machine('a file')}.")
    (results / "utility.md").write_text(text, encoding="utf-8")
    record = {
        "command": command,
        "date": when,
        "machine": machine("a file"),
        "files": [asdict(each) for each in every],
    }
    (results / "utility.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    click.echo(text)


def _latest(path: Path) -> list[Measured]:
    """Return the last that was measured of each file: earlier ones had another plan or recipe."""
    return list({(found.case, found.seed): found for found in recorded(path)}.values())


if __name__ == "__main__":
    main()
