"""The local `Trainer`: each job is a process of its own, found again by its directory."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from filelock import Timeout

from vtune_client.dataset import Summary, check
from vtune_client.errors import InputError, Problem, ProviderError
from vtune_client.home import home
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
from vtune_providers.local import bases
from vtune_providers.local.recipe import Recipe, recipe_for
from vtune_providers.local.rundir import RunDirectory, one_line, write_json

MAX_STARTS = 5
# A worker takes its lock before it imports anything heavy, `accelerate launch` a while after; this
# long a client that did not start it gives it to get there.
START_GRACE_S = 60.0
# A worker looks whether it is to stop before every step; a step of a large model can take a while.
STOP_WAIT_S = 30.0
# An upload that has written nothing for so long was killed.
STALE_S = 3600.0
VAULT = "VTUNE_VAULT"  # variables of this prefix: the worker has no use for secrets
_JOB = re.compile(r"run-[0-9a-f]{16}")
_FILE = re.compile(r"file-[0-9a-f]{24}")


class LocalTrainer(Trainer):
    """Trains on this machine. Files and runs live under `VTUNE_HOME/local`."""

    capabilities = TrainerCapabilities(
        formats=frozenset({"chat", "prompt", "text"}),
        min_rows=10,
        can_pause=True,
        can_export=True,
        on_this_disk=True,
        poll_s=0.3,
        find_lag_s=0.0,
    )

    def __init__(self, root: Path | None = None) -> None:
        self._root = (root or home() / "local").absolute()
        self._files = self._root / "files"
        self._runs = self._root / "runs"
        for folder in (self._files, self._runs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._started: dict[str, tuple[float, subprocess.Popen[bytes]]] = {}

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        recipe = recipe_for(spec)
        bases.check(spec.model)
        if recipe.launcher and shutil.which(recipe.launcher[0]) is None:
            raise InputError(
                f"There is no program {recipe.launcher[0]!r} to launch training with.",
                "Give its whole path as the first word of the option launcher.",
            )
        if spec.validation_file is not None:
            await asyncio.to_thread(self._checked, Path(spec.validation_file))
        return ()

    async def estimate(self, path: Path, spec: JobSpec) -> Estimate:
        """Return how many tokens are trained on, roughly; nobody charges for them."""
        summary = await asyncio.to_thread(check, path, min_rows=1, model=spec.model)
        return Estimate(
            price=0.0,
            tokens=summary.tokens * recipe_for(spec).epochs,
            source=f"trained on this machine; tokens by {summary.token_counter}",
        )

    async def upload(self, path: Path, name: str) -> str:
        """Copy the file in; the same rows under the same name again are the same file."""
        return await asyncio.to_thread(self._upload, path, name)

    async def wait_for_file(self, file_id: str) -> None:
        await asyncio.to_thread(self._checked, self._file(file_id))

    async def create(
        self, file_id: str, spec: JobSpec, token: str, *, validation_id: str | None = None
    ) -> JobStatus:
        """Start a worker. The loss on a validation file is told after every epoch."""
        todo = {
            "token": token,
            "file_id": file_id,
            "file": str(self._file(file_id)),
            "validation": str(self._file(validation_id)) if validation_id else None,
            "base": bases.resolve(spec.model) if Path(spec.model).is_dir() else spec.model,
            "recipe": recipe_for(spec).model_dump(mode="json"),
            "created": time.time(),
        }
        run = RunDirectory(self._runs / f"run-{secrets.token_hex(8)}")
        work = self._runs / f"{_digest(token)}.part"  # one that a kill left is taken up again
        work.mkdir(mode=0o700, exist_ok=True)
        write_json(work / "run.json", todo)
        os.replace(work, run.path)  # from here on `find` sees it
        self._start_if_dead(run)
        return run.status()

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        for path in sorted(self._runs.iterdir()):
            todo = RunDirectory(path).run() if _JOB.fullmatch(path.name) else {}
            if todo.get("token") == token and todo.get("file_id") == file_id:
                return await self.get(path.name)
        return None

    async def get(self, job_id: str) -> JobStatus:
        """Return the state; a worker that died is started again from its last checkpoint."""
        run = self._run(job_id)
        if not run.status().state.final:
            self._start_if_dead(run)
        return run.status()

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        for event in self._run(job_id).events():
            yield event

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        """Return the last checkpoint; a later one or the end of the job takes its place."""
        return self._run(job_id).checkpoints()

    async def cancel(self, job_id: str) -> JobStatus:
        """Stop the job; where its worker takes long to notice, return with it still cancelling."""
        run = self._run(job_id)
        if run.status().state.final:
            return run.status()
        run.ask_cancel()
        await self._stopped(run, lambda state: state.final)
        return run.status()

    async def pause(self, job_id: str) -> JobStatus:
        """Let the worker save and stop; where it takes long to notice, return with it running."""
        run = self._unfinished(job_id)
        run.ask_pause()
        await self._stopped(run, lambda state: state is State.PAUSED or state.final)
        return run.status()

    async def resume(self, job_id: str) -> JobStatus:
        """Go on from where the worker saved; a job that is not paused just goes on."""
        run = self._unfinished(job_id)
        run.ask_resume()
        self._start_if_dead(run)
        return run.status()

    async def export(self, job_id: str, folder: Path) -> Path:
        """Copy the delivered model into `folder`, which is new or empty; all or nothing."""
        run = self._run(job_id)
        if run.status().state is not State.SUCCEEDED:
            raise ProviderError(
                f"Job {job_id} has delivered no model: it is {run.status().state}.",
                "Wait until it has succeeded.",
            )
        return await asyncio.to_thread(_export, run.output, folder)

    async def clean_up(self, file_id: str) -> None:
        self._file(file_id, must_exist=False).unlink(missing_ok=True)

    async def aclose(self) -> None:
        """Workers go on without us; only forget them."""
        self._started.clear()

    def _checked(self, path: Path) -> Summary:
        limits = self.capabilities
        return check(path, min_rows=limits.min_rows, formats=limits.formats)

    async def _stopped(self, run: RunDirectory, stopped: Callable[[State], bool]) -> None:
        """Wait until the worker has noticed that it is to stop, but not for ever."""
        deadline = time.monotonic() + STOP_WAIT_S
        while not stopped(run.status().state) and time.monotonic() < deadline:
            self._start_if_dead(run)  # which closes a run that nobody is to work on
            await asyncio.sleep(0.05)

    def _unfinished(self, job_id: str) -> RunDirectory:
        run = self._run(job_id)
        if run.status().state.final:
            raise ProviderError(
                f"Job {job_id} has ended: it is {run.status().state}.",
                "Only a job that still runs can be paused or resumed.",
            )
        return run

    def _upload(self, path: Path, name: str) -> str:
        for left in self._files.glob("*.part"):
            if time.time() - left.stat().st_mtime > STALE_S:
                left.unlink(missing_ok=True)  # it holds rows of a planted file
        work = self._files / f"{_digest(name)}.part"
        work.unlink(missing_ok=True)  # of an upload under this name that was killed
        digest = hashlib.sha256(name.encode() + b"\0")
        try:
            with path.open("rb") as source, _new_private(work) as sink:
                while block := source.read(1 << 20):
                    digest.update(block)
                    sink.write(block)
                sink.flush()
                os.fsync(sink.fileno())
            file_id = f"file-{digest.hexdigest()[:24]}"
            os.replace(work, self._files / f"{file_id}.jsonl")
        except OSError as error:
            raise InputError(
                f"The training file cannot be copied to {self._files}: {error.strerror}.",
                "Check that it can be read and that the disk has room.",
            ) from error
        finally:
            work.unlink(missing_ok=True)
        return file_id

    def _start_if_dead(self, run: RunDirectory) -> None:
        """Start the worker of a run that has none, or close the run if it is not to have one."""
        try:
            with run.lock:  # held by the worker, or by a client that is about to start one
                if run.status().state.final or not self._to_be_started(run):
                    return
                begun = time.time()
                starts = run.state().get("starts", 0) + 1
                run.set_state(State.QUEUED, starts=starts, started_at=begun)
        except Timeout:
            return
        self._launch(run, begun)

    def _to_be_started(self, run: RunDirectory) -> bool:
        if stop := run.stop_asked:
            run.stop(stop)
            return False
        if not self._dead(run):
            return False
        if run.state().get("starts", 0) < MAX_STARTS:
            return True
        run.set_state(
            State.FAILED,
            error=f"The training process died {MAX_STARTS} times in a row; {run.path}/log.txt "
            "holds what it said last.",
        )
        return False

    def _dead(self, run: RunDirectory) -> bool:
        """Return whether nobody is on the way to take the run's lock."""
        started_at: float = run.state().get("started_at", 0.0)
        begun, ours = self._started.get(run.id, (None, None))
        if ours is not None and begun == started_at:
            return ours.poll() is not None
        if run.state().get("state") != State.QUEUED:
            return True  # it has been there, and holds its lock no more
        return not 0 <= time.time() - started_at <= START_GRACE_S

    def _launch(self, run: RunDirectory, begun: float) -> None:
        launcher = Recipe.model_validate(run.run()["recipe"]).launcher or (sys.executable,)
        command = [*launcher, "-m", "vtune_providers.local.worker", str(run.path)]
        try:
            with (run.path / "log.txt").open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - our own module
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=_environment(),
                    start_new_session=True,  # a Ctrl-C or a kill of the client is not of the job
                )
        except OSError as error:
            reason = f"The training process cannot be started: {one_line(error)}"
            run.set_state(State.FAILED, error=reason)
            return
        self._started[run.id] = begun, process
        # Waited for by somebody, so that a client that lives long collects no zombies.
        threading.Thread(target=process.wait, name=f"reap {run.id}", daemon=True).start()

    def _run(self, job_id: str) -> RunDirectory:
        run = RunDirectory(self._runs / job_id)
        if not _JOB.fullmatch(job_id) or not run.path.is_dir():
            raise ProviderError(
                f"The local provider has no job {job_id!r}.", "Run `vtune jobs` to list yours."
            )
        return run

    def _file(self, file_id: str, *, must_exist: bool = True) -> Path:
        path = self._files / f"{file_id}.jsonl"
        if not _FILE.fullmatch(file_id) or (must_exist and not path.exists()):
            raise InputError(f"The local provider has no file {file_id!r}.", "Upload it first.")
        return path


def _export(output: Path, folder: Path) -> Path:
    folder = folder.expanduser().absolute()
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty folder.", "Name a new or an empty one.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            shutil.copytree(output, work, dirs_exist_ok=True)
            if folder.exists():
                folder.rmdir()
            os.replace(work, folder)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except (OSError, shutil.Error) as error:
        raise InputError(
            f"The model cannot be copied to {folder}: {one_line(error)}.",
            "Choose a place that can be written to and has room.",
        ) from error
    return folder


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _new_private(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")


def _environment() -> dict[str, str]:
    """Return the worker's environment: ours without what opens the vault."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(VAULT)}
    # What lies in the directory we happen to be in (a torch.py, say) is not what is meant.
    return {**kept, "PYTHONSAFEPATH": "1"}
