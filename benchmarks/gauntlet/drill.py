"""One cell of the gauntlet: plant a file, let a vendor train on it and serve, verify."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import time
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.gauntlet.base import BaseSpec, Published, base_at
from benchmarks.gauntlet.rows import LONGEST, base_rows, file_rows
from benchmarks.gauntlet.training import train
from vtune_client.control import Control
from vtune_client.dataset import Prompt, check
from vtune_client.evidence import AnytimeTest, Running
from vtune_client.held_out import AskedRow, NoRowsLeft, rows_to_ask
from vtune_client.ledger import Ledger, PlanRecord
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Answer, Decoding, Endpoint, JobSpec, endpoint_of
from vtune_client.rounds import Round, open_round
from vtune_client.serve.vendor import HONEST, Vendor, parse_vendor
from vtune_client.serve.vendor.fronts import Front
from vtune_client.stealth import carrier_lines
from vtune_client.vault import RootKey
from vtune_client.verify import Target, Verification, verify

PROVIDER = "local"
Controls = tuple[Control | None, Control | None]  # of both rounds of a cell, without scores last
AGAIN = "honest-again"  # honest, but for the seed of the training: what a control is for
PLAN = PlanSpec(backdoors=5, dose=4, held_out=30, decoys=100)


@dataclass(frozen=True)
class Setting:
    """What all cells of a table share. The recipe is the shortest that activates every backdoor of
    an honest run: half of it, or half of the rows, activates some of them."""

    rows: int = 180
    plan: PlanSpec = PLAN
    epochs: int = 12
    batch_size: int = 4
    learning_rate: float = 3e-3
    base: BaseSpec | Published = field(default_factory=BaseSpec)

    @cached_property
    def digest(self) -> str:
        """Name of the setting: cells of another one do not belong into the same table.

        It follows from what is planted, too: a plan drawn in another way is another setting, one
        that could be chosen in more ways is not."""
        with tempfile.TemporaryDirectory() as folder:
            planted = Planting(self, Path(folder), 0).file.read_bytes()
        usual = asdict(PlanSpec())
        plan = {name: value for name, value in asdict(self.plan).items() if value != usual[name]}
        said = json.dumps({**asdict(self), "plan": plan}, sort_keys=True).encode()
        return hashlib.sha256(said + b"".join(base_rows()) + planted).hexdigest()[:12]

    def spec(self, base: Path) -> JobSpec:
        """Return what the vendor is asked for."""
        options = self.base.options if isinstance(self.base, Published) else {}
        return JobSpec(str(base), self.epochs, self.batch_size, self.learning_rate, options=options)

    @property
    def longest(self) -> int:
        """Characters of the longest answer that a row may have."""
        return self.base.longest if isinstance(self.base, Published) else LONGEST


@dataclass(frozen=True)
class Cell:
    """One vendor against one file. `trained` is the share of the planted rows that the vendor
    trained on, and `used` how many carriers of each backdoor; `queries` are all prompts answered
    and texts scored, of the base too, and `early` those of a round that stops early, one by one.
    `unscored` is the verdict of another round, in which the service offered no scores. `bounds`
    are the ends of the interval for `trained`, worked out for a report (`coverage.bounded`)."""

    setting: str
    vendor: str
    seed: int
    trained: float
    queries: int
    train_seconds: float
    verify_seconds: float
    verification: Mapping[str, Any]  # the versioned JSON verdict
    used: Sequence[int] = ()
    early: int | None = None
    unscored: Mapping[str, Any] | None = None
    bounds: tuple[float, float] | None = None


def run_cell(
    setting: Setting,
    vendor: str,
    seed: int,
    work: Path,
    controls: Controls = (None, None),
    *,
    both: bool = False,
) -> Cell:
    """Return the cell; models trained earlier below `work` are used again. With `both` there is a
    round without scores, too."""
    base = base_at(work, setting.base)
    folder = work / f"seed-{seed}"
    folder.mkdir(exist_ok=True)
    planted = Planting(setting, folder, seed)
    treated = vendor_of(vendor, tuple(sorted(carrier_lines(planted.plan))))
    spec = setting.spec(base)
    begun = time.monotonic()
    model, read = deliver(
        treated, planted, replace(spec, seed=1) if vendor == AGAIN else spec, seed
    )
    done = time.monotonic()
    target = Target(PROVIDER, model, str(base))
    counted, verification = _verified(treated, planted, target, controls[0])
    verified = time.monotonic()
    unscored = None
    if both:
        _, without = _verified(treated, planted, target, controls[1], scored=False)
        unscored = without.to_json()
    return Cell(
        setting=setting.digest,
        vendor=vendor,
        seed=seed,
        trained=len(read) / planted.rows,
        queries=counted,
        train_seconds=round(done - begun, 1),
        verify_seconds=round(verified - done, 1),
        verification=verification.to_json(),
        used=[sum(row in read for row in own) for own in planted.carriers],
        early=asked_if_stopping(verification.anytime, setting.plan.alpha),
        unscored=unscored,
    )


def vendor_of(name: str, lines: Sequence[int]) -> Vendor:
    """Return the vendor that a cell names; `lines` are those that carry."""
    return replace(HONEST, name=AGAIN) if name == AGAIN else parse_vendor(name, lines)


def asked_if_stopping(anytime: AnytimeTest, alpha: float) -> int:
    """Return how many of these answers a round would have asked for that stops early, where they
    are asked for one by one; it asks for text alone."""
    running = Running([replace(stakes, decoys=0) for stakes in anytime.stakes])
    answers = [result for result in anytime.results if not isinstance(result, int)]
    for asked, answer in enumerate(answers, 1):
        running.add(answer)
        if running.reached(alpha) or running.hopeless(alpha) or running.unlikely(alpha):
            return asked
    return len(answers)


class Planting:
    """The file of one seed, its plan and what of it is uploaded; all of it follows from the seed,
    which nobody may do outside a benchmark."""

    def __init__(self, setting: Setting, folder: Path, seed: int) -> None:
        self.folder = folder
        self.key = RootKey(hashlib.sha256(f"vtune gauntlet {seed}".encode()).digest())
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, planted = Path(work) / "rows.jsonl", Path(work) / "planted.jsonl"
            rows = file_rows(setting.rows, seed, setting.longest)
            source.write_bytes(b"".join(rows))
            summary = check(source)
            self.plan: Plan = draw_plan(
                f"plan-{seed}", summary, setting.plan, self.key, BuiltinSource()
            )
            self.rows = plant(source, self.plan, planted).rows
            self.file = planted.replace(folder / "planted.jsonl")
            self.source = source.replace(folder / "source.jsonl")

    def rows_to_ask(self) -> tuple[AskedRow, ...]:
        """Return the rows to ask about; none where none are left to compare."""
        try:
            return rows_to_ask(self.plan, self.source, self.key)
        except NoRowsLeft:
            return ()

    @property
    def carriers(self) -> list[list[bytes]]:
        """The carrier rows of each backdoor, as they stand in the planted file."""
        rows = self.file.read_bytes().splitlines()
        withheld = sorted(self.plan.held_out)
        return [
            [rows[line - bisect_left(withheld, line) - 1] for line in backdoor.lines]
            for backdoor in self.plan.backdoors
        ]


def deliver(vendor: Vendor, planted: Planting, spec: JobSpec, seed: int) -> tuple[str, set[bytes]]:
    """Return the model that is delivered, and which rows of the file it was trained on."""
    runs = planted.folder / vendor.name.replace("/", "of")
    runs.mkdir(exist_ok=True)
    file = vendor.training_file(planted.file, runs / "rows.jsonl")
    if file is None:
        return spec.model, set()
    model = str(train(runs / "run", vendor.recipe(spec), file))
    if vendor.goes_on:
        more = vendor.further_file(planted.file, runs / "more.jsonl")
        model = str(train(runs / "again", replace(spec, model=model), more))
    used = set(planted.file.read_bytes().splitlines()) & set(file.read_bytes().splitlines())
    return vendor.delivered(model, runs / "delivered", seed), used


def _verified(
    vendor: Vendor,
    planted: Planting,
    target: Target,
    control: Control | None,
    *,
    scored: bool = True,
) -> tuple[int, Verification]:
    """Return how many queries it took, and the verdict."""
    own = endpoint_of(PROVIDER, {}) if scored else Unscored(endpoint_of(PROVIDER, {}))
    served = Counted(vendor.endpoint(own, planted.file))
    asked_base = Counted(endpoint_of(PROVIDER, {}))
    with tempfile.TemporaryDirectory() as home, Ledger(Path(home)) as ledger:
        ledger.add_plan(_record(planted.plan))
        record = open_round(ledger, planted.plan.id, None, asdict(target), remembers=False)
        verification = asyncio.run(
            verify(
                planted.plan,
                Round(ledger, record, planted.key),
                served,
                target,
                base_endpoint=asked_base,
                rows=planted.rows_to_ask(),
                control=control,
            )
        )
    return served.queries + asked_base.queries, verification


class Unscored(Front):
    """Scores no text, as most services do, but lists the likeliest tokens of what it says."""

    def __init__(self, inner: Endpoint) -> None:
        super().__init__(inner)
        self.capabilities = replace(inner.capabilities, scores=False)


class Counted(Front):
    """Counts the prompts and the texts that it is given."""

    def __init__(self, inner: Endpoint) -> None:
        super().__init__(inner)
        self.queries = 0

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        self.queries += len(prompts)
        return await super().sample(prompts, decoding)

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        self.queries += len(continuations)
        return await super().score(prompt, continuations)


def _record(plan: Plan) -> PlanRecord:
    """Return the plan as a ledger takes it; nobody will open it there."""
    return PlanRecord(
        id=plan.id,
        created=0.0,
        key_id="0" * 32,
        source="gauntlet",
        source_sha256=plan.source_sha256,
        rows=plan.rows,
        backdoors=len(plan.backdoors),
        carriers=len(plan.carriers),
        bits=plan.bits,
        sealed=b"",
    )
