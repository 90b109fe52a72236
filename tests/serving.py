"""`vtune serve` in a thread of the test's own process, on a free port of 127.0.0.1.

with serving(tmp_path, bases={"tiny": tiny_model}, recipe=tiny.RECIPE) as server:
    ... server.openai, server.together, server.key, server.faults ...
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vtune_client.serve.config import MIB, ServeConfig
from vtune_client.serve.faults import Fault, Faults
from vtune_client.serve.records import JobRecord
from vtune_client.serve.service import Service

START_S = 30.0


@dataclass(frozen=True)
class Server:
    """A running service: where it is, what it saw, what is to go wrong."""

    root: str
    service: Service
    key: str

    @property
    def openai(self) -> str:
        return f"{self.root}/v1"

    @property
    def together(self) -> str:
        return f"{self.root}/together"

    @property
    def faults(self) -> Faults:
        return self.service.faults

    @property
    def requests(self) -> list[tuple[str, str]]:
        """Return (method, path) of every request, in order."""
        return list(self.service.requests)

    def jobs(self) -> list[JobRecord]:
        """Return the service's jobs as they are, oldest first, however they were created."""
        return list(self.service.jobs.all())

    def endpoints(self) -> list[Any]:
        """Return the dedicated endpoints that run."""
        from vtune_client.serve import together

        return list(together.running_endpoints(self.service))


@contextmanager
def serving(
    home: Path,
    *,
    bases: Mapping[str, Path | str],
    recipe: Mapping[str, Any] | None = None,
    keys: tuple[str, ...] = ("sk-test",),
    provider: str = "local",
    connection: Mapping[str, Any] | None = None,
    vendor: str = "honest",
    vendor_lines: tuple[int, ...] = (),
    faults: tuple[Fault, ...] = (),
    max_bytes: int = 64 * MIB,
    kept: int = 2,
) -> Iterator[Server]:
    """Serve from the folder `service` below `home`; another `with` on it goes on with its jobs."""
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    from vtune_client.serve.run import Running

    config = ServeConfig(
        home=home / "service",
        bases={name: str(base) for name, base in bases.items()},
        recipe=recipe or {},
        keys=keys,
        provider=provider,
        connection=connection or {},
        vendor=vendor,
        vendor_lines=vendor_lines,
        faults=faults,
        max_bytes=max_bytes,
        kept=kept,
    )
    running = Running(Service(config), "127.0.0.1", 0)
    thread = threading.Thread(target=running.serve, name="vtune serve")
    thread.start()
    try:
        _wait_until_up(running, thread)
        yield Server(running.root, running.service, keys[0] if keys else "")
    finally:
        running.stop()
        thread.join()


def _wait_until_up(running: Any, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_S
    while not running.up:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise AssertionError("the service did not start")
        time.sleep(0.005)
