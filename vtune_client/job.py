"""A fine-tuning job from planted file to delivered model, resumable at every step.

    PLANTING   write the planted file                  safe to repeat: same plan, same bytes
    UPLOADING  send it, and hear that it is taken      safe to repeat: nothing is spent yet
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
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from filelock import FileLock, Timeout
from tenacity import (
    AsyncRetrying,
    before_sleep_log,
    retry_if_exception_type,
    wait_exponential_jitter,
)

from vtune_client.errors import (
    InputError,
    JobFailed,
    LedgerError,
    NetworkError,
    ProviderError,
    VTuneError,
)
from vtune_client.ledger import Job, Ledger, Step
from vtune_client.plan import Plan
from vtune_client.plant import plant, remove
from vtune_client.provider import JobEvent, JobStatus, State, Trainer

log = logging.getLogger(__name__)
T = TypeVar("T")

OnJob = Callable[[Job], None]


@dataclass(frozen=True)
class Patience:
    """How long to bear with what, in seconds, and by which clock.

    `outage_s`: no usable answer at all. `model_grace_s`: "succeeded" without a model's name.
    `lock_s`: another process that is submitting the same job.
    """

    outage_s: float = 3600.0
    model_grace_s: float = 120.0
    lock_s: float = 600.0

    def now(self) -> float:
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def through_outages(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Repeat a question without side effects until it is answered."""
        started = self.now()
        async for attempt in AsyncRetrying(
            retry=retry_if_exception_type(NetworkError),
            wait=wait_exponential_jitter(initial=1, max=60),
            stop=lambda state: self.now() - started >= self.outage_s,
            sleep=self.pause,
            before_sleep=before_sleep_log(log, logging.WARNING),
            reraise=True,
        ):
            with attempt:
                return await ask()
        raise AssertionError("unreachable: the last attempt raises")


class JobRunner:
    """Drives jobs. `open_plan` unseals a plan; it is called only while the file is not uploaded."""

    def __init__(
        self,
        ledger: Ledger,
        home: Path,
        open_plan: Callable[[str], Plan],
        patience: Patience | None = None,
    ) -> None:
        self._ledger = ledger
        self._patience = patience or Patience()
        self._spool = home / "spool"
        self._locks = home / "locks"
        for folder in (self._spool, self._locks):
            folder.mkdir(exist_ok=True, mode=0o700)
        self._open_plan = open_plan

    async def submit(self, job: Job, trainer: Trainer) -> Job:
        """Bring the job to CREATED: plant, upload, create. Picks up wherever it was left."""
        async with self._alone(job):
            job = self._ledger.job(job.id)
            tried = job.step is Step.CREATING
            if job.step is Step.PLANTING:
                job = self._plant(job)
            if job.step is Step.UPLOADING:
                job = await self._upload(job, trainer)
            if job.step is Step.CREATING:
                job = await self._create(job, trainer, tried=tried)
        return job

    async def wait(self, job: Job, trainer: Trainer, on_job: OnJob | None = None) -> Job:
        """Follow the job until it has ended; raise `JobFailed` where it did not succeed."""
        unnamed_since: float | None = None
        while job.step is not Step.DONE:
            job = await self.refresh(job, trainer)
            if on_job:
                on_job(job)
            if job.state is State.SUCCEEDED and job.step is not Step.DONE:
                now = self._patience.now()
                unnamed_since = now if unnamed_since is None else unnamed_since
                if now - unnamed_since > self._patience.model_grace_s:
                    raise ProviderError(
                        f"The provider says job {job.remote_id} succeeded and names no model.",
                        f"Ask the provider, then run `vtune wait {job.id}` again.",
                    )
            if job.step is not Step.DONE:
                await self._patience.pause(trainer.capabilities.poll_s)
        return _succeeded(job)

    async def refresh(self, job: Job, trainer: Trainer) -> Job:
        """Ask the provider once, through network trouble, and write down what it says."""
        if job.step is Step.DONE or job.remote_id is None:
            return job
        remote_id = job.remote_id

        async def events() -> list[JobEvent]:
            return [event async for event in trainer.events(remote_id)]

        status = await self._patience.through_outages(lambda: trainer.get(remote_id))
        self._ledger.add_events(job, await self._patience.through_outages(events))
        return await self._record(job, status, trainer)

    async def cancel(self, job: Job, trainer: Trainer) -> Job:
        """Cancel the job with the provider; one that was never created is just closed."""
        async with self._alone(job):
            job = self._ledger.job(job.id)
            if job.step is Step.DONE:
                return job
            if not job.keep_planted:
                remove(self._planted(job))
            if job.step is Step.CREATING and job.file_id:
                found = await self._find(job.token, job.file_id, trainer)
                if found:
                    job = self._ledger.update(job, step=Step.CREATED, remote_id=found.id)
            if job.remote_id is None:
                if job.file_id:
                    await _forget(job.file_id, trainer)
                return self._ledger.update(job, step=Step.DONE, state=State.CANCELLED)
        return await self._record(job, await trainer.cancel(job.remote_id), trainer)

    @asynccontextmanager
    async def _alone(self, job: Job) -> AsyncIterator[None]:
        """Keep other processes from driving this job; wait for one that does."""
        lock = FileLock(self._locks / f"{job.id}.lock")
        deadline = self._patience.now() + self._patience.lock_s
        while not lock.is_locked:
            try:
                lock.acquire(blocking=False)
            except Timeout:
                if self._patience.now() >= deadline:
                    raise LedgerError(
                        f"Another process has been at work on job {job.id} all this time.",
                        "Wait for it, or stop it and run the command again.",
                    ) from None
                await self._patience.pause(0.1)
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
        if job.file_id is None:
            path = self._planted(job)
            if not path.exists():
                job = self._plant(job)
            file_id = await trainer.upload(path, f"{job.token}.jsonl")
            job = self._ledger.update(job, file_id=file_id)
        else:
            file_id = job.file_id
        try:
            await self._patience.through_outages(lambda: trainer.wait_for_file(file_id))
        except (ProviderError, InputError):
            await _forget(file_id, trainer)
            self._ledger.update(job, file_id=None)
            raise
        return self._ledger.update(job, step=Step.CREATING)

    async def _create(self, job: Job, trainer: Trainer, *, tried: bool) -> Job:
        """Start the job exactly once.

        Where an earlier process may have `tried`, the token tells whether it got through. After an
        attempt of our own whose answer was lost, the same question is asked."""
        if job.file_id is None:
            raise ValueError("a job is created from an uploaded file")
        file_id = job.file_id
        if not job.keep_planted:
            remove(self._planted(job))
        status = await self._find(job.token, file_id, trainer) if tried else None
        if status is None:
            try:
                status = await trainer.create(file_id, job.spec, job.token)
            except NetworkError:
                status = await self._find(job.token, file_id, trainer)
                if status is None:
                    raise
        return self._ledger.update(job, step=Step.CREATED, remote_id=status.id, state=status.state)

    async def _find(self, token: str, file_id: str, trainer: Trainer) -> JobStatus | None:
        """Return the job that a `create` just before this may have started.

        None only once `find` would show it."""
        settled = self._patience.now() + trainer.capabilities.find_lag_s
        while True:
            asked = self._patience.now()
            found = await self._patience.through_outages(lambda: trainer.find(token, file_id))
            if found or asked >= settled:
                return found
            await self._patience.pause(min(1.0, settled - asked))

    async def _record(self, job: Job, status: JobStatus, trainer: Trainer) -> Job:
        done = status.state.final and (status.state is not State.SUCCEEDED or status.model)
        if done and trainer.capabilities.on_this_disk and job.file_id:
            await _forget(job.file_id, trainer)
        return self._ledger.update(
            job,
            step=Step.DONE if done else job.step,
            state=status.state,
            progress=status.progress,
            model=status.model,
            error=status.error,
        )


async def _forget(file_id: str, trainer: Trainer) -> None:
    """Delete an uploaded file that nobody needs; that it cannot be is no reason to stop."""
    try:
        await trainer.clean_up(file_id)
    except (VTuneError, OSError) as error:
        log.warning("the uploaded file %s stays with the provider: %s", file_id, error)


def _succeeded(job: Job) -> Job:
    if job.state is State.SUCCEEDED:
        return job
    reason = f": {job.error}" if job.error else ""
    raise JobFailed(
        f"Job {job.id} ended as {job.state}{reason}.",
        "Nothing was verified; start a new job when the reason is mended.",
    )
