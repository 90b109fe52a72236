"""A fine-tuning service in memory that can be slow, lossy or hostile, and a clock that runs ahead.

`Service` is the vendor: what it holds is what was paid for. `Simulator` is the line to it; what
`disturb` raises happens before the service hears of a call, or after it has acted on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from vtune_client.draw import Draw
from vtune_client.errors import NetworkError, Problem
from vtune_client.patience import Patience
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

When = Literal["before", "after"]
Disturb = Callable[[str, When], None]

HONEST = (
    JobStatus("", State.QUEUED),
    JobStatus("", State.RUNNING, progress=0.5),
    JobStatus("", State.SUCCEEDED, model="tuned"),
)


class Killed(BaseException):
    """Stands for the end of the process: nobody may catch it."""


@dataclass
class Clock:
    seconds: float = 0.0


@dataclass(frozen=True)
class Hurried(Patience):
    """Waits by a clock of its own, in no time."""

    clock: Clock = field(default_factory=Clock)

    def now(self) -> float:
        return self.clock.seconds

    async def pause(self, seconds: float) -> None:
        self.clock.seconds += seconds
        await asyncio.sleep(0)


@dataclass
class Started:
    """A job the service has accepted: one bill."""

    token: str
    file_id: str
    spec: JobSpec
    at: float
    asked: int = 0  # how often `get` was answered
    validation_id: str | None = None
    cancelled: bool = False
    paused: bool = False


@dataclass
class Service:
    """What the vendor holds. `script` is what a job's successive `get` say, the last for ever."""

    script: Sequence[JobStatus] = HONEST
    estimate: Estimate = field(default_factory=Estimate)  # before the upload
    quote: Estimate | None = None  # after it
    events: Sequence[JobEvent] = (JobEvent("1", 1.0, "training"),)
    clock: Clock = field(default_factory=Clock)
    lag_s: float = 0.0  # how long `find` does not see a new job
    files: dict[str, bytes] = field(default_factory=dict)
    uploads: int = 0
    deleted: list[str] = field(default_factory=list)
    jobs: dict[str, Started] = field(default_factory=dict)

    def upload(self, content: bytes) -> str:
        self.uploads += 1
        file_id = f"file-{self.uploads}"
        self.files[file_id] = content
        return file_id

    def create(
        self, file_id: str, spec: JobSpec, token: str, validation_id: str | None = None
    ) -> JobStatus:
        job_id = f"remote-{len(self.jobs) + 1}"
        self.jobs[job_id] = Started(
            token, file_id, spec, self.clock.seconds, validation_id=validation_id
        )
        return JobStatus(job_id, State.VALIDATING)

    def find(self, token: str, file_id: str) -> JobStatus | None:
        for job_id, job in self.jobs.items():
            visible = self.clock.seconds >= job.at + self.lag_s
            if visible and (job.token, job.file_id) == (token, file_id):
                return JobStatus(job_id, State.QUEUED)
        return None

    def get(self, job_id: str) -> JobStatus:
        job = self.jobs[job_id]
        if job.cancelled:
            return JobStatus(job_id, State.CANCELLED)
        if job.paused:
            return JobStatus(job_id, State.PAUSED)
        said = self.script[min(job.asked, len(self.script) - 1)]
        job.asked += 1
        return JobStatus(job_id, said.state, said.model, said.error, said.progress)


def undisturbed(call: str, when: When) -> None: ...


class Simulator(Trainer):
    """The trainer of a `Service`."""

    def __init__(
        self,
        service: Service,
        disturb: Disturb = undisturbed,
        *,
        on_this_disk: bool = False,
        find_lag_s: float = 0.0,
    ) -> None:
        self.capabilities = TrainerCapabilities(
            poll_s=1.0, on_this_disk=on_this_disk, find_lag_s=find_lag_s
        )
        self._service = service
        self._disturb = disturb

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        return ()

    async def estimate(self, path: Path, spec: JobSpec) -> Estimate:
        return self._service.estimate

    async def quote(self, file_id: str, spec: JobSpec) -> Estimate | None:
        self._disturb("quote", "before")
        return self._service.quote

    async def upload(self, path: Path, name: str) -> str:
        self._disturb("upload", "before")
        file_id = self._service.upload(path.read_bytes())
        self._disturb("upload", "after")
        return file_id

    async def wait_for_file(self, file_id: str) -> None:
        self._disturb("wait_for_file", "before")

    async def create(
        self, file_id: str, spec: JobSpec, token: str, *, validation_id: str | None = None
    ) -> JobStatus:
        self._disturb("create", "before")
        status = self._service.create(file_id, spec, token, validation_id)
        await asyncio.sleep(0)
        self._disturb("create", "after")
        return status

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        self._disturb("find", "before")
        return self._service.find(token, file_id)

    async def get(self, job_id: str) -> JobStatus:
        self._disturb("get", "before")
        return self._service.get(job_id)

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        for event in self._service.events:
            yield event
            self._disturb("events", "after")

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        return ()

    async def cancel(self, job_id: str) -> JobStatus:
        self._disturb("cancel", "before")
        self._service.jobs[job_id].cancelled = True
        self._disturb("cancel", "after")
        return self._service.get(job_id)

    async def pause(self, job_id: str) -> JobStatus:
        self._service.jobs[job_id].paused = True
        return self._service.get(job_id)

    async def resume(self, job_id: str) -> JobStatus:
        self._service.jobs[job_id].paused = False
        return JobStatus(job_id, State.QUEUED)

    async def clean_up(self, file_id: str) -> None:
        self._disturb("clean_up", "before")
        self._service.files.pop(file_id, None)
        self._service.deleted.append(file_id)

    async def aclose(self) -> None: ...


class Weather:
    """Draws trouble: lost calls, lost answers, and the end of the process; at most `most` times."""

    def __init__(self, seed: int, most: int = 12) -> None:
        self._draw = Draw(seed.to_bytes(16, "big"), "weather")
        self._left = most

    def __call__(self, call: str, when: When) -> None:
        roll = self._draw.below(10)
        if self._left == 0 or roll > 3:
            return
        self._left -= 1
        if call == "commit" or roll == 0:
            raise Killed(f"{when} {call}")
        raise NetworkError(f"The line broke {when} {call}.")


class Once:
    """Raises `error` at one call, the first `times` times it comes by."""

    def __init__(self, call: str, when: When, error: BaseException, *, times: int = 1) -> None:
        self._where, self._error, self._left = (call, when), error, times

    def __call__(self, call: str, when: When) -> None:
        if (call, when) == self._where and self._left:
            self._left -= 1
            raise self._error
