"""One customer, one service that goes wrong, and what must hold whatever went wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import memory as memory_service
from tests.serving import Server
from tests.simulator import Hurried
from vtune_client import AsyncVTune, Job, Outcome, Verification
from vtune_client.errors import VTuneError

BASE = "tiny"
BASES = {BASE: memory_service.BASE, "picky": "picky"}

Said = Mapping[str, tuple[str, str]]  # message and advice, by the provider's name
GOES_ON = "`vtune wait JOB` goes on with this job."
STARTS_ANEW = "Nothing was verified; start a new job when the reason is mended."

# What differs every time: ids, the port, and how exactly a connection broke.
_CHANGING = {
    re.compile(r"\bjob-[0-9a-f]{8}\b"): "JOB",
    re.compile(r"\bft(job)?-[0-9a-f]{24}\b"): "REMOTE",
    re.compile(r"\bfile-[0-9a-f]{24}\b"): "FILE",
    re.compile(r"\b(Read|Write|RemoteProtocol)Error\b"): "BROKEN",
}


def said(error: VTuneError) -> tuple[str, str]:
    """Return message and advice, with a name in place of what differs every time."""
    texts = [error.message, error.advice]
    for changing, name in _CHANGING.items():
        texts = [changing.sub(name, text) for text in texts]
    return texts[0], texts[1]


@dataclass(frozen=True)
class Vendor:
    """A provider, and where the service speaks its shape and takes its jobs on."""

    name: str
    root: str
    creates: str

    def connection(self, server: Server, **more: Any) -> dict[str, Any]:
        return {"base_url": f"{server.root}{self.root}", "api_key": server.key, **more}


VENDORS = {
    "openai": Vendor("openai", "/v1", "/v1/fine_tuning/jobs"),
    "together": Vendor("together", "/together", "/together/v1/fine-tunes"),
}


@dataclass
class Bench:
    """Time passes as fast as it can: `patience` has a clock of its own."""

    vendor: Vendor
    server: Server
    vtune: AsyncVTune
    patience: Hurried
    rows: Path

    @property
    def connection(self) -> dict[str, Any]:
        return self.vendor.connection(self.server)

    async def start(self, model: str = BASE, **more: Any) -> Job:
        return await self.vtune.fine_tune(
            self.rows,
            model=model,
            provider=self.vendor.name,
            connection={**self.connection, **more},
        )

    async def wait(self, job: Job, **more: Any) -> Job:
        return await self.vtune.wait(job.id, connection=self.connection, **more)

    async def verify(self, job: Job, **more: Any) -> Verification:
        return await self.vtune.verify(job.id, connection={**self.connection, **more})

    async def delivers(self, job: Job) -> Job:
        """Go on with the job, and see that it was the only one and its model the right one."""
        done = await self.wait(job)
        assert (await self.verify(job)).verdict.outcome is Outcome.VERIFIED
        assert [each.id for each in self.server.jobs()] == [done.remote_id]
        self.costs_nothing()
        return done

    def costs_nothing(self) -> None:
        """See that nothing runs, or stands, that a vendor would want money for."""
        assert all(job.status.final for job in self.server.jobs())
        assert self.server.endpoints() == []

    def only_job(self) -> Job:
        """Return the one job that the ledger knows."""
        [job] = self.vtune.ledger.jobs()
        return job

    def creates(self) -> int:
        """Return how often the service was asked to start a job."""
        return self.server.requests.count(("POST", self.vendor.creates))
