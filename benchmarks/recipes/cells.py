"""One honest run: a recipe, a file, a training seed; its evidence is kept, judged later."""

from __future__ import annotations

import hashlib
import json
import statistics
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.gauntlet.base import BaseSpec, base_at
from benchmarks.gauntlet.drill import Planting, Setting, run_cell
from benchmarks.gauntlet.rows import base_rows
from vtune_client.provider import JobSpec

HONEST, BASE = "honest", "base-model"


@dataclass(frozen=True)
class Recipe:
    """How one vendor trains; `rank` is that of the adapters, 0 for full fine-tuning."""

    rank: int
    rate: float
    epochs: int

    @property
    def method(self) -> str:
        return f"LoRA {self.rank}" if self.rank else "full"

    @property
    def name(self) -> str:
        return f"{self.method.lower().replace(' ', '-')}-{self.rate:g}-{self.epochs}"


@dataclass(frozen=True)
class Trained(Setting):
    """The gauntlet's setting with the adapters and the training seed of one run."""

    rank: int = 0
    run: int = 0

    def spec(self, base: str | Path) -> JobSpec:
        options = {"method": "lora", "rank": self.rank, "alpha": 2 * self.rank}
        return JobSpec(
            str(base),
            self.epochs,
            self.batch_size,
            self.learning_rate,
            seed=self.run,
            options=options if self.rank else {},
        )


@dataclass(frozen=True)
class Wanted:
    """A cell to be run: no recipe stands for the base, delivered as it is."""

    recipe: Recipe | None
    seed: int
    run: int = 0

    @property
    def name(self) -> str:
        return f"{self.recipe.name if self.recipe else BASE}-run-{self.run}"


@dataclass(frozen=True)
class Done:
    """What came of a cell: the verdict without a control, and that of a round in which the service
    offered no scores. `loss` is that of the last steps of the training."""

    wanted: Wanted
    verification: Mapping[str, Any]
    unscored: Mapping[str, Any] | None
    loss: float | None
    train_seconds: float
    verify_seconds: float


def run_one(plain: Setting, wanted: Wanted, work: Path) -> Done:
    """Train and verify one cell below `work`; a model that is there already is used again."""
    folder = work / wanted.name
    folder.mkdir(exist_ok=True)
    if not (folder / "base").exists():
        (folder / "base").symlink_to(_base(plain, work))
    recipe = wanted.recipe
    setting = Trained(
        rows=plain.rows,
        plan=plain.plan,
        base=plain.base,
        batch_size=plain.batch_size,
        epochs=recipe.epochs if recipe else plain.epochs,
        learning_rate=recipe.rate if recipe else plain.learning_rate,
        rank=recipe.rank if recipe else 0,
        run=wanted.run,
    )
    cell = run_cell(setting, HONEST if recipe else BASE, wanted.seed, folder, both=True)
    return Done(
        wanted,
        cell.verification,
        cell.unscored,
        _last_loss(folder / f"seed-{wanted.seed}" / HONEST / "run" / "events.jsonl"),
        cell.train_seconds,
        cell.verify_seconds,
    )


def _last_loss(events: Path) -> float | None:
    """Return the mean loss of the last ten steps that were reported; None without a training."""
    if not events.exists():
        return None
    every = [json.loads(line) for line in events.read_text(encoding="utf-8").splitlines()]
    return statistics.fmean([e["data"]["loss"] for e in every if e["message"] == "step"][-10:])


class Book:
    """The cells that are done, in a file of one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._done: dict[Wanted, Done] = {}
        for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
            done = _done(json.loads(line))
            self._done[done.wanted] = done

    def missing(self, wanted: Iterable[Wanted]) -> list[Wanted]:
        return [each for each in wanted if each not in self._done]

    def add(self, done: Done) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(done)) + "\n")
        self._done[done.wanted] = done

    def of(self, wanted: Iterable[Wanted]) -> list[Done]:
        """Return those of the wanted cells that are done, in their order."""
        return [self._done[each] for each in wanted if each in self._done]


def run_all(
    book: Book, plain: Setting, wanted: Sequence[Wanted], work: Path, processes: int
) -> Iterator[Done]:
    """Yield each cell that was missing once it is in the book."""
    missing = book.missing(wanted)
    if not missing:
        return
    _base(plain, work)  # once, before several processes want it
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(run_one, plain, each, work) for each in missing]):
            book.add(future.result())
            yield future.result()


def _base(plain: Setting, work: Path) -> Path:
    if not isinstance(plain.base, BaseSpec):
        raise TypeError("recipes are compared on a base of the gauntlet's own")
    return base_at(work, plain.base).resolve()


def folder_of(plain: Setting, cache: Path) -> Path:
    """Return the folder for all runs of these files, made below `cache`.

    Its name follows from what is planted and what the base is, not from how that is said."""
    with tempfile.TemporaryDirectory() as drawn:
        planted = Planting(plain, Path(drawn), 0).file.read_bytes()
    base = json.dumps(asdict(plain)["base"], sort_keys=True).encode()
    digest = hashlib.sha256(planted + b"".join(base_rows()) + base).hexdigest()[:12]
    folder = cache / f"recipes-{digest}"
    folder.mkdir(exist_ok=True)
    return folder


def _done(found: Mapping[str, Any]) -> Done:
    wanted = found["wanted"]
    recipe = Recipe(**wanted["recipe"]) if wanted["recipe"] else None
    return Done(**{**found, "wanted": Wanted(recipe, wanted["seed"], wanted["run"])})
