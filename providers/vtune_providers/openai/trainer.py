"""The openai `Trainer`: files, jobs, events and checkpoints of one service."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from vtune_client.errors import InputError, NetworkError, Problem, ProviderError
from vtune_client.provider import (
    Checkpoint,
    Estimate,
    JobEvent,
    JobSpec,
    JobStatus,
    State,
    Trainer,
    TrainerCapabilities,
)
from vtune_providers.openai import events, files, jobs, preflight
from vtune_providers.openai.client import Service
from vtune_providers.openai.failures import Doing, garbage
from vtune_providers.openai.presets import NEBIUS
from vtune_providers.openai.settings import Settings
from vtune_providers.openai.states import status_of

log = logging.getLogger(__name__)
POLL_S = 10.0


class OpenAITrainer(Trainer):
    """Trains at a service that speaks OpenAI's fine-tuning API. It repeats no call."""

    def __init__(self, settings: Settings, *, today: Callable[[], date] | None = None) -> None:
        preset = settings.preset
        self.capabilities = TrainerCapabilities(
            formats=preset.formats,
            min_rows=preflight.MIN_ROWS,
            max_bytes=preset.max_bytes,
            methods=preset.methods,
            can_pause=preset.can_pause,
            poll_s=POLL_S,
        )
        self._settings = settings
        self._preset = preset
        self._service = Service(settings)
        self._today = today or (lambda: datetime.now(UTC).date())
        self._progress: dict[str, float] = {}
        self._seen: dict[str, Mapping[str, Any]] = {}  # what each job said last
        self._results: dict[str, list[JobEvent]] = {}  # by the id of a result file

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        preflight.check_spec(spec, self._preset)
        found = await asyncio.to_thread(preflight.problems_of, path, self._preset)
        await self._check_model(spec.model)
        return found

    async def max_row_tokens(self, model: str) -> int | None:
        return preflight.row_limit(model, self._preset)

    async def estimate(self, path: Path, spec: JobSpec) -> Estimate:
        per_million = self._settings.given.price_per_million
        return await asyncio.to_thread(preflight.estimated, path, spec, self._preset, per_million)

    async def upload(self, path: Path, name: str) -> str:
        return await files.upload(self._service, path, name)

    async def wait_for_file(self, file_id: str) -> None:
        await files.wait_for(self._service, file_id, self._settings.given.file_timeout_s)

    async def create(
        self, file_id: str, spec: JobSpec, token: str, *, validation_id: str | None = None
    ) -> JobStatus:
        body = jobs.wanted(spec, self._preset, file_id, token, validation_id)
        doing = Doing("start the job", f"model {spec.model!r} to train, or no file {file_id!r}")
        return await self._status(
            lambda sdk: sdk.fine_tuning.jobs.with_raw_response.create(**body), doing
        )

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        job = await jobs.found(self._service, token, file_id)
        return None if job is None else status_of(job)

    async def get(self, job_id: str) -> JobStatus:
        status = await self._status(
            lambda sdk: sdk.fine_tuning.jobs.with_raw_response.retrieve(job_id),
            _about("look at", job_id),
        )
        if status.state is State.FAILED:
            return status_of(status.raw, blocked=await self._blocked(job_id))
        if status.state is State.SUCCEEDED and not status.model and self._preset is NEBIUS:
            return replace(status, model=await self._last_checkpoint(job_id))
        return status

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        """Yield the service's events; of a job that succeeded, then the metrics of its steps."""
        told = await self._told(job_id)
        share = events.progress_of(told)
        if share is not None:
            self._progress[job_id] = share
        for event in told:
            yield event
        if job_id not in self._seen:
            await self.get(job_id)
        job = self._seen.get(job_id, {})
        if status_of(job).state is State.SUCCEEDED:
            for event in await self._metrics(job):
                yield event

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        found: list[Checkpoint] = []
        try:
            async for page in self._service.pages(
                lambda sdk, which: sdk.fine_tuning.jobs.checkpoints.with_raw_response.list(
                    job_id, **which
                ),
                _about("list the checkpoints of", job_id),
            ):
                found.extend(map(_checkpoint, page))
        except ProviderError as error:
            log.warning("No checkpoints of job %s: %s", job_id, error)
        return sorted(found, key=lambda checkpoint: checkpoint.step)

    async def cancel(self, job_id: str) -> JobStatus:
        """Cancel the job; one that has ended before stays as it is."""
        try:
            return await self._status(
                lambda sdk: sdk.fine_tuning.jobs.with_raw_response.cancel(job_id),
                _about("cancel", job_id),
            )
        except ProviderError:
            status = await self.get(job_id)
            if status.state.final:
                return status
            raise

    async def pause(self, job_id: str) -> JobStatus:
        return await self._status(
            lambda sdk: sdk.fine_tuning.jobs.with_raw_response.pause(job_id),
            _about("pause", job_id),
        )

    async def resume(self, job_id: str) -> JobStatus:
        return await self._status(
            lambda sdk: sdk.fine_tuning.jobs.with_raw_response.resume(job_id),
            _about("resume", job_id),
        )

    async def clean_up(self, file_id: str) -> None:
        doing = Doing("delete the file", f"file {file_id!r}")
        reply = await self._service.ask(
            lambda sdk: sdk.files.with_raw_response.delete(file_id), doing
        )
        if not reply.ok and reply.status != 404:
            raise self._service.failed(reply, doing)

    async def aclose(self) -> None:
        await self._service.aclose()

    async def _check_model(self, model: str) -> None:
        """Look the base model up: what the service has shut down is refused here."""
        doing = Doing(f"look up the model {model!r}", f"model {model!r}")
        reply = await self._service.ask(
            lambda sdk: sdk.models.with_raw_response.retrieve(model), doing
        )
        if reply.status in (401, 403) or reply.status == 429 or reply.status >= 500:
            raise self._service.failed(reply, doing)
        payload = reply.json()
        if reply.ok and isinstance(payload, dict):
            preflight.check_shutdown(model, payload, self._today())
        elif self._preset.lists_models and self._settings.own:
            raise InputError(
                f"The service knows no model {model!r}.",
                "Give the name of one that it trains, with its date.",
            )
        else:
            log.warning("The service does not list %r; asking it to train it all the same.", model)

    async def _status(self, call: Callable[[Any], Any], doing: Doing) -> JobStatus:
        reply = await self._service.ask(call, doing)
        if not reply.ok:
            raise self._service.failed(reply, doing)
        payload = reply.json()
        if not isinstance(payload, dict) or not isinstance(payload.get("id"), str):
            raise garbage(reply, doing)
        self._seen[payload["id"]] = payload
        return status_of(payload, progress=self._progress.get(payload["id"]))

    async def _told(self, job_id: str) -> list[JobEvent]:
        """Return the service's events, oldest first; it lists them the other way round."""
        found: list[JobEvent] = []
        async for page in self._service.pages(
            lambda sdk, which: sdk.fine_tuning.jobs.with_raw_response.list_events(job_id, **which),
            _about("list the events of", job_id),
        ):
            found.extend(map(events.event_of, page))
        found.reverse()  # those of the same second, too
        found.sort(key=lambda event: event.at)
        return found

    async def _blocked(self, job_id: str) -> Sequence[str] | None:
        """Return what the safety checks after training objected to, where they did."""
        try:
            return events.blocked_of(await self._told(job_id))
        except (ProviderError, NetworkError) as error:
            log.warning("The events of job %s cannot be had: %s", job_id, error)
            return None

    async def _last_checkpoint(self, job_id: str) -> str | None:
        """Return the source that Nebius deploys a job's result from: it names no model itself."""
        saved = await self.checkpoints(job_id)
        return f"{job_id}:{saved[-1].id}" if saved else None

    async def _metrics(self, job: Mapping[str, Any]) -> list[JobEvent]:
        """Return the metrics in a job's result files; one that cannot be had is left out."""
        names = job.get("result_files")
        finished = job.get("finished_at")
        at = float(finished) if isinstance(finished, int | float) else 0.0
        found: list[JobEvent] = []
        for name in names if isinstance(names, list) else ():
            found.extend(await self._table(str(name), at))
        return found

    async def _table(self, file_id: str, at: float) -> Sequence[JobEvent]:
        if file_id in self._results:
            return self._results[file_id]
        doing = Doing("hand out the metrics", f"file {file_id!r}")
        try:
            reply = await self._service.ask(
                lambda sdk: sdk.files.with_raw_response.content(file_id), doing
            )
            if not reply.ok:
                raise self._service.failed(reply, doing)
        except (ProviderError, NetworkError) as error:
            log.warning("The metrics in %s cannot be had: %s", file_id, error)
            return ()
        self._results[file_id] = events.metrics_of(reply.body, file_id, at)
        return self._results[file_id]


def _about(verb: str, job_id: str) -> Doing:
    return Doing(f"{verb} the job", f"job {job_id!r}")


def _checkpoint(raw: Mapping[str, Any]) -> Checkpoint:
    step = raw.get("step_number")
    return Checkpoint(
        id=str(raw.get("id")),
        step=int(step) if isinstance(step, int | float) else 0,
        model=str(raw.get("fine_tuned_model_checkpoint") or ""),
    )
