"""The delivered model as an archive.

The SDK asks twice: with a range for the size, then for the whole, or for the rest of it
(`DownloadManager` in `together/lib/resources/files.py`); so the archive is made once and kept until
another one is made. It is a tar file under gzip, which the SDK knows by its content type.
"""

from __future__ import annotations

import asyncio
import shutil
import tarfile
import tempfile
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from vtune_client.provider import State
from vtune_client.serve.records import JobRecord
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.service import Service
from vtune_client.serve.vendor.shop import DELIVERED

KINDS = ("merged", "adapter", "model_output_path")
QUICK = 1  # gzip: weights hardly shrink


class Weights:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._folder = service.config.home / "weights"
        self._making = asyncio.Lock()

    async def download(self, request: Request) -> Response:
        job = self._service.jobs.get(request.query_params.get("ft_id", ""))
        self._refuse(job, request)
        async with self._making:
            archive = self._archive(job.id)
            if not archive.exists():
                await self._make(job, archive)
        name = job.model_name.rpartition("/")[2]
        return FileResponse(archive, media_type="application/x-tar", filename=f"{name}.tar.gz")

    def drop(self, job_id: str) -> None:
        self._archive(job_id).unlink(missing_ok=True)

    def _archive(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.tar.gz"

    def _refuse(self, job: JobRecord, request: Request) -> None:
        query = request.query_params
        if query.get("checkpoint", KINDS[0]) not in KINDS:
            raise Refusal(400, f"checkpoint is one of {', '.join(KINDS)}.", param="checkpoint")
        if job.status is not State.SUCCEEDED or not job.delivered or job.model_deleted:
            raise Refusal(400, f"The job {job.id} has no model to download.", code="no_model")
        if query.get("checkpoint_step", "0") not in ("0", str(job.steps)):
            raise Refusal(400, "Only the final model can be downloaded.", param="checkpoint_step")

    async def _make(self, job: JobRecord, archive: Path) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir(mode=0o700)
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            held = await self._held(job, Path(work) / "model")
            made = Path(work) / archive.name
            await asyncio.to_thread(_pack, held, made)
            made.replace(archive)

    async def _held(self, job: JobRecord, folder: Path) -> Path:
        """Return the directory with the model."""
        trainer = self._service.trainer
        held = Path(job.delivered or "")
        ours = held.is_relative_to(self._service.config.home / DELIVERED)
        if job.remote_job and trainer.capabilities.can_export and not ours:
            return await trainer.export(job.remote_job, folder)
        if not held.is_dir():
            raise Refusal(400, "The provider does not hand out weights.", code="unsupported")
        return held


def _pack(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "x:gz", compresslevel=QUICK) as tar:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                tar.add(path, str(path.relative_to(folder)), recursive=False, filter=_nobodys)


def _nobodys(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Say nothing of who runs the service."""
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode = 0o644
    return member
