"""A fine-tuning job from planted file to delivered model, resumable at every step.

    PLANTING   write the planted file                  safe to repeat: same plan, same bytes
    UPLOADING  send it, hear that it is taken, and     safe to repeat: nothing is spent yet
               what training on it would cost
    CREATING   start the job                           never repeated without asking `find` first
    CREATED    the provider's job id is in the ledger  only asked after from here on
    DONE       succeeded, failed or cancelled

The step is written before it is begun, so whoever picks up the job after a crash knows what may
have happened. One process at a time drives a job through to CREATED: a lock that dies with its
holder stands in the way of a second.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from vtune_client.errors import (
    BudgetError,
    InputError,
    JobFailed,
    LedgerError,
    NetworkError,
    NotYet,
    ProviderError,
    VTuneError,
)
from vtune_client.ledger import Job, Ledger, Step
from vtune_client.patience import Patience
from vtune_client.plan import Plan
from vtune_client.plant import plant, remove
from vtune_client.provider import Estimate, JobEvent, JobStatus, State, Trainer
from vtune_client.redaction import redact, redacted, without_prose
from vtune_client.telemetry import Attributes, count, server_of, span

log = logging.getLogger(__name__)

OnJob = Callable[[Job], None]
BeforeUpload = Callable[[Job], Awaitable[None]]


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
        self._home = home
        for folder in ("spool", "locks"):
            (home / folder).mkdir(exist_ok=True, mode=0o700)
        self._open_plan = open_plan

    async def submit(
        self, job: Job, trainer: Trainer, before_upload: BeforeUpload | None = None
    ) -> Job:
        """Bring the job to CREATED: plant, upload, create. Picks up wherever it was left.

        `before_upload` is awaited when the planted file is there and before it is sent, each time
        that is tried; where it raises, nothing is sent."""
        async with self._alone(job):
            with span("submit", **_about(job)), _resumable(job):
                return await self._submit(self._ledger.job(job.id), trainer, before_upload)

    async def _submit(self, job: Job, trainer: Trainer, before_upload: BeforeUpload | None) -> Job:
        tried = job.step is Step.CREATING
        if job.step is Step.PLANTING:
            job = self._plant(job)
        if job.step is Step.UPLOADING:
            if before_upload and job.file_id is None:
                await before_upload(job)
            with span("upload"):
                job = await self._upload(job, trainer)
        if job.step is Step.CREATING:
            with span("create") as created:
                job = await self._create(job, trainer, tried=tried)
                created.set(state=job.state)
        return job

    async def wait(
        self,
        job: Job,
        trainer: Trainer,
        on_job: OnJob | None = None,
        timeout_s: float | None = None,
    ) -> Job:
        """Follow the job until it has ended; raise `JobFailed` where it did not succeed.

        Raises `NotYet` where it has not ended after `timeout_s`; it is left running."""
        with span("wait", **_about(job)) as waited:
            job = await self._follow(job, trainer, on_job, timeout_s)
            waited.set(state=job.state)
        return _succeeded(job)

    async def _follow(
        self, job: Job, trainer: Trainer, on_job: OnJob | None, timeout_s: float | None
    ) -> Job:
        started = self._patience.now()
        unnamed_since: float | None = None
        while job.step is not Step.DONE:
            job = await self.refresh(job, trainer)
            if on_job:
                on_job(job)
            now = self._patience.now()
            if job.state is State.SUCCEEDED and job.step is not Step.DONE:
                unnamed_since = now if unnamed_since is None else unnamed_since
                if now - unnamed_since > self._patience.model_grace_s:
                    raise ProviderError(
                        f"The provider says job {job.remote_id} succeeded and names no model.",
                        f"Ask the provider, then run `vtune wait {job.id}` again.",
                    )
            if job.step is not Step.DONE:
                if timeout_s is not None and now - started >= timeout_s:
                    raise _too_long(job, timeout_s)
                await self._patience.pause(trainer.capabilities.poll_s)
        return job

    async def refresh(self, job: Job, trainer: Trainer) -> Job:
        """Ask the provider once, through network trouble, and write down what it says."""
        if job.step is Step.DONE or job.remote_id is None:
            return job
        remote_id = job.remote_id

        async def events() -> list[JobEvent]:
            return [_harmless(event) async for event in trainer.events(remote_id)]

        with _resumable(job):
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
                await self._forget_files(job, trainer)
                return self._ledger.update(job, step=Step.DONE, state=State.CANCELLED)
        return await self._record(job, await trainer.cancel(job.remote_id), trainer)

    async def pause(self, job: Job, trainer: Trainer) -> Job:
        """Stop training for now; what is paid for is kept."""
        return await self._record(job, await trainer.pause(_started(job)), trainer)

    async def resume(self, job: Job, trainer: Trainer) -> Job:
        """Go on with a paused job."""
        return await self._record(job, await trainer.resume(_started(job)), trainer)

    @asynccontextmanager
    async def _alone(self, job: Job) -> AsyncIterator[None]:
        """Keep other processes from driving this job; wait for one that does."""
        lock = FileLock(lock_path(self._home, job))
        deadline = self._patience.now() + self._patience.lock_s
        release: Callable[[], None] | None = None
        try:
            while release is None:
                with suppress(Timeout):  # of another process on this machine
                    if not lock.is_locked:
                        lock.acquire(blocking=False)
                    release = self._ledger.claim(job.id)  # or on another one, of the same team
                if release is None:
                    if self._patience.now() >= deadline:
                        raise LedgerError(
                            f"Another process has been at work on job {job.id} all this time.",
                            "Wait for it, or stop it and run the command again.",
                        )
                    await self._patience.pause(0.1)
            yield
        finally:
            if release is not None:
                release()
            lock.release()

    def _planted(self, job: Job) -> Path:
        return planted_path(self._home, job)

    def _plant(self, job: Job) -> Job:
        with span("plant"):
            plan = self._open_plan(job.plan_id)
            source = Path(self._ledger.plan(job.plan_id).source)
            planted = plant(source, plan, self._planted(job))
        return self._ledger.update(job, step=Step.UPLOADING, planted_sha256=planted.sha256)

    async def _upload(self, job: Job, trainer: Trainer) -> Job:
        if job.file_id is None:
            path = self._planted(job)
            if not path.exists():
                job = self._plant(job)
            await self._hold_budget(job, trainer, await trainer.estimate(path, job.spec))
            file_id = await self._send(path, f"{job.token}.jsonl", trainer)
            job = self._ledger.update(job, file_id=file_id)
        job = await self._accepted(job, "file_id", trainer)
        if job.spec.validation_file and job.validation_id is None:
            name = f"{job.token}-validation.jsonl"
            sent = await self._send(Path(job.spec.validation_file), name, trainer)
            job = self._ledger.update(job, validation_id=sent)
        if job.validation_id:
            job = await self._accepted(job, "validation_id", trainer)
        await self._hold_budget(job, trainer, await self._price(job, trainer), last=True)
        return self._ledger.update(job, step=Step.CREATING)

    async def _send(self, path: Path, name: str, trainer: Trainer) -> str:
        # Nothing is spent on a file that was sent twice.
        return await self._patience.through_outages(lambda: trainer.upload(path, name))

    async def _accepted(self, job: Job, which: str, trainer: Trainer) -> Job:
        """Return once the service has taken a file; one that it refused is forgotten."""
        file_id: str = getattr(job, which)
        try:
            await self._patience.through_outages(lambda: trainer.wait_for_file(file_id))
        except NotYet:
            raise  # the service is still looking through it
        except (ProviderError, InputError):
            await _forget(file_id, trainer)
            self._ledger.update(job, **{which: None})
            raise
        return job

    async def _price(self, job: Job, trainer: Trainer) -> Estimate:
        """Return the service's price for the uploaded file, or else our own estimate."""
        file_id = _uploaded(job)
        quote = await self._patience.through_outages(lambda: trainer.quote(file_id, job.spec))
        if quote is None and self._planted(job).exists():
            quote = await trainer.estimate(self._planted(job), job.spec)
        if quote and quote.price:
            data = {"price": quote.price, "currency": quote.currency, "source": quote.source}
            self._ledger.add_events(job, [JobEvent("price", time.time(), "price", data)])
        return quote or Estimate()

    async def _hold_budget(
        self, job: Job, trainer: Trainer, cost: Estimate, *, last: bool = False
    ) -> None:
        """Close the job where it would cost more than allowed; `last`: or nobody says what."""
        if job.budget is None or (cost.price is None and not last):
            return
        if cost.price is not None and cost.price <= job.budget:
            return
        if not job.keep_planted:
            remove(self._planted(job))
        await self._forget_files(job, trainer)
        error = _over_budget(job, cost)
        self._ledger.update(job, step=Step.DONE, state=State.CANCELLED, error=error.message)
        raise error

    async def _create(self, job: Job, trainer: Trainer, *, tried: bool) -> Job:
        """Start the job exactly once.

        Where an earlier process may have `tried`, the token tells whether it got through. After an
        attempt of our own whose answer was lost, the same question is asked. Only a service that
        said it did nothing (busy, not reached) is asked to create once more."""
        file_id = _uploaded(job)
        if not job.keep_planted:
            remove(self._planted(job))
        status = await self._find(job.token, file_id, trainer) if tried else None
        if status is None:

            async def create() -> JobStatus:
                return await trainer.create(
                    file_id, job.spec, job.token, validation_id=job.validation_id
                )

            try:
                status = await self._patience.through_outages(create, repeatable=False)
            except NetworkError as error:
                if not error.acted:
                    raise
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

    async def _forget_files(self, job: Job, trainer: Trainer) -> None:
        """Delete what the job has uploaded, but for what another open job needs: some services
        give the same content the same id."""
        others = (
            other
            for other in self._ledger.jobs()
            if (other.provider, other.step is Step.DONE) == (job.provider, False)
            and other.id != job.id
        )
        needed = {file_id for other in others for file_id in (other.file_id, other.validation_id)}
        for file_id in (job.file_id, job.validation_id):
            if file_id and file_id not in needed:
                await _forget(file_id, trainer)

    async def _record(self, job: Job, status: JobStatus, trainer: Trainer) -> Job:
        done = status.state.final and (status.state is not State.SUCCEEDED or status.model)
        if done and trainer.capabilities.on_this_disk:
            await self._forget_files(job, trainer)
        if status.state is not job.state:
            count("vtune.jobs", provider=job.provider, state=status.state)
        return self._ledger.update(
            job,
            step=Step.DONE if done else job.step,
            state=status.state,
            progress=status.progress,
            model=status.model,
            error=status.error and redact(status.error),
        )


def planted_path(home: Path, job: Job) -> Path:
    """Return where a job's planted file stands until it is uploaded."""
    return home / "spool" / f"{job.id}.jsonl"


def lock_path(home: Path, job: Job) -> Path:
    """Return the lock of whoever drives a job."""
    return home / "locks" / f"{job.id}.lock"


@contextmanager
def _resumable(job: Job) -> Iterator[None]:
    """Let errors that say nothing against the job say how it goes on."""
    try:
        yield
    except (NetworkError, NotYet) as error:
        error.advice = f"{error.advice} `vtune wait {job.id}` goes on with this job.".lstrip()
        raise


async def _forget(file_id: str, trainer: Trainer) -> None:
    """Delete an uploaded file that nobody needs; that it cannot be is no reason to stop."""
    try:
        await trainer.clean_up(file_id)
    except (VTuneError, OSError) as error:
        log.warning("the uploaded file %s stays with the provider: %s", file_id, error)


def _about(job: Job) -> Attributes:
    server = server_of(job.connection.get("base_url"))
    whom: Attributes = {"provider": job.provider, "model": job.spec.model}
    return {**whom, **server, "job": job.id, "plan": job.plan_id}


def _harmless(event: JobEvent) -> JobEvent:
    """Return the event as it may be kept: a service may say back what it was sent."""
    data = without_prose(redacted(event.data))
    return JobEvent(redact(event.id), event.at, redact(event.message), data)


def _uploaded(job: Job) -> str:
    if job.file_id is None:
        raise ValueError("a job is created from an uploaded file")
    return job.file_id


def _started(job: Job) -> str:
    """Return the provider's id of a job that runs; `InputError` where it does not."""
    if job.remote_id is None or job.step is Step.DONE:
        raise InputError(
            f"Job {job.id} is not running: it stands at {job.state or job.step}.",
            f"Run `vtune status {job.id}` to see why.",
        )
    return job.remote_id


def _money(amount: float) -> str:
    return f"{amount:.2f}" if amount >= 0.1 else f"{amount:.2g}"


def _over_budget(job: Job, cost: Estimate) -> BudgetError:
    if cost.price is None:
        return BudgetError(
            f"Nobody says what training would cost, so a budget of {job.budget:g} cannot be held.",
            "Name the epochs and the price per million tokens, or leave the budget out.",
        )
    return BudgetError(
        f"Training would cost {_money(cost.price)} {cost.currency} ({cost.source}), and the budget "
        f"is {_money(job.budget or 0.0)}.",
        f"Start again with more: vtune fine-tune --plan {job.plan_id} --budget ...",
    )


def _too_long(job: Job, timeout_s: float) -> NotYet:
    return NotYet(
        f"Job {job.id} has not ended within {timeout_s:g} s: the provider says {job.state}.",
        f"It is left running, and may cost: `vtune wait {job.id}` waits on, `vtune cancel "
        f"{job.id}` ends it.",
    )


def _succeeded(job: Job) -> Job:
    if job.state is State.SUCCEEDED:
        return job
    reason = f": {job.error}" if job.error else ""
    raise JobFailed(
        f"Job {job.id} ended as {job.state}{reason}.",
        "Nothing was verified; start a new job when the reason is mended.",
    )
