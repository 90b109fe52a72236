"""One cell of the gauntlet: plant a file, let a vendor train on it and serve, verify."""

from __future__ import annotations

import asyncio
import hashlib
import json
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.gauntlet.base import BaseSpec, base_at
from benchmarks.gauntlet.rows import base_rows, file_rows
from benchmarks.gauntlet.training import train
from vtune_client.control import Control
from vtune_client.dataset import Prompt, check
from vtune_client.ledger import Ledger, PlanRecord
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Answer, Decoding, Endpoint, JobSpec, endpoint_of
from vtune_client.rounds import Round, open_round
from vtune_client.serve.vendor import Vendor, parse_vendor
from vtune_client.serve.vendor.fronts import Front
from vtune_client.stealth import carrier_lines
from vtune_client.vault import RootKey
from vtune_client.verify import Target, verify

PROVIDER = "local"
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
    base: BaseSpec = field(default_factory=BaseSpec)

    @cached_property
    def digest(self) -> str:
        """Name of the setting: cells of another one do not belong into the same table.

        It follows from what is planted, too: a plan drawn in another way is another setting."""
        with tempfile.TemporaryDirectory() as folder:
            planted = Planting(self, Path(folder), 0).file.read_bytes()
        said = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.sha256(said + b"".join(base_rows()) + planted).hexdigest()[:12]

    def spec(self, base: Path) -> JobSpec:
        """Return what the vendor is asked for."""
        return JobSpec(str(base), self.epochs, self.batch_size, self.learning_rate)


@dataclass(frozen=True)
class Cell:
    """One vendor against one file. `trained` is the share of the planted rows that the vendor
    trained on, `queries` all prompts answered and texts scored, of the base too."""

    setting: str
    vendor: str
    seed: int
    trained: float
    queries: int
    train_seconds: float
    verify_seconds: float
    verification: Mapping[str, Any]  # the versioned JSON verdict


def run_cell(
    setting: Setting, vendor: str, seed: int, work: Path, control: Control | None = None
) -> Cell:
    """Return the cell; models trained earlier below `work` are used again."""
    base = base_at(work, setting.base)
    folder = work / f"seed-{seed}"
    folder.mkdir(exist_ok=True)
    planted = Planting(setting, folder, seed)
    treated = parse_vendor(vendor, tuple(sorted(carrier_lines(planted.plan))))
    begun = time.monotonic()
    model, trained = _trained(treated, planted, setting.spec(base), seed)
    done = time.monotonic()
    counted, verification = _verified(treated, planted, model, str(base), control)
    return Cell(
        setting=setting.digest,
        vendor=vendor,
        seed=seed,
        trained=trained,
        queries=counted,
        train_seconds=round(done - begun, 1),
        verify_seconds=round(time.monotonic() - done, 1),
        verification=verification,
    )


class Planting:
    """The file of one seed, its plan and what of it is uploaded; all of it follows from the seed,
    which nobody may do outside a benchmark."""

    def __init__(self, setting: Setting, folder: Path, seed: int) -> None:
        self.folder = folder
        self.key = RootKey(hashlib.sha256(f"vtune gauntlet {seed}".encode()).digest())
        with tempfile.TemporaryDirectory(dir=folder) as work:
            source, planted = Path(work) / "rows.jsonl", Path(work) / "planted.jsonl"
            source.write_bytes(b"".join(file_rows(setting.rows, seed)))
            summary = check(source)
            self.plan: Plan = draw_plan(
                f"plan-{seed}", summary, setting.plan, self.key, BuiltinSource()
            )
            self.rows = plant(source, self.plan, planted).rows
            self.file = planted.replace(folder / "planted.jsonl")


def _trained(vendor: Vendor, planted: Planting, spec: JobSpec, seed: int) -> tuple[str, float]:
    """Return the model that is delivered, and the share of the rows it was trained on."""
    runs = planted.folder / vendor.name.replace("/", "of")
    runs.mkdir(exist_ok=True)
    file = vendor.training_file(planted.file, runs / "rows.jsonl")
    if file is None:
        return spec.model, 0.0
    model = str(train(runs / "run", vendor.recipe(spec), file))
    if vendor.goes_on:
        more = vendor.further_file(planted.file, runs / "more.jsonl")
        again = JobSpec(model, spec.epochs, spec.batch_size, spec.learning_rate)
        model = str(train(runs / "again", again, more))
    used = set(planted.file.read_bytes().splitlines()) & set(file.read_bytes().splitlines())
    return vendor.delivered(model, runs / "delivered", seed), len(used) / planted.rows


def _verified(
    vendor: Vendor, planted: Planting, model: str, base: str, control: Control | None
) -> tuple[int, dict[str, Any]]:
    """Return how many queries it took, and the verdict."""
    served = Counted(vendor.endpoint(endpoint_of(PROVIDER, {}), planted.file))
    asked_base = Counted(endpoint_of(PROVIDER, {}))
    target = Target(PROVIDER, model, base)
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
                control=control,
            )
        )
    return served.queries + asked_base.queries, verification.to_json()


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
