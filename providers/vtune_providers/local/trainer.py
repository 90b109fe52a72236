"""The local `Trainer`: each job is a process of its own, found again by its directory."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from vtune_client.dataset import check
from vtune_client.errors import InputError, Problem, ProviderError
from vtune_client.home import home
from vtune_client.provider import (
    Checkpoint,
    JobEvent,
    JobSpec,
    JobStatus,
    State,
    TrainerCapabilities,
)
from vtune_providers.local import bases
from vtune_providers.local.recipe import recipe_for
from vtune_providers.local.rundir import RunDirectory, write_json

MAX_STARTS = 5
# A worker takes its lock before it imports anything heavy; this long it may take to get there.
START_GRACE_S = 20.0


class LocalTrainer:
    """Trains on this machine. Files and runs live under `VTUNE_HOME/local`."""

    capabilities = TrainerCapabilities(
        formats=frozenset({"chat", "prompt", "text"}),
        min_rows=10,
        can_export=True,
        on_this_disk=True,
        poll_s=0.3,
    )

    def __init__(self, root: Path | None = None) -> None:
        self._root = root or home() / "local"
        self._files = self._root / "files"
        self._runs = self._root / "runs"
        for folder in (self._files, self._runs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        recipe_for(spec)
        bases.resolve(spec.model)
        return ()

    async def upload(self, path: Path, name: str) -> str:
        file_id = f"file-{secrets.token_hex(12)}"
        target = self._files / f"{file_id}.jsonl"
        work = target.with_suffix(".part")
        descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with path.open("rb") as source, os.fdopen(descriptor, "wb") as sink:
            shutil.copyfileobj(source, sink)
        os.replace(work, target)
        return file_id

    async def wait_for_file(self, file_id: str) -> None:
        check(self._file(file_id), min_rows=self.capabilities.min_rows)

    async def create(self, file_id: str, spec: JobSpec, token: str) -> JobStatus:
        recipe = recipe_for(spec)
        run = RunDirectory(self._runs / f"run-{secrets.token_hex(8)}")
        work = run.path.with_suffix(".part")
        work.mkdir()
        todo = {
            "token": token,
            "file_id": file_id,
            "file": str(self._file(file_id)),
            "base": bases.resolve(spec.model) if Path(spec.model).is_dir() else spec.model,
            "recipe": recipe.model_dump(mode="json"),
            "created": time.time(),
        }
        write_json(work / "run.json", todo)
        os.replace(work, run.path)  # from here on `find` sees it
        self._start(run)
        return run.status()

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        for path in sorted(self._runs.glob("run-*")):
            run = RunDirectory(path)
            todo = run.run()
            if todo.get("token") == token and todo.get("file_id") == file_id:
                return await self.get(run.id)
        return None

    async def get(self, job_id: str) -> JobStatus:
        """Return the state; a worker that died is started again from its last checkpoint."""
        run = self._run(job_id)
        if not run.status().state.final and self._dead(run) and not run.status().state.final:
            self._start(run)  # asked twice: it may have ended before we saw that it is gone
        return run.status()

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        for event in self._run(job_id).events():
            yield event

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        return self._run(job_id).checkpoints()

    async def cancel(self, job_id: str) -> JobStatus:
        run = self._run(job_id)
        if run.status().state.final:
            return run.status()
        run.ask_cancel()
        while run.worker_alive():
            await asyncio.sleep(0.1)
        if not run.status().state.final:
            run.set_state(State.CANCELLED)
        return run.status()

    async def clean_up(self, file_id: str) -> None:
        self._file(file_id, must_exist=False).unlink(missing_ok=True)

    async def aclose(self) -> None:
        """Workers go on without us; only forget them."""
        self._started.clear()

    def _start(self, run: RunDirectory) -> None:
        starts = run.state().get("starts", 0) + 1
        if starts > MAX_STARTS:
            error = f"the training process died {MAX_STARTS} times; its log is {run.path}/log.txt"
            run.set_state(State.FAILED, error=error)
            return
        run.set_state(State.QUEUED, starts=starts, started_at=time.time())
        launcher = run.run()["recipe"].get("launcher") or [sys.executable]
        command = [*launcher, "-m", "vtune_providers.local.worker", str(run.path)]
        with (run.path / "log.txt").open("ab") as log:
            self._started[run.id] = subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C or a kill of the client is not one of the job
            )

    def _dead(self, run: RunDirectory) -> bool:
        if run.worker_alive():
            return False
        ours = self._started.get(run.id)
        if ours is not None:
            return ours.poll() is not None
        started_at: float = run.state().get("started_at", 0.0)
        return time.time() - started_at > START_GRACE_S

    def _run(self, job_id: str) -> RunDirectory:
        run = RunDirectory(self._runs / job_id)
        if Path(job_id).name != job_id or not run.path.is_dir():
            raise ProviderError(
                f"The local provider has no job {job_id!r}.", "Run `vtune jobs` to list yours."
            )
        return run

    def _file(self, file_id: str, *, must_exist: bool = True) -> Path:
        path = self._files / f"{file_id}.jsonl"
        if Path(file_id).name != file_id or (must_exist and not path.exists()):
            raise InputError(f"The local provider has no file {file_id!r}.", "Upload it first.")
        return path
