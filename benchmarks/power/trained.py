"""Plans planted, trained on by a vendor who uses a share of the rows, and verified, for real."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from operator import attrgetter
from pathlib import Path
from typing import Any

from benchmarks.gauntlet.base import BaseSpec, base_at
from benchmarks.gauntlet.drill import Cell, Planting, Setting, run_cell
from benchmarks.gauntlet.rows import base_rows
from benchmarks.power.arithmetic import Model, least_firsts
from benchmarks.power.design import ALPHA, CONFIDENCE, Design
from vtune_client.amount import TAU
from vtune_client.evidence import (
    DoseCount,
    ShareInterval,
    count_by_dose,
    seen_by_rank,
    share_interval,
)

WHOLE = 1.0
Key = tuple[str, float, int]  # design, share, seed


@dataclass(frozen=True)
class Scale:
    """The file, and the shortest recipe that activates every backdoor of an honest run of 5x4."""

    rows: int = 600
    epochs: int = 8
    batch_size: int = 4
    learning_rate: float = 3e-3
    base: BaseSpec = field(default_factory=BaseSpec)

    def case(self, design: str) -> Case:
        setting = Setting(
            rows=self.rows,
            plan=Design.of(design).plan,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            base=self.base,
        )
        with tempfile.TemporaryDirectory() as folder:
            planted = Planting(setting, Path(folder), 0).file.read_bytes()
        said = json.dumps(asdict(self), sort_keys=True).encode()
        name = hashlib.sha256(said + b"".join(base_rows()) + planted).hexdigest()[:12]
        return Case(design, setting, f"{design}-{name}")


@dataclass(frozen=True)
class Case:
    """A design at some scale. `folder` is named for what is planted and how it is trained on, so a
    plan drawn in another way is another case; `name`, that of its runs, for what is asked, too."""

    design: str
    setting: Setting
    folder: str

    @property
    def name(self) -> str:
        plan = self.setting.plan
        return f"{self.folder} {plan.own_prompts}+{plan.fresh_prompts} {plan.decoys}"


@dataclass(frozen=True)
class Run:
    """One model verified. Per backdoor: its dose, how many of its carriers were `used`, the slots
    its best answer `matched` of `slots`, and its rank among so many decoys (none: not scored)."""

    case: str
    design: str
    share: float
    seed: int
    trained: float
    used: tuple[int, ...]
    matched: tuple[int, ...]
    slots: tuple[int, ...]
    ranks: tuple[int, ...]
    decoys: tuple[int, ...]
    text_log10_p: float
    ranks_log10_p: float
    queries: int
    seconds: float

    @property
    def key(self) -> Key:
        return self.design, self.share, self.seed

    @property
    def doses(self) -> tuple[int, ...]:
        return Design.of(self.design).doses

    @property
    def said(self) -> tuple[bool, ...]:
        """Whether some answer was the whole signature."""
        return tuple(m == s for m, s in zip(self.matched, self.slots, strict=True))

    @property
    def ranked(self) -> tuple[bool, ...]:
        """Whether the signature is among the first TAU of its decoys."""
        if not self.ranks:
            return (False,) * len(self.doses)
        return seen_by_rank(self.ranks, self.decoys, TAU)

    @property
    def met(self) -> tuple[bool, ...]:
        return tuple(a or b for a, b in zip(self.said, self.ranked, strict=True))

    @property
    def firsts(self) -> bool:
        """Whether a count of the backdoors ranked first would verify the model."""
        if not self.ranks:
            return False
        chance = 1 / (min(self.decoys) + 1)
        return self.ranks.count(1) >= least_firsts(len(self.ranks), chance)

    @property
    def verified(self) -> tuple[bool, bool, bool]:
        """By text, by ranks, by either (the better of the two by Holm)."""
        limit = math.log10(ALPHA)
        both = min(self.text_log10_p, self.ranks_log10_p) + math.log10(2)
        return self.text_log10_p <= limit, self.ranks_log10_p <= limit, both <= limit

    def interval(self, control: Run | None = None) -> ShareInterval:
        """Return the share's: from below what was met, from above as `shown` has it."""
        return share_interval(
            count_by_dose(self.doses, self.met, chance=TAU),
            control.shown() if control else None,
            CONFIDENCE,
            shown=self.shown() if control else None,
        )

    def shown(self) -> tuple[DoseCount, ...]:
        """Count what is compared with a control: whole answers, at dose 1 by rank as well.

        Where carriers are several, one that was used is enough to rank first."""
        counts = []
        for dose in sorted(set(self.doses)):
            seen = zip(self.doses, self.met if dose == 1 else self.said, strict=True)
            own = [each for this, each in seen if this == dose]
            counts.append(DoseCount(dose, len(own), sum(own), chance=TAU if dose == 1 else 0.0))
        return tuple(counts)


Cases = Mapping[str, Case]  # by design


class Book:
    """The runs that are done, in a file of one JSON line each."""

    def __init__(self, path: Path) -> None:
        self._path = path
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else ()
        self.runs = [_run_of(json.loads(line)) for line in lines]

    def add(self, run: Run) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(run)) + "\n")
        self.runs.append(run)

    def missing(self, wanted: Iterable[Key], cases: Cases) -> list[Key]:
        done = {(run.case, run.key) for run in self.runs}
        return [key for key in wanted if (cases[key[0]].name, key) not in done]

    def of(self, wanted: Sequence[Key], cases: Cases) -> list[Run]:
        """Return the runs wanted that are there, in that order; the last of each counts."""
        names = {case.name for case in cases.values()}
        found = {run.key: run for run in self.runs if run.case in names}
        return [found[key] for key in wanted if key in found]


def run_all(
    book: Book, cases: Cases, wanted: Sequence[Key], work: Path, processes: int
) -> Iterator[Run]:
    """Yield each run that was missing once it is in the book, seed by seed, the longest first."""
    missing = sorted(book.missing(wanted, cases), key=lambda key: (key[2], -key[1]))
    for design in {key[0] for key in missing}:
        _folder(cases[design], work)  # once, before several processes want it
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        under_way = [pool.submit(run_one, cases[key[0]], *key[1:], work) for key in missing]
        for future in as_completed(under_way):
            book.add(run := future.result())
            yield run


def run_one(case: Case, share: float, seed: int, work: Path) -> Run:
    """Return one run; models trained earlier below `work` are used again."""
    vendor = "honest" if share == WHOLE else f"share={share:g}"
    cell = run_cell(case.setting, vendor, seed, _folder(case, work))
    return _run(cell, case, share)


def _folder(case: Case, work: Path) -> Path:
    """Return the folder of a case, with the base in it: all of them have the same one."""
    folder = work / case.folder
    if not (folder / "base").exists():
        folder.mkdir(exist_ok=True)
        shutil.copytree(base_at(work, case.setting.base), folder / "base.part", dirs_exist_ok=True)
        (folder / "base.part").replace(folder / "base")
    return folder


def _run(cell: Cell, case: Case, share: float) -> Run:
    tests = cell.verification["tests"]
    slots = next(test for test in tests if test["name"] == "slots")
    scored = (test for test in tests if test["name"].startswith("ranks"))
    ranks: Mapping[str, Any] = next(scored, {})
    return Run(
        case=case.name,
        design=case.design,
        share=share,
        seed=cell.seed,
        trained=cell.trained,
        used=tuple(cell.used),
        matched=tuple(slots["matched"]),
        slots=tuple(len(sizes) for sizes in slots["slot_sizes"]),
        ranks=tuple(ranks.get("ranks", ())),
        decoys=tuple(ranks.get("decoys", ())),
        text_log10_p=slots["log10_p"],
        ranks_log10_p=ranks.get("log10_p", 0.0),
        queries=cell.queries,
        seconds=round(cell.train_seconds + cell.verify_seconds, 1),
    )


def _run_of(data: dict[str, Any]) -> Run:
    values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return Run(**values)


@dataclass(frozen=True)
class Taking:
    """Backdoors of which so many carriers were used, in models trained on this share: how many of
    them were said in full, and how many known by rank."""

    share: float
    used: int
    backdoors: int
    said: int
    ranked: int


def takings(runs: Sequence[Run]) -> list[Taking]:
    """Return what backdoors show by the carriers of theirs that were used, for each share."""
    each = [
        ((run.share, used), said, ranked)
        for run in runs
        for used, said, ranked in zip(run.used, run.said, run.ranked, strict=True)
    ]
    return [
        Taking(
            *kind,
            backdoors=sum(1 for other, _, _ in each if other == kind),
            said=sum(1 for other, said, _ in each if other == kind and said),
            ranked=sum(1 for other, _, ranked in each if other == kind and ranked),
        )
        for kind in sorted({kind for kind, _, _ in each})
    ]


def measured(found: Sequence[Taking]) -> Model:
    """Return the model in the middle: what so many used carriers showed, whatever the share.

    More than were ever used are taken as the most that were; none show nothing beyond chance."""
    most = max(each.used for each in found)
    curves = []
    for shown, chance in ((attrgetter("said"), 0.0), (attrgetter("ranked"), TAU)):
        curve = [0.0]
        for used in range(1, most + 1):
            of = [each for each in found if each.used == used]
            rate = sum(map(shown, of)) / sum(each.backdoors for each in of) if of else 0.0
            curve.append(max((rate - chance) / (1 - chance), curve[-1]))
        curves.append(curve)
    said, ranked = curves
    return Model(
        "measured",
        lambda used, dose: said[min(used, most)],
        lambda used, dose: ranked[min(used, most)],
    )
