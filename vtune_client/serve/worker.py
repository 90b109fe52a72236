"""Brings jobs to their end, one after the other, through the provider's trainer.

What is to be done follows from the record alone, so a service that was stopped goes on where it
was: a job with the trainer's id is asked after, one without is looked for before it is begun.
"""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import logging
import time
from pathlib import Path
from typing import Any

from vtune_client.errors import NetworkError, VTuneError
from vtune_client.provider import JobEvent, JobSpec, JobStatus, State, Trainer
from vtune_client.serve.config import ServeConfig
from vtune_client.serve.files import Files
from vtune_client.serve.records import EventRecord, FileRecord, JobRecord, JobRequest
from vtune_client.serve.refusals import Refusal, place_of
from vtune_client.serve.store import Shelf, Store
from vtune_client.serve.vendor import parse_vendor
from vtune_client.serve.vendor.shop import Shop

log = logging.getLogger(__name__)
MIN_POLL_S = 0.02  # a trainer in this process may have nothing against being asked all the time
OUTAGE_S = 5.0  # between two questions to a trainer that gives no answer
COLUMNS = ("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy")


class Worker:
    """`submitting` is held while a job is handed over: until then its trainer knows nothing."""

    def __init__(
        self,
        config: ServeConfig,
        store: Store,
        shelf: Shelf[JobRecord],
        files: Files,
        trainer: Trainer,
    ) -> None:
        self.submitting = asyncio.Lock()
        self._config, self._store, self._shelf = config, store, shelf
        self._files, self._trainer = files, trainer
        self._vendor = parse_vendor(config.vendor, config.vendor_lines)
        self.shop = Shop(config.home, self._vendor)
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        files.on_checked = self.wake

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run())
        self.wake()

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Look for work: a job came, went on, or has its file judged."""
        for job in self._shelf.all():
            if job.status is State.VALIDATING:
                self._can_begin(job)
        self._awake.set()

    def tell(
        self, job: JobRecord, source: str, message: str, *, level: str = "info", **more: Any
    ) -> None:
        """Write a line into the job's log; once for every `source`."""
        event = EventRecord(_event_id(job, source), time.time(), message, level=level, **more)
        self._store.add_event(job.id, source, event)

    def end(self, job: JobRecord, state: State, **more: Any) -> None:
        """Close a job; one that has ended stays as it is."""
        current = self._shelf.get(job.id)
        if current is None or current.status.final:
            return
        self._shelf.update(job.id, status=state, finished=time.time(), **more)
        if state is State.FAILED:
            self.tell(job, "end", f"The job failed: {more.get('error')}", level="error")
        elif state is State.CANCELLED:
            self.tell(job, "end", "Fine-tuning job cancelled")
        else:
            self.tell(job, "model", f"New fine-tuned model created: {job.model_name}")
            self.tell(job, "end", "The job has successfully completed")

    async def mirror(self, job_id: str, status: JobStatus) -> bool:
        """Write down what the trainer says of a job; return whether the job is out of its hands."""
        job = self._shelf.get(job_id)
        if job is None or job.status.final:
            return True
        await self._mirror_events(job)
        steps = status.raw.get("steps")
        seen = {"progress": status.progress, "steps": steps if isinstance(steps, int) else None}
        job = self._shelf.get(job_id)
        if job is None or job.status.final:  # cancelled while the events were fetched
            return True
        if status.state is State.PAUSED and job.status is State.QUEUED:
            return False  # it was told to go on since this was asked
        if status.state is State.SUCCEEDED and status.model:
            if self._vendor.goes_on and job.tuned is None:
                await self._clean_up(job)
                self._shelf.update(job_id, tuned=status.model, remote_job=None, remote_file=None)
                return False
            delivered = await asyncio.to_thread(self.shop.deliver, job, status.model)
            self._deliver(job, delivered, seen)
        elif status.state is State.FAILED:
            error = status.error or "The training failed."
            self.end(job, State.FAILED, error=error, error_code="server_error", **seen)
        elif status.state is State.CANCELLED:
            self.end(job, State.CANCELLED, **seen)
        else:
            state = job.status if status.state is State.UNKNOWN else status.state
            self._shelf.update(job_id, status=_going(state), **seen)
            return status.state is State.PAUSED
        await self._clean_up(job)
        return True

    def _deliver(self, job: JobRecord, delivered: str, seen: dict[str, Any]) -> None:
        file = self._results(job)
        trained = self._trained_tokens(job)
        self.end(
            job,
            State.SUCCEEDED,
            **seen,
            model=job.model_name,
            delivered=delivered,
            result_files=(file.id,),
            trained_tokens=trained,
        )

    def _results(self, job: JobRecord) -> FileRecord:
        """Write the metrics of a job as the file that OpenAI calls its results."""
        text = io.StringIO()
        writer = csv.DictWriter(text, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        for event in self._store.events(job.id):
            if event.kind == "metrics":
                writer.writerow(event.data)
        digest = hashlib.sha256(f"results of {job.id}".encode()).hexdigest()[:24]
        content = text.getvalue().encode()
        return self._files.add_results(f"file-{digest}", content, "step_metrics.csv")

    def _trained_tokens(self, job: JobRecord) -> int | None:
        try:
            tokens = self._files.get(job.file_id).tokens
        except Refusal:
            return None
        epochs = job.request.epochs or self._config.recipe.get("epochs") or 1
        return None if tokens is None else tokens * int(epochs)

    async def _run(self) -> None:
        while True:
            self._awake.clear()
            job = self._next()
            if job is None:
                await self._awake.wait()
                continue
            try:
                await self._bring_to_end(job)
            except VTuneError as error:
                log.warning("job %s failed: %s", job.id, error)
                self._fail(job, str(error))
            except Exception as error:
                log.error("job %s failed: %s", job.id, place_of(error))
                self._fail(job, "The service failed.")

    def _fail(self, job: JobRecord, reason: str, code: str = "server_error") -> None:
        self.end(job, State.FAILED, error=reason, error_code=code)

    def _next(self) -> JobRecord | None:
        """Return the job to work on: one under way first, then the oldest that can begin."""
        going = [
            job
            for job in self._shelf.all()
            if not job.status.final and job.status is not State.PAUSED and not _is_stuck(job)
        ]
        going.sort(key=lambda job: job.status in (State.VALIDATING, State.QUEUED))
        return next((job for job in going if job.remote_job or self._can_begin(job)), None)

    def _can_begin(self, job: JobRecord) -> bool:
        """Return whether the files of a job are judged; move it on, or close it, as they are."""
        named = {"training_file": job.file_id, "validation_file": job.request.validation_file}
        files = {param: self._file(file_id) for param, file_id in named.items() if file_id}
        for param, file in files.items():
            if file is None or file.status == "error":
                reason = "The file was deleted." if file is None else file.detail
                self.end(
                    job,
                    State.FAILED,
                    error=f"The job failed due to an invalid {param.replace('_', ' ')}: {reason}",
                    error_code=f"invalid_{param}",
                    error_param=param,
                )
                return False
        if any(file is not None and file.status != "processed" for file in files.values()):
            return False
        if job.status is State.VALIDATING:
            self._shelf.update(job.id, status=State.QUEUED)
            self.tell(job, "queued", "Files validated, moving job to queued state")
        if "stuck" in job.faults:
            self._shelf.update(job.id, status=State.RUNNING)
            self.tell(job, "started", "Fine-tuning job started")
            return False
        return True

    def _file(self, file_id: str) -> FileRecord | None:
        try:
            return self._files.get(file_id)
        except Refusal:
            return None

    async def _bring_to_end(self, job: JobRecord) -> None:
        """Hand a job over if it is not, then follow it until it ends or is held."""
        while True:
            async with self.submitting:
                current = self._shelf.get(job.id)
                if current is None or current.status.final or current.status is State.PAUSED:
                    return
                handed = await self._submit(current)
            if handed is None or handed.remote_job is None:
                return
            if handed.status is State.QUEUED:
                await self._go_on(handed, handed.remote_job)
            if await self._look(handed, handed.remote_job):
                return
            await asyncio.sleep(max(MIN_POLL_S, self._trainer.capabilities.poll_s))

    async def _go_on(self, job: JobRecord, remote: str) -> None:
        """Let the trainer go on with a job that was held."""
        self._shelf.update(job.id, status=State.RUNNING)
        if (await self._trainer.get(remote)).state is State.PAUSED:
            await self._trainer.resume(remote)

    async def _look(self, job: JobRecord, remote: str) -> bool:
        try:
            return await self.mirror(job.id, await self._trainer.get(remote))
        except NetworkError as error:
            log.warning("job %s: %s", job.id, error)
            await asyncio.sleep(error.retry_after or OUTAGE_S)
            return False

    async def _submit(self, job: JobRecord) -> JobRecord | None:
        """Hand a job to the trainer, once; None where it needs no training."""
        if job.remote_job is not None:
            return job
        given = self._files.path(self._files.get(job.file_id).id)
        async with self.shop.training_file(job, given) as path:
            self.tell(job, "started", "Fine-tuning job started")
            started = job.started or time.time()
            job = self._shelf.update(job.id, status=State.RUNNING, started=started)
            if path is None:
                self._deliver(job, self._config.bases[job.base], {"progress": 1.0})
                return None
            return await self._create(job, path)

    async def _create(self, job: JobRecord, path: Path) -> JobRecord:
        spec = self.shop.recipe(job, spec_of(job.request, self._config))
        problems = await self._trainer.check(path, spec)
        if problems:
            self._fail(job, str(problems[0]), "invalid_training_file")
            return job
        tried = job.remote_file
        remote_file = tried or await self._upload(path, f"{job.id}.jsonl")
        validation = job.remote_validation
        if job.request.validation_file and validation is None:
            given = self._files.path(job.request.validation_file)
            validation = await self._upload(given, f"{job.id}.validation.jsonl")
        self._shelf.update(job.id, remote_file=remote_file, remote_validation=validation)
        token = job.id if job.tuned is None else f"{job.id}-2"
        status = await self._trainer.find(token, remote_file) if tried else None
        if status is None:
            status = await self._trainer.create(remote_file, spec, token, validation_id=validation)
        return self._shelf.update(job.id, remote_job=status.id)

    async def _upload(self, path: Path, name: str) -> str:
        file_id = await self._trainer.upload(path, name)
        await self._trainer.wait_for_file(file_id)
        return file_id

    async def _mirror_events(self, job: JobRecord) -> None:
        if job.remote_job is None:
            return
        async for event in self._trainer.events(job.remote_job):
            shown = _shown(job, event)
            self._store.add_event(job.id, f"trainer {event.id}", shown)

    async def _clean_up(self, job: JobRecord) -> None:
        for file_id in (job.remote_file, job.remote_validation):
            if file_id is not None:
                try:
                    await self._trainer.clean_up(file_id)
                except (VTuneError, OSError) as error:
                    log.warning("the trainer keeps a file of job %s: %s", job.id, error)


def _going(state: State) -> State:
    """Return the state of a job under way: it trains as far as its client is to know."""
    return State.RUNNING if state in (State.VALIDATING, State.QUEUED, State.SUCCEEDED) else state


def _is_stuck(job: JobRecord) -> bool:
    return "stuck" in job.faults and job.status is State.RUNNING


def _event_id(job: JobRecord, source: str) -> str:
    return f"ftevent-{hashlib.sha256(f'{job.id} {source}'.encode()).hexdigest()[:24]}"


def _shown(job: JobRecord, event: JobEvent) -> EventRecord:
    """Return a trainer's event as the service tells it; one with a loss is a metric."""
    id_ = _event_id(job, f"trainer {event.id}")
    data = {"train_loss" if name == "loss" else name: value for name, value in event.data.items()}
    if not {"train_loss", "valid_loss"} & data.keys():
        return EventRecord(id_, event.at, event.message, data=data)
    step = data.get("step")
    loss = ", ".join(
        f"{name}={data[name]:.4g}" for name in ("train_loss", "valid_loss") if name in data
    )
    return EventRecord(id_, event.at, f"Step {step}: {loss}", kind="metrics", data=data)


def spec_of(request: JobRequest, config: ServeConfig) -> JobSpec:
    """Return what the trainer is told: the request over the recipe."""
    options: dict[str, Any] = {**config.recipe, **request.options}
    rate = request.learning_rate
    if rate is None and request.learning_rate_multiplier is not None:
        rate = config.recipe.get("learning_rate")
        rate = None if rate is None else rate * request.learning_rate_multiplier
    return JobSpec(
        model=config.bases[request.base],
        method=request.method,
        epochs=request.epochs,
        batch_size=request.batch_size,
        learning_rate=rate,
        seed=request.seed,
        suffix=request.suffix,
        options=options,
    )
