"""A vendor at work on the jobs of a service: where it keeps what it makes of them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from vtune_client.provider import Endpoint, JobSpec
from vtune_client.serve.records import JobRecord
from vtune_client.serve.vendor.interface import Vendor

DELIVERED = "delivered"  # folder of models that are not those the trainer made


class Shop:
    """`home` is the service's folder. Of a file, only vendors that answer from it keep a copy."""

    def __init__(self, home: Path, vendor: Vendor) -> None:
        self._vendor = vendor
        self._work, self._kept, self._delivered = home / "work", home / "kept", home / DELIVERED
        for folder in (self._work, self._kept, self._delivered):
            folder.mkdir(exist_ok=True, mode=0o700)

    @asynccontextmanager
    async def training_file(self, job: JobRecord, given: Path) -> AsyncIterator[Path | None]:
        """Give what this job is to be trained on now, as long as it is needed; None: nothing."""
        work = self._work / f"{job.id}.jsonl"
        make = self._vendor.training_file if job.tuned is None else self._vendor.further_file
        try:
            if self._vendor.keeps_file:
                await asyncio.to_thread(_keep, given, self._kept_file(job))
            yield await asyncio.to_thread(make, given, work)
        finally:
            work.unlink(missing_ok=True)

    def recipe(self, job: JobRecord, spec: JobSpec) -> JobSpec:
        """Return how to train now, `spec` being what was asked for."""
        return self._vendor.recipe(spec) if job.tuned is None else replace(spec, model=job.tuned)

    def deliver(self, job: JobRecord, model: str) -> str:
        """Return the model to deliver for the one that was trained."""
        return self._vendor.delivered(model, self._delivered / job.id, crc32(job.id.encode()))

    def front(self, endpoint: Endpoint, job: JobRecord) -> Endpoint:
        """Return what answers for the model of a job that `endpoint` serves."""
        kept = self._kept_file(job)
        if self._vendor.keeps_file and not kept.exists():
            return endpoint  # a model that another vendor made on this home
        return self._vendor.endpoint(endpoint, kept)

    def _kept_file(self, job: JobRecord) -> Path:
        return self._kept / f"{job.id}.jsonl"


def _keep(given: Path, kept: Path) -> None:
    kept.touch(mode=0o600)
    shutil.copyfile(given, kept)
