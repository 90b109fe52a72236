"""The service: files, jobs and models, behind whichever shape a client speaks."""

from __future__ import annotations

import inspect
import time
from collections import deque
from typing import Any

from filelock import FileLock, Timeout

from vtune_client.errors import InputError
from vtune_client.provider import endpoint_of, load, trainer_of
from vtune_client.serve.config import ServeConfig
from vtune_client.serve.faults import Faults
from vtune_client.serve.files import Files
from vtune_client.serve.jobs import Jobs
from vtune_client.serve.models import Models
from vtune_client.serve.records import JobRecord
from vtune_client.serve.store import Shelf, Store, job_record
from vtune_client.serve.uploads import Uploads
from vtune_client.serve.worker import Worker

REMEMBERED = 10_000  # requests


class Service:
    """Built anywhere, started and closed in the event loop that serves.

    `requests` holds (method, path) of what was asked last, in order."""

    def __init__(self, config: ServeConfig) -> None:
        config.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.config = config
        self._lock = FileLock(config.home / "service.lock", timeout=0, thread_local=False)
        self._hold()
        connection = _connection(config)
        self.trainer = trainer_of(config.provider, connection)
        self.faults = Faults(config.faults)
        self.requests: deque[tuple[str, str]] = deque(maxlen=REMEMBERED)
        self.store = Store(config.home / "service.sqlite3")
        shelf: Shelf[JobRecord] = Shelf(self.store, "job", job_record)
        self.files = Files(
            config.home / "files",
            self.store,
            self.trainer.capabilities,
            self.faults,
            config.max_bytes,
        )
        self.uploads = Uploads(config.home / "parts", self.store, self.files)
        worker = Worker(config, self.store, shelf, self.files, self.trainer)
        self._worker = worker
        self.jobs = Jobs(config, self.store, shelf, self.files, self.trainer, worker, self.faults)
        self.models = Models(
            config.bases,
            shelf,
            lambda: endpoint_of(config.provider, connection),
            since=time.time(),
            kept=config.kept,
            front=worker.shop.front,
        )

    async def start(self) -> None:
        """Take up what was left when the service last stopped."""
        self.files.start()
        self._worker.start()

    async def aclose(self) -> None:
        """Stop looking after jobs; those under way go on by themselves where the trainer can."""
        await self._worker.aclose()
        await self.files.aclose()
        await self.models.aclose()
        await self.trainer.aclose()
        self.store.close()
        self._lock.release()

    def _hold(self) -> None:
        try:
            self._lock.acquire()
        except Timeout:
            raise InputError(
                f"Another service runs in {self.config.home}.", "Name another --home."
            ) from None


def _connection(config: ServeConfig) -> dict[str, Any]:
    """Return the provider's keywords; one that can keep its files apart keeps them with ours."""
    connection = dict(config.connection)
    trainer = load(config.provider).trainer
    if trainer is not None and "root" in inspect.signature(trainer).parameters:
        connection.setdefault("root", config.home / "provider")
    return connection
