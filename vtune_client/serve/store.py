"""The service's memory on SQLite: records by kind and id, in the order they came."""

from __future__ import annotations

import dataclasses
import json
import os
import sqlite3
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vtune_client.errors import LedgerError
from vtune_client.provider import State
from vtune_client.serve.records import EventRecord, JobRecord, JobRequest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

R = TypeVar("R", bound="DataclassInstance")
TIMEOUT_S = 30
TABLES = """
    PRAGMA journal_mode = WAL;
    CREATE TABLE IF NOT EXISTS records (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        kind TEXT NOT NULL,
        id TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (kind, id)
    ) STRICT;
    CREATE TABLE IF NOT EXISTS events (
        seq INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        source TEXT NOT NULL,
        body TEXT NOT NULL,
        UNIQUE (job_id, source)
    ) STRICT;
"""


class Store:
    """Safe for several threads of one process; only one process serves from one home."""

    def __init__(self, path: Path) -> None:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = sqlite3.connect(
                path, timeout=TIMEOUT_S, isolation_level=None, check_same_thread=False
            )
            self._connection.executescript(TABLES)
        except (OSError, sqlite3.Error) as error:
            raise LedgerError(
                f"The service's record {path} cannot be opened: {error}.",
                "Name another directory with --home.",
            ) from error
        self._lock = threading.Lock()

    def close(self) -> None:
        self._connection.close()

    def put(self, kind: str, id_: str, body: Mapping[str, Any]) -> None:
        self._run(
            "INSERT INTO records (kind, id, body) VALUES (?, ?, ?)"
            " ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, id_, json.dumps(body)),
        )

    def get(self, kind: str, id_: str) -> dict[str, Any] | None:
        rows = self._run("SELECT body FROM records WHERE kind = ? AND id = ?", (kind, id_))
        return json.loads(rows[0][0]) if rows else None

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Return all records of a kind, oldest first."""
        rows = self._run("SELECT body FROM records WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(row[0]) for row in rows]

    def remove(self, kind: str, id_: str) -> None:
        self._run("DELETE FROM records WHERE kind = ? AND id = ?", (kind, id_))

    def add_event(self, job_id: str, source: str, event: EventRecord) -> None:
        """Add an event; one of the same `source` is there already and stays as it is."""
        body = json.dumps(dataclasses.asdict(event))
        self._run(
            "INSERT OR IGNORE INTO events (job_id, source, body) VALUES (?, ?, ?)",
            (job_id, source, body),
        )

    def events(self, job_id: str) -> list[EventRecord]:
        """Return a job's events, oldest first."""
        rows = self._run("SELECT body FROM events WHERE job_id = ? ORDER BY seq", (job_id,))
        return [EventRecord(**json.loads(row[0])) for row in rows]

    def remove_events(self, job_id: str) -> None:
        self._run("DELETE FROM events WHERE job_id = ?", (job_id,))

    def _run(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._lock:
            return self._connection.execute(statement, values).fetchall()


class Shelf(Generic[R]):
    """The records of one kind, as the dataclass they are; each has an `id`."""

    def __init__(self, store: Store, kind: str, make: Callable[..., R]) -> None:
        self._store, self._kind, self._make = store, kind, make

    def put(self, record: R) -> R:
        body = dataclasses.asdict(record)
        self._store.put(self._kind, body["id"], body)
        return record

    def get(self, id_: str) -> R | None:
        body = self._store.get(self._kind, id_)
        return None if body is None else self._make(**body)

    def all(self) -> list[R]:
        return [self._make(**body) for body in self._store.all(self._kind)]

    def update(self, id_: str, **changes: Any) -> R:
        """Change fields of a record that is there; nothing can come in between."""
        record = self.get(id_)
        if record is None:
            raise KeyError(id_)
        return self.put(dataclasses.replace(record, **changes))

    def remove(self, id_: str) -> None:
        self._store.remove(self._kind, id_)


def job_record(**body: Any) -> JobRecord:
    """Return the job of a stored record."""
    body["request"] = JobRequest(**body["request"])
    body["status"] = State(body["status"])
    body["result_files"] = tuple(body["result_files"])
    return JobRecord(**body)
