"""One `vtune serve` for all adapters that reach a service over HTTP, training a tiny model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests import tiny
from tests.serving import Server, serving
from vtune_client import AsyncVTune
from vtune_client.patience import Patience
from vtune_client.testing import MemoryVault

if TYPE_CHECKING:
    from vtune_providers.local.rundir import RunDirectory
    from vtune_providers.local.trainer import LocalTrainer

BASE = "tiny"
WRONG = "sk-of-somebody-else"
POLL_S = 0.05


class Eager(Patience):
    """Asks after a job as often as a tiny model changes."""

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, POLL_S))


@dataclass(frozen=True)
class Trained:
    """A job that has delivered `model`, and the vtune whose ledger knows its plan."""

    vtune: AsyncVTune
    plan_id: str
    model: str


@contextmanager
def training_here(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the local trainer's workers be threads of this process: a tiny model is trained before
    another process has started. They end with this."""
    from tests.providers.local.runs import reset_accelerate
    from vtune_providers.local import trainer, worker

    working: list[threading.Thread] = []

    def launch(trainer: LocalTrainer, run: RunDirectory, begun: float) -> None:
        reset_accelerate()
        working.append(threading.Thread(target=worker.main, args=(str(run.path),)))
        working[-1].start()

    patch.setattr(trainer.LocalTrainer, "_launch", launch)
    yield
    for thread in working:
        thread.join()


@pytest.fixture(scope="package")
def served(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("served")
    with (
        pytest.MonkeyPatch.context() as patch,
        training_here(patch),
        serving(home, bases={BASE: tiny_model}, recipe=tiny.RECIPE) as server,
    ):
        yield server


@pytest.fixture(scope="package")
def trained(served: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trained]:
    """A model that the service has trained on a planted file."""
    home = tmp_path_factory.mktemp("vtune")
    rows = tiny.write_rows(home / "rows.jsonl")
    vtune = AsyncVTune(home=home, vault=MemoryVault(), patience=Eager())
    connection = {"base_url": served.openai, "api_key": served.key}

    async def train() -> Trained:
        job = await vtune.fine_tune(rows, model=BASE, provider="openai", connection=connection)
        job = await vtune.wait(job.id, connection=connection)
        return Trained(vtune, job.plan_id, str(job.model))

    yield asyncio.run(train())
    vtune.ledger.close()
