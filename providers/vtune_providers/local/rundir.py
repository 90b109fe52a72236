"""A training run on disk: what the client and the worker tell each other.

run.json             what to train; written once, before the run exists under its name
state.json           where it stands; replaced whole
events.jsonl         its log; appended
log.txt              what the worker prints, tracebacks too
cancel               exists once somebody asked to stop for good
pause                exists while the run is not to go on
worker.lock          held by the worker for as long as it lives, so a dead one is noticed
checkpoint-00000120/ trainable weights, optimizer, position; the newest counts
output/              the delivered model; there only once it is whole
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from vtune_client.provider import Checkpoint, JobEvent, JobStatus, State


@dataclass(frozen=True)
class RunDirectory:
    path: Path

    @property
    def id(self) -> str:
        return self.path.name

    @property
    def output(self) -> Path:
        return self.path / "output"

    @property
    def lock(self) -> FileLock:
        return FileLock(self.path / "worker.lock", timeout=0)

    def run(self) -> dict[str, Any]:
        return _read(self.path / "run.json")

    def state(self) -> dict[str, Any]:
        return _read(self.path / "state.json")

    def set_state(self, state: State, **more: Any) -> None:
        write_json(self.path / "state.json", {**self.state(), **more, "state": state.value})

    def status(self) -> JobStatus:
        raw = self.state()
        state = State(raw.get("state", State.QUEUED))
        if state is State.PAUSED and not self.pause_asked:
            state = State.QUEUED
        if self.cancel_asked and not state.final:
            state = State.CANCELLING
        return JobStatus(
            id=self.id,
            state=state,
            model=str(self.output) if state is State.SUCCEEDED else None,
            error=raw.get("error"),
            progress=raw["step"] / raw["steps"] if raw.get("steps") else None,
            raw=raw,
        )

    def add_event(self, message: str, **data: Any) -> None:
        line = json.dumps({"at": time.time(), "message": message, "data": data})
        with (self.path / "events.jsonl").open("a+b") as file:
            # A writer that was killed may have left half a line; it is not to spoil this one.
            if size := file.seek(0, os.SEEK_END):
                file.seek(size - 1)
                line = line if file.read(1) == b"\n" else f"\n{line}"
            file.write(f"{line}\n".encode())

    def events(self) -> Iterator[JobEvent]:
        path = self.path / "events.jsonl"
        if not path.exists():
            return
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                if not line.endswith("\n"):  # still being written
                    continue
                try:
                    event = json.loads(line)
                except ValueError:  # left half written by a worker that died
                    continue
                yield JobEvent(str(number), event["at"], event["message"], event["data"])

    def checkpoint_at(self, step: int) -> Path:
        return self.path / f"checkpoint-{step:08}"

    def saved(self) -> list[Path]:
        """Return the checkpoints, oldest first. Only the newest is sure to be whole."""
        return sorted(path for path in self.path.glob("checkpoint-*") if path.is_dir())

    def checkpoints(self) -> list[Checkpoint]:
        steps = [int(path.name.rpartition("-")[2]) for path in self.saved()[-1:]]
        return [
            Checkpoint(f"{self.id}:{step}", step, str(self.checkpoint_at(step) / "model"))
            for step in steps
        ]

    @property
    def cancel_asked(self) -> bool:
        return (self.path / "cancel").exists()

    def ask_cancel(self) -> None:
        (self.path / "cancel").touch()

    @property
    def pause_asked(self) -> bool:
        return (self.path / "pause").exists()

    def ask_pause(self) -> None:
        (self.path / "pause").touch()

    def ask_resume(self) -> None:
        (self.path / "pause").unlink(missing_ok=True)

    @property
    def stop_asked(self) -> State | None:
        """The state a worker is to leave the run in, if it is to stop."""
        if self.cancel_asked:
            return State.CANCELLED
        return State.PAUSED if self.pause_asked else None

    def stop(self, state: State) -> None:
        """Write down that nobody works on the run, as `stop_asked` said."""
        # Starts are counted to notice a worker that keeps dying; one that paused did not.
        self.set_state(state, **({} if state.final else {"starts": 0}))


def one_line(error: BaseException) -> str:
    """Return what an error says, on one line of at most 500 characters."""
    return " ".join(str(error).split())[:500] or type(error).__name__


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Replace `path` whole: a reader sees the old value or the new one."""
    work = path.with_name(f"{path.name}.{os.getpid()}.part")
    work.write_text(json.dumps(value, indent=1), encoding="utf-8")
    os.replace(work, path)


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return value
