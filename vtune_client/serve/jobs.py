"""What clients ask of jobs: start, look, stop, hold, go on."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import replace

from vtune_client.provider import State, Trainer
from vtune_client.serve.config import ServeConfig
from vtune_client.serve.faults import Faults
from vtune_client.serve.files import TRAINING, Files
from vtune_client.serve.records import (
    ID,
    CheckpointRecord,
    EventRecord,
    JobRecord,
    JobRequest,
    new_id,
)
from vtune_client.serve.refusals import ConnectionCut, Refusal, not_found
from vtune_client.serve.store import Shelf, Store
from vtune_client.serve.worker import Worker

ODD_STATUS = "contemplating"
JOB_FAULTS = ("stuck", "unknown-status", "no-model-name")
_SUFFIX = re.compile(r"[^a-z0-9-]+")


class Jobs:
    """Jobs, whichever shape they came in by."""

    def __init__(
        self,
        config: ServeConfig,
        store: Store,
        shelf: Shelf[JobRecord],
        files: Files,
        trainer: Trainer,
        worker: Worker,
        faults: Faults,
    ) -> None:
        self._config, self._store, self._shelf = config, store, shelf
        self._files, self._trainer, self._worker = files, trainer, worker
        self._faults = faults

    def create(self, request: JobRequest, kind: str = "ftjob") -> JobRecord:
        """Take a job on; `Refusal` for what is wrong at first sight, the rest fails it later.

        `kind` is what its id begins with."""
        if busy := self._faults.take("busy"):
            raise Refusal(
                429,
                "Rate limit reached for fine-tuning jobs. Please try again later.",
                code="rate_limit_exceeded",
                kind="requests",
                retry_after=busy.value,
            )
        self._check(request)
        drawn = {name: self._faults.take(name) for name in JOB_FAULTS}
        job = self._shelf.put(
            JobRecord(
                id=new_id(kind),
                request=request,
                model_name=request.name or self._name(request),
                faults={name: fault.value for name, fault in drawn.items() if fault},
            )
        )
        self._worker.tell(job, "created", f"Created fine-tuning job: {job.id}")
        self._worker.tell(job, "validating", f"Validating training file: {request.file_id}")
        self._worker.wake()
        if self._faults.take("create-then-cut"):
            raise ConnectionCut
        if self._faults.take("create-then-500"):
            raise Refusal(500, "The server had an error.", code="server_error", kind="server_error")
        return job

    def get(self, job_id: str) -> JobRecord:
        """Return a job as a client is to see it."""
        return self._shown(self._get(job_id))

    def list(self) -> Sequence[JobRecord]:
        """Return all jobs as a client is to see them, newest first."""
        return [self._shown(job) for job in reversed(self._shelf.all())]

    def all(self) -> Sequence[JobRecord]:
        """Return all jobs as they are, oldest first."""
        return self._shelf.all()

    def events(self, job_id: str) -> Sequence[EventRecord]:
        """Return a job's events, oldest first."""
        return self._store.events(self._get(job_id).id)

    async def checkpoints(self, job_id: str) -> Sequence[CheckpointRecord]:
        """Return what the trainer holds of a job's way, and its end, oldest first."""
        job = self._get(job_id)
        saved = await self._trainer.checkpoints(job.remote_job) if job.remote_job else ()
        metrics = {event.data.get("step"): event.data for event in self.events(job_id)}

        def record(step: int, model: str) -> CheckpointRecord:
            data = metrics.get(step, {})
            return CheckpointRecord(
                id=f"ftckpt-{job.id.partition('-')[2]}-{step}",
                job_id=job.id,
                step=step,
                model=model,
                created=job.finished or job.created,
                metrics={
                    name: float(data[name]) for name in ("train_loss", "valid_loss") if name in data
                },
            )

        found = [record(item.step, f"{job.model_name}:ckpt-step-{item.step}") for item in saved]
        if job.model and job.steps:
            found.append(record(job.steps, job.model))
        return found

    async def cancel(self, job_id: str) -> JobRecord:
        """Stop a job; `Refusal` where it has ended."""
        async with self._worker.submitting:
            job = self._open(job_id, "cancelled")
            if job.remote_job is None:
                self._worker.end(job, State.CANCELLED)
                return self.get(job_id)
        status = await self._trainer.cancel(job.remote_job)
        await self._worker.mirror(job_id, status)
        return self.get(job_id)

    async def pause(self, job_id: str) -> JobRecord:
        """Hold a job; where it trains already the trainer has to know how."""
        async with self._worker.submitting:
            job = self._open(job_id, "paused")
            if job.status is State.PAUSED:
                return self.get(job_id)
            if job.remote_job is None:
                self._shelf.update(job_id, status=State.PAUSED)
                self._worker.tell(job, f"paused {time.time()}", "The job has been paused")
                return self.get(job_id)
        self._can_pause()
        await self._worker.mirror(job_id, await self._trainer.pause(job.remote_job))
        self._worker.tell(job, f"paused {time.time()}", "The job has been paused")
        return self.get(job_id)

    async def resume(self, job_id: str) -> JobRecord:
        """Go on with a job that was paused; it waits for its turn again."""
        job = self._open(job_id, "resumed")
        if job.status is not State.PAUSED:
            raise Refusal(400, f"The job {job_id} is not paused.", code="invalid_state")
        if job.remote_job is not None:
            self._can_pause()
        self._shelf.update(job_id, status=State.QUEUED)
        self._worker.tell(job, f"resumed {time.time()}", "The job has been resumed")
        self._worker.wake()
        return self.get(job_id)

    def delete(self, job_id: str) -> None:
        """Forget a job that has ended, its events and its model's name."""
        job = self._get(job_id)
        if not job.status.final:
            raise Refusal(400, f"The job {job_id} has not ended.", code="invalid_state")
        self._shelf.remove(job_id)
        self._store.remove_events(job_id)

    def _get(self, job_id: str) -> JobRecord:
        job = self._shelf.get(job_id) if ID.fullmatch(job_id) else None
        if job is None:
            raise not_found("fine-tuning job", job_id)
        return job

    def _open(self, job_id: str, to_be: str) -> JobRecord:
        job = self._get(job_id)
        if job.status.final:
            raise Refusal(
                400,
                f"The job {job_id} has ended as {job.status} and cannot be {to_be}.",
                code="invalid_state",
            )
        return job

    def _can_pause(self) -> None:
        if not self._trainer.capabilities.can_pause:
            raise Refusal(400, "This service cannot pause a job that trains.", code="unsupported")

    def _check(self, request: JobRequest) -> None:
        if request.base not in self._config.bases:
            raise Refusal(
                400,
                f"The model {request.base!r} is not available for fine-tuning.",
                code="model_not_available",
                param="model",
            )
        if request.method not in self._trainer.capabilities.methods:
            raise Refusal(
                400,
                f"The method {request.method!r} is not offered here.",
                code="unsupported_method",
                param="method",
            )
        named = {"training_file": request.file_id}
        if request.validation_file is not None:
            named["validation_file"] = request.validation_file
        for param, file_id in named.items():
            self._check_file(param, file_id)
        if request.learning_rate_multiplier not in (None, 1) and not self._rate():
            raise Refusal(
                400,
                "This service has no learning rate of its own to multiply.",
                code="unsupported_value",
                param="learning_rate_multiplier",
            )

    def _check_file(self, param: str, file_id: str) -> None:
        try:
            file = self._files.get(file_id)
        except Refusal:
            raise Refusal(
                400, f"There is no file {file_id!r}.", code="file_not_found", param=param
            ) from None
        if file.purpose != TRAINING:
            raise Refusal(
                400,
                f"The file {file_id} is not of the purpose {TRAINING!r}.",
                code="invalid_purpose",
                param=param,
            )

    def _name(self, request: JobRequest) -> str:
        suffix = _SUFFIX.sub("-", (request.suffix or "").lower()).strip("-")
        return f"ft:{request.base}:{self._config.organization}:{suffix}:{secrets.token_hex(4)}"

    def _rate(self) -> float | None:
        rate: float | None = self._config.recipe.get("learning_rate")
        return rate

    def _shown(self, job: JobRecord) -> JobRecord:
        """Return what a client sees of a job, and count what it is not to see for long."""
        if job.faults.get("unknown-status") and job.status is not State.VALIDATING:
            self._count_down(job, "unknown-status")
            return replace(job, raw_status=ODD_STATUS, model=None, finished=None)
        if job.faults.get("no-model-name") and job.status is State.SUCCEEDED:
            self._count_down(job, "no-model-name")
            return replace(job, model=None)
        return job

    def _count_down(self, job: JobRecord, fault: str) -> None:
        left = job.faults[fault]
        if left > 0:
            self._shelf.update(job.id, faults={**job.faults, fault: left - 1})
