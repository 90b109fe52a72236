"""A fine-tuning job from planted file to delivered model, resumable at every step.

    PLANTING   write the planted file                  safe to repeat: same plan, same bytes
    UPLOADING  send it                                 safe to repeat: nothing is spent yet
    CREATING   start the job                           never repeated without asking `find` first
    CREATED    the provider's job id is in the ledger  only asked after from here on
    DONE       succeeded, failed or cancelled

The step is written before it is begun, so whoever picks up the job after a crash knows what may
have happened. One process at a time drives a job through to CREATED: a lock that dies with its
holder stands in the way of a second.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from filelock import FileLock
from tenacity import (
    AsyncRetrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from vtune_client.errors import JobFailed, NetworkError, ProviderError
from vtune_client.ledger import Job, Ledger, Step
from vtune_client.plan import Plan
from vtune_client.plant import plant
from vtune_client.provider import JobStatus, State, Trainer

log = logging.getLogger(__name__)
T = TypeVar("T")

# How long a provider may say "succeeded" without naming the model, and be silent altogether.
MODEL_GRACE_S = 120.0
OUTAGE_S = 3600.0
LOCK_WAIT_S = 600.0

OnJob = Callable[[Job], None]


class JobRunner:
    """Drives jobs. `open_plan` unseals a plan; it is called only while the file is not uploaded."""

    def __init__(self, ledger: Ledger, home: Path, open_plan: Callable[[str], Plan]) -> None:
        self._ledger = ledger
        self._spool = home / "spool"
        self._locks = home / "locks"
        for folder in (self._spool, self._locks):
            folder.mkdir(exist_ok=True, mode=0o700)
        self._open_plan = open_plan

    async def submit(self, job: Job, trainer: Trainer) -> Job:
        """Bring the job to CREATED: plant, upload, create. Picks up wherever it was left."""
        async with self._alone(job):
            job = self._ledger.job(job.id)
            if job.step is Step.PLANTING:
                job = self._plant(job)
            if job.step is Step.UPLOADING:
                job = await self._upload(job, trainer)
            if job.step is Step.CREATING:
                job = await self._create(job, trainer)
        return job

    async def wait(self, job: Job, trainer: Trainer, on_job: OnJob | None = None) -> Job:
        """Follow the job until it has ended; raise `JobFailed` where it did not succeed."""
        unnamed_since: float | None = None
        while job.step is not Step.DONE:
            job = await self.refresh(job, trainer)
            if on_job:
                on_job(job)
            if job.state is State.SUCCEEDED and job.step is not Step.DONE:
                unnamed_since = unnamed_since or time.monotonic()
                if time.monotonic() - unnamed_since > MODEL_GRACE_S:
                    raise ProviderError(
                        f"The provider says job {job.remote_id} succeeded and names no model.",
                        f"Ask the provider, then run `vtune wait {job.id}` again.",
                    )
            if job.step is not Step.DONE:
                await asyncio.sleep(trainer.capabilities.poll_s)
        return _succeeded(job)

    async def refresh(self, job: Job, trainer: Trainer) -> Job:
        """Ask the provider once, through network trouble, and write down what it says."""
        if job.step is Step.DONE or job.remote_id is None:
            return job
        remote_id = job.remote_id
        status = await _patient(lambda: trainer.get(remote_id))
        self._ledger.add_events(job, [event async for event in trainer.events(remote_id)])
        return await self._record(job, status, trainer)

    async def cancel(self, job: Job, trainer: Trainer) -> Job:
        """Cancel the job with the provider; one that was never created is just closed."""
        async with self._alone(job):
            job = self._ledger.job(job.id)
            if job.step is Step.DONE:
                return job
            if job.step is Step.CREATING and job.file_id:
                found = await trainer.find(job.token, job.file_id)
                if found:
                    job = self._ledger.update(job, step=Step.CREATED, remote_id=found.id)
            if job.remote_id is None:
                self._planted(job).unlink(missing_ok=True)
                return self._ledger.update(job, step=Step.DONE, state=State.CANCELLED)
        return await self._record(job, await trainer.cancel(job.remote_id), trainer)

    @asynccontextmanager
    async def _alone(self, job: Job) -> AsyncIterator[None]:
        """Keep other processes from driving this job; wait for one that does."""
        # Taken in a thread and given back in this one, so the lock belongs to no thread.
        lock = FileLock(self._locks / f"{job.id}.lock", thread_local=False)
        await asyncio.to_thread(lock.acquire, timeout=LOCK_WAIT_S)
        try:
            yield
        finally:
            lock.release()

    def _planted(self, job: Job) -> Path:
        return self._spool / f"{job.id}.jsonl"

    def _plant(self, job: Job) -> Job:
        plan = self._open_plan(job.plan_id)
        source = Path(self._ledger.plan(job.plan_id).source)
        planted = plant(source, plan, self._planted(job))
        return self._ledger.update(job, step=Step.UPLOADING, planted_sha256=planted.sha256)

    async def _upload(self, job: Job, trainer: Trainer) -> Job:
        path = self._planted(job)
        if not path.exists():
            job = self._plant(job)
        file_id = await trainer.upload(path, f"{job.token}.jsonl")
        await trainer.wait_for_file(file_id)
        job = self._ledger.update(job, step=Step.CREATING, file_id=file_id)
        if not job.keep_planted:
            path.unlink(missing_ok=True)
        return job

    async def _create(self, job: Job, trainer: Trainer) -> Job:
        """Start the job exactly once.

        That CREATING stands in the ledger may mean that an earlier attempt got through: the token
        tells. After an attempt of our own whose answer was lost, the same question is asked."""
        if job.file_id is None:
            raise ValueError("a job is created from an uploaded file")
        file_id = job.file_id
        if not job.keep_planted:
            self._planted(job).unlink(missing_ok=True)
        status = await trainer.find(job.token, file_id)
        if status is None:
            try:
                status = await trainer.create(file_id, job.spec, job.token)
            except NetworkError:
                status = await _patient(lambda: trainer.find(job.token, file_id))
                if status is None:
                    raise
        return self._ledger.update(job, step=Step.CREATED, remote_id=status.id, state=status.state)

    async def _record(self, job: Job, status: JobStatus, trainer: Trainer) -> Job:
        done = status.state.final and (status.state is not State.SUCCEEDED or status.model)
        if done and trainer.capabilities.on_this_disk and job.file_id:
            await trainer.clean_up(job.file_id)
        return self._ledger.update(
            job,
            step=Step.DONE if done else job.step,
            state=status.state,
            progress=status.progress,
            model=status.model,
            error=status.error,
        )


def _succeeded(job: Job) -> Job:
    if job.state is State.SUCCEEDED:
        return job
    reason = f": {job.error}" if job.error else ""
    raise JobFailed(
        f"Job {job.id} ended as {job.state}{reason}.",
        "Nothing was verified; start a new job when the reason is mended.",
    )


async def _patient(ask: Callable[[], Awaitable[T]]) -> T:
    """Repeat a question without side effects through network trouble, up to an hour."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(NetworkError),
        wait=wait_exponential_jitter(initial=1, max=60),
        stop=stop_after_delay(OUTAGE_S),
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    ):
        with attempt:
            return await ask()
    raise AssertionError("unreachable: the last attempt raises")
