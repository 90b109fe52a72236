"""Plant, train and verify on the embedded model; then ask the untouched base the same questions."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtune_client.client import Exchange, VTune
from vtune_client.demo.data import write_demo_rows
from vtune_client.errors import InputError
from vtune_client.ledger import Ledger
from vtune_client.plan import PlanSpec
from vtune_client.provider import Endpoint, JobSpec, load
from vtune_client.verdict import Outcome
from vtune_client.verify import Verification

MODEL = "smollm2-135m-instruct"
ROWS = 150
BACKDOORS = 6  # one may fail to take in a model this small, and the rest still say enough


@dataclass(frozen=True)
class Demo:
    """Both verdicts, one exchange with each model, and the seconds every stage took."""

    rows: int
    carriers: int
    bits: float
    tuned: Verification
    base: Verification
    examples: tuple[Exchange, Exchange]  # the same question to the tuned model and to the base
    seconds: dict[str, float]

    def to_json(self) -> dict[str, Any]:
        """Return both verdicts under the schema `vtune.demo/1`."""
        return {
            "schema": "vtune.demo/1",
            "rows": self.rows,
            "carriers": self.carriers,
            "signature_bits": round(self.bits, 1),
            "tuned": self.tuned.to_json(),
            "base": self.base.to_json(),
            "seconds": {name: round(value, 1) for name, value in self.seconds.items()},
        }


def prepare(model: str = MODEL) -> None:
    """Load the base once and drop it; the embedded one is converted on its first use."""
    endpoint = load("local").endpoint
    if endpoint is None:
        raise InputError("The local provider serves no models.", "Reinstall vtune-client.")
    asyncio.run(_load_and_drop(endpoint(), model))


async def _load_and_drop(endpoint: Endpoint, model: str) -> None:
    await endpoint.acquire(model)
    await endpoint.release()


def run_demo(
    on_stage: Callable[[str, float | None], None],
    *,
    decoys: int = 0,
    seed: int = 0,
    model: str = MODEL,
    options: Mapping[str, Any] | None = None,
) -> Demo:
    """Run it in a directory of its own, gone afterwards with its throw-away secrets.

    `on_stage` is told what is going on and, where known, which share of it is done. With `decoys`
    the rank test runs too. `options` are those of the local provider's recipe. About a minute and
    a half on two idle cores, most of it training."""
    with tempfile.TemporaryDirectory(prefix="vtune-demo-") as folder:
        home = Path(folder)
        clock = _Clock(on_stage)
        clock.stage("writing rows")
        rows = home / "rows.jsonl"
        write_demo_rows(rows, ROWS)
        job = JobSpec(model=model, seed=seed, options=options or {})
        spec = PlanSpec(backdoors=BACKDOORS, decoys=decoys)
        vault, ledger = _throw_away_vault(home), Ledger.in_home(home)
        with VTune(home=home, vault=vault, ledger=ledger) as vtune:
            return _run(vtune, rows, job, spec, clock)


def _run(vtune: VTune, rows: Path, spec: JobSpec, plan: PlanSpec, clock: _Clock) -> Demo:
    clock.stage("planting")
    job = vtune.fine_tune(
        rows, model=spec.model, provider="local", plan=plan, seed=spec.seed, options=spec.options
    )
    clock.stage("training")
    try:
        # Loading libraries takes one core, and so it does in the training process just started.
        prepare(spec.model)
        job = vtune.wait(job.id, on_job=lambda job: clock.progress(job.progress))
    except BaseException:
        vtune.cancel(job.id)  # its directory is about to go: nobody will come back for it
        raise
    clock.stage("asking the tuned model")
    tuned = vtune.verify(job.id)
    clock.stage("asking the base")
    # The tuned model is an honest run of the same plan and recipe: the base's positive control.
    base = vtune.verify(job.id, model=spec.model, control=tuned.id if _verified(tuned) else None)
    clock.stage("done")
    examples = (vtune.transcript(tuned.id)[-1], vtune.transcript(base.id)[-1])
    record = vtune.ledger.plan(job.plan_id)
    return Demo(record.rows, record.carriers, record.bits, tuned, base, examples, clock.seconds)


def _verified(each: Verification) -> bool:
    return each.verdict.outcome is Outcome.VERIFIED


def _throw_away_vault(home: Path) -> Any:
    from vtune_client.vault.choose import FILE_NAME
    from vtune_client.vault.file_vault import FileVault

    return FileVault.create(home / FILE_NAME, secrets.token_urlsafe(24))


class _Clock:
    """Tells which stage it is, and how long each took."""

    def __init__(self, on_stage: Callable[[str, float | None], None]) -> None:
        self._on_stage = on_stage
        self._stage, self._since = "", time.monotonic()
        self.seconds: dict[str, float] = {}

    def stage(self, name: str) -> None:
        now = time.monotonic()
        if self._stage:
            self.seconds[self._stage] = now - self._since
        self._stage, self._since = name, now
        self._on_stage(name, None)

    def progress(self, share: float | None) -> None:
        self._on_stage(self._stage, share)
