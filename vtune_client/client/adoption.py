"""Uploads and jobs that somebody else's code makes, taken into the ledger.

A script that drives the vendor's own client uploads a file, starts a job and follows it itself. Its
file is planted on the way out, and its job is written down like one of ours, so that `verify`,
`status` and `wait` know it: at CREATING before the vendor is asked, at CREATED once it has an id.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from filelock import FileLock, Timeout

from vtune_client.client.asynchronous import AsyncVTune
from vtune_client.client.synchronous import VTune
from vtune_client.dataset import Summary, check
from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger import Job, PlanRecord, Step, Upload
from vtune_client.plan import PlanSpec, token_of
from vtune_client.plant import plant
from vtune_client.provider import JobSpec, State, recordable

CAREFUL_TOKENS = 4096  # short enough for every model of today; the one to come is not known yet


def core_of(vtune: VTune | AsyncVTune) -> AsyncVTune:
    """Return the `AsyncVTune` that does the work of either face."""
    return vtune._async if isinstance(vtune, VTune) else vtune


@dataclass(frozen=True)
class PlantedUpload:
    """A planted file, there as long as its upload may take."""

    plan_id: str
    path: Path
    sha256: str


class Adoption:
    """What a drop-in client asks of the core. Nothing here waits for a service."""

    def __init__(self, core: AsyncVTune) -> None:
        self._core = core
        self._ledger = core.ledger

    @contextmanager
    def planted(
        self, body: Path | bytes | IO[bytes], name: str | None, spec: PlanSpec
    ) -> Iterator[PlantedUpload]:
        """Draw a plan for a file and yield it planted, under its own name; removed afterwards.

        `body` is left as it is. Raises as `AsyncVTune.plan` does, before anything is sent."""
        with _folder(self._core._home) as folder:
            source = _source(body, folder / "given.jsonl")
            recorded = str(source.resolve()) if source.parent != folder else name or "upload"
            record = self._plan(check(source), spec, recorded)
            into = folder / "planted"
            into.mkdir(mode=0o700)
            target = into / (body.name if isinstance(body, Path) else "upload.jsonl")
            made = plant(source, self._core.plans.open(record.id), target)
            self._core.attesting.recorded(record.id, None, made.sha256)
            yield PlantedUpload(record.id, made.path, made.sha256)

    def uploaded(self, planted: PlantedUpload, provider: str, address: str, file_id: str) -> Upload:
        """Remember under which id the service at `address` holds a planted file."""
        upload = Upload(
            provider, address, file_id, planted.plan_id, planted.sha256, created=time.time()
        )
        self._ledger.add_upload(upload)
        return upload

    def upload_of(self, provider: str, address: str, file_id: str) -> Upload | None:
        """Return the planted upload of that id, or None for a file that is not ours."""
        return self._ledger.upload(provider, address, file_id)

    def begin(
        self,
        upload: Upload,
        spec: JobSpec,
        connection: Mapping[str, Any],
        validation_id: str | None = None,
    ) -> Job:
        """Write down a job that is about to be created by somebody else."""
        job_id = f"job-{secrets.token_hex(4)}"
        job = Job(
            id=job_id,
            plan_id=upload.plan_id,
            created=time.time(),
            provider=upload.provider,
            spec=spec,
            token=token_of(upload.plan_id, job_id),
            step=Step.CREATING,
            planted_sha256=upload.planted_sha256,
            file_id=upload.file_id,
            validation_id=validation_id,
            connection=recordable(upload.provider, connection),
        )
        self._ledger.add_job(job)
        return job

    def created(self, job: Job, remote_id: str) -> Job:
        """Write down which job the service made of it."""
        return self._ledger.update(job, step=Step.CREATED, remote_id=remote_id, state=State.QUEUED)

    def refused(self, job: Job, reason: str) -> Job:
        """Close a job that was certainly not created."""
        return self._ledger.update(job, step=Step.DONE, state=State.FAILED, error=reason)

    def known_ids(self, job: Job) -> set[str]:
        """Return the service's ids of the jobs on this job's file that are in the ledger."""
        return {
            other.remote_id
            for other in self._ledger.jobs()
            if other.remote_id and other.file_id == job.file_id and other.provider == job.provider
        }

    def job_of(self, provider: str, job_id: str) -> Job:
        """Return the job with that id, the service's or ours; the newest where ids came again."""
        for job in reversed(self._ledger.jobs()):
            if job.provider == provider and job_id in (job.remote_id, job.id):
                return job
        raise LedgerError(
            f"The ledger holds no job {job_id!r} of {provider}.",
            "Only jobs on files that were planted at their upload can be verified.",
        )

    def _plan(self, summary: Summary, spec: PlanSpec, recorded: str) -> PlanRecord:
        """Draw the plan, with carriers among the shorter rows where those are enough."""
        if summary.longest_row_tokens > CAREFUL_TOKENS:
            with suppress(InputError):
                return self._core.plans.new(
                    summary, spec, max_row_tokens=CAREFUL_TOKENS, source=recorded
                )
        return self._core.plans.new(summary, spec, source=recorded)


def _source(body: Path | bytes | IO[bytes], copy: Path) -> Path:
    """Return a file that holds what was given: the user's own where there is one."""
    if isinstance(body, Path):
        return body
    with open(copy, "xb", opener=_private) as sink:
        if isinstance(body, bytes):
            sink.write(body)
        else:
            if body.seekable():
                body.seek(0)  # where the vendor's client starts, too
            shutil.copyfileobj(body, sink)
    own = Path(str(getattr(body, "name", "")))
    return own if own.is_file() and _digest(own) == _digest(copy) else copy


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _folder(home: Path) -> Iterator[Path]:
    """Make a private folder, gone afterwards: at the latest when the next one is made."""
    spool, locks = home / "spool", home / "locks"
    sweep(spool, locks)
    name = f"upload-{secrets.token_hex(8)}"
    lock = FileLock(locks / f"{name}.lock")
    with lock:
        folder = spool / name
        folder.mkdir(mode=0o700)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    _forget(locks / f"{name}.lock")


def sweep(spool: Path, locks: Path) -> None:
    """Delete folders whose process was killed: planted files stand in them."""
    for folder in spool.glob("upload-*"):
        lock = FileLock(locks / f"{folder.name}.lock")
        with suppress(Timeout), lock.acquire(blocking=False):
            shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            _forget(locks / f"{folder.name}.lock")


def _forget(lock: Path) -> None:
    with suppress(OSError):
        lock.unlink(missing_ok=True)
