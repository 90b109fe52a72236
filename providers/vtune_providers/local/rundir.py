"""A training run on disk: what the client and the worker tell each other.

run.json         what to train; written once, before the run exists under its name
state.json       where it stands; replaced whole
events.jsonl     its log; appended
cancel           exists once somebody asked to stop
worker.lock      held by the worker for as long as it lives, so a dead one is noticed
checkpoint/      trainable weights, optimizer, position
output/          the delivered model
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

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
    def checkpoint(self) -> Path:
        return self.path / "checkpoint"

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
        with (self.path / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def events(self) -> Iterator[JobEvent]:
        path = self.path / "events.jsonl"
        if not path.exists():
            return
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file):
                if line.endswith("\n"):  # a line still being written has no end yet
                    event = json.loads(line)
                    yield JobEvent(str(number), event["at"], event["message"], event["data"])

    def checkpoints(self) -> list[Checkpoint]:
        position = self.checkpoint / "position.json"
        if not position.exists():
            return []
        step = _read(position)["step"]
        return [Checkpoint(f"{self.id}:{step}", step, str(self.checkpoint))]

    @property
    def cancel_asked(self) -> bool:
        return (self.path / "cancel").exists()

    def ask_cancel(self) -> None:
        (self.path / "cancel").touch()

    def worker_alive(self) -> bool:
        try:
            with self.lock:
                return False
        except Timeout:
            return True


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
