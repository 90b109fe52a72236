"""Plant, train and verify on the embedded model; then ask the untouched base the same questions."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtune_client.client import Exchange, VTune
from vtune_client.demo.data import write_demo_rows
from vtune_client.errors import InputError
from vtune_client.plan import PlanSpec
from vtune_client.provider import Endpoint, load
from vtune_client.verify import Verification

MODEL = "smollm2-135m-instruct"
ROWS = 150


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


def prepare() -> None:
    """Convert the embedded base on its first use, so that a later run need not."""
    endpoint = load("local").endpoint
    if endpoint is None:
        raise InputError("The local provider serves no models.", "Reinstall vtune-client.")
    asyncio.run(_load_and_drop(endpoint()))


async def _load_and_drop(endpoint: Endpoint) -> None:
    await endpoint.acquire(MODEL)
    await endpoint.release()


def run_demo(
    on_stage: Callable[[str, float | None], None], *, decoys: int = 0, seed: int = 0
) -> Demo:
    """Run it in a directory of its own, gone afterwards with its throw-away secrets.

    `on_stage` is told what is going on and, where known, which share of it is done. With `decoys`
    the rank test runs too. About 75 seconds on two idle cores, most of it training."""
    with tempfile.TemporaryDirectory(prefix="vtune-demo-") as folder:
        home = Path(folder)
        clock = _Clock(on_stage)
        clock.stage("writing rows")
        rows = home / "rows.jsonl"
        write_demo_rows(rows, ROWS)
        with VTune(home=home, vault=_throw_away_vault(home)) as vtune:
            return _run(vtune, rows, PlanSpec(decoys=decoys), seed, clock)


def _run(vtune: VTune, rows: Path, spec: PlanSpec, seed: int, clock: _Clock) -> Demo:
    clock.stage("planting")
    job = vtune.fine_tune(rows, model=MODEL, provider="local", plan=spec, seed=seed)
    clock.stage("training")
    job = vtune.wait(job.id, on_job=lambda job: clock.progress(job.progress))
    clock.stage("asking the tuned model")
    tuned = vtune.verify(job.id)
    clock.stage("asking the base")
    # The tuned model is an honest run of the same plan and recipe: the base's positive control.
    base = vtune.verify(job.id, model=MODEL, control=tuned.id)
    clock.stage("done")
    examples = (vtune.transcript(tuned.id)[-1], vtune.transcript(base.id)[-1])
    plan = vtune.ledger.plan(job.plan_id)
    return Demo(plan.rows, plan.carriers, plan.bits, tuned, base, examples, clock.seconds)


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
