"""The ledger on SQLite: one writer's word is on disk before the next step is taken."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger.records import Job, PlanRecord, Step, Upload, VerificationRecord
from vtune_client.ledger.schema import migrate
from vtune_client.provider import JobEvent, JobSpec, State

FILE_NAME = "ledger.sqlite3"
TIMEOUT_S = 30  # another process's turn to write is over in milliseconds


class Ledger:
    """The record in one directory. Safe for several processes; one thread at a time."""

    def __init__(self, home: Path) -> None:
        path = home / FILE_NAME
        try:
            # Made private before SQLite writes to it, which copies the mode to its -wal and -shm.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._connection = _open(path)
        except OSError as error:
            raise LedgerError(
                f"The ledger {path} cannot be opened: {error.strerror}.",
                "Make that place writable, or name another with VTUNE_HOME.",
            ) from error
        except sqlite3.DatabaseError as error:
            raise _unreadable(error, str(path)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def add_plan(self, plan: PlanRecord) -> None:
        if _storable(plan.source) != plan.source:
            raise InputError(
                f"The path {plan.source!a} is not text in UTF-8, so it cannot be kept.",
                "Rename the file.",
            )
        self._insert("plans", asdict(plan))

    def plan(self, plan_id: str) -> PlanRecord:
        row = self._one("plans", plan_id, "plan")
        return PlanRecord(**row)

    def plans(self) -> list[PlanRecord]:
        return [PlanRecord(**row) for row in self._rows("SELECT * FROM plans ORDER BY created")]

    def add_job(self, job: Job) -> None:
        row = {field.name: getattr(job, field.name) for field in fields(job)}
        try:
            spec, connection = json.dumps(asdict(job.spec)), json.dumps(dict(job.connection))
        except (TypeError, ValueError) as error:
            raise InputError(
                f"The options of the job cannot be kept: {error}.",
                "Give words, numbers, lists and dictionaries.",
            ) from None
        self._insert("jobs", {**row, "spec": spec, "connection": connection})

    def job(self, job_id: str) -> Job:
        return _job(self._one("jobs", job_id, "job"))

    def jobs(self) -> list[Job]:
        return [_job(row) for row in self._rows("SELECT * FROM jobs ORDER BY created")]

    def add_upload(self, upload: Upload) -> None:
        """Keep an upload; an id that a service gives out again stands for the new one."""
        row = asdict(upload)
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO uploads VALUES (:provider, :address, :file_id, :plan_id, "
                ":planted_sha256, :created)",
                {name: _storable(value) for name, value in row.items()},
            )

    def upload(self, provider: str, address: str, file_id: str) -> Upload | None:
        """Return the upload of that id at that service, or None where it is not one of ours."""
        sql = "SELECT * FROM uploads WHERE provider = ? AND address = ? AND file_id = ?"
        found = self._rows(sql, provider, address, _storable(file_id))
        return Upload(**found[0]) if found else None

    def update(self, job: Job, **changes: Any) -> Job:
        """Write what has changed of a job, on disk before this returns; return the new job.

        A job that is done stays as it is: another process may have seen its end first."""
        names = ", ".join(f"{name} = :{name}" for name in changes)
        with self._writing() as connection:
            connection.execute(
                f"UPDATE jobs SET {names} WHERE id = :id AND step <> 'done'",  # noqa: S608
                {**{name: _storable(value) for name, value in changes.items()}, "id": job.id},
            )
        return self.job(job.id)

    def add_events(self, job: Job, events: list[JobEvent]) -> None:
        """Keep a job's events; those already kept stay as they are."""
        rows = [
            (job.id, _storable(e.id), e.at, _storable(e.message), json.dumps(dict(e.data)))
            for e in events
        ]
        with self._writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", rows)

    def events(self, job: Job) -> list[JobEvent]:
        sql = "SELECT id, at, message, data FROM events WHERE job_id = ? ORDER BY at, rowid"
        found = self._rows(sql, job.id)
        return [JobEvent(r["id"], r["at"], r["message"], json.loads(r["data"])) for r in found]

    def add_verification(self, record: VerificationRecord) -> None:
        row = {**asdict(record), "target": json.dumps(dict(record.target), sort_keys=True)}
        self._insert("verifications", row)

    def unfinished(self, plan_id: str, target: Mapping[str, Any]) -> VerificationRecord | None:
        """Return a round of the same questions to the same model that was cut short."""
        sql = (
            "SELECT * FROM verifications WHERE plan_id = ? AND target = ? AND verdict IS NULL "
            "ORDER BY created DESC LIMIT 1"
        )
        found = self._rows(sql, plan_id, json.dumps(dict(target), sort_keys=True))
        return _verification(found[0]) if found else None

    def finish(self, record: VerificationRecord, verdict: Mapping[str, Any]) -> None:
        with self._writing() as connection:
            connection.execute(
                "UPDATE verifications SET verdict = ? WHERE id = ?",
                (json.dumps(dict(verdict)), record.id),
            )

    def verification(self, verification_id: str) -> VerificationRecord:
        return _verification(self._one("verifications", verification_id, "verification"))

    def verifications(self) -> list[VerificationRecord]:
        found = self._rows("SELECT * FROM verifications ORDER BY created")
        return [_verification(row) for row in found]

    def save_answer(self, record: VerificationRecord, item: str, sealed: bytes) -> None:
        with self._writing() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO answers VALUES (?, ?, ?)", (record.id, item, sealed)
            )

    def answers(self, record: VerificationRecord) -> dict[str, bytes]:
        """Return the sealed answers of a round, by item."""
        sql = "SELECT item, sealed FROM answers WHERE verification_id = ?"
        return {row["item"]: row["sealed"] for row in self._rows(sql, record.id)}

    def _insert(self, table: str, row: Mapping[str, Any]) -> None:
        names = ", ".join(row)
        marks = ", ".join(f":{name}" for name in row)
        with self._writing() as connection:
            connection.execute(
                f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608 - names of our own
                {name: _storable(value) for name, value in row.items()},
            )

    def _one(self, table: str, item_id: str, what: str) -> dict[str, Any]:
        """Return the row of that id, or of the only id that begins so."""
        item_id = _storable(item_id)
        sql = f"SELECT * FROM {table} WHERE substr(id, 1, length(?)) = ?"  # noqa: S608
        found = self._rows(sql, item_id, item_id) if item_id else []
        exact = [row for row in found if row["id"] == item_id] or found
        if len(exact) != 1:
            count = "no" if not exact else "more than one"
            raise LedgerError(
                f"The ledger holds {count} {what} {item_id!r}.",
                "Run `vtune jobs` to see what it holds.",
            )
        return exact[0]

    def _rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        try:
            return [dict(row) for row in self._connection.execute(sql, values)]
        except sqlite3.DatabaseError as error:
            raise _unreadable(error) from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._connection:
                yield self._connection
        except sqlite3.DatabaseError as error:
            raise LedgerError(
                f"The ledger cannot be written: {error}.",
                "Free the disk or stop the program that holds it, then run the command again.",
            ) from error


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=TIMEOUT_S, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        _write_ahead(connection)
        # A power cut must not take back what was written before a job was paid for.
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        migrate(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log, which SQLite does not wait its turn for by itself."""
    for attempt in Retrying(
        retry=retry_if_exception(lambda error: "locked" in str(error)),
        wait=wait_random(0, 0.1),
        stop=stop_after_delay(TIMEOUT_S),
        reraise=True,
    ):
        with attempt:
            connection.execute("PRAGMA journal_mode = WAL")


def _unreadable(error: sqlite3.DatabaseError, path: str = "") -> LedgerError:
    return LedgerError(
        f"The ledger {path} cannot be read: {error}.".replace("  ", " "),
        "Restore it from a copy; do not delete it while a paid job is running.",
    )


def _storable(value: Any) -> Any:
    """Return a value that SQLite takes: text from elsewhere may hold half a surrogate pair."""
    if not isinstance(value, str):
        return value
    return value.encode("utf-8", "replace").decode("utf-8")


def _job(row: Mapping[str, Any]) -> Job:
    return Job(
        **{
            **row,
            "spec": JobSpec(**json.loads(row["spec"])),
            "step": Step(row["step"]),
            "state": State(row["state"]) if row["state"] else None,
            "keep_planted": bool(row["keep_planted"]),
            "connection": json.loads(row["connection"]),
        }
    )


def _verification(row: Mapping[str, Any]) -> VerificationRecord:
    verdict = json.loads(row["verdict"]) if row["verdict"] else None
    return VerificationRecord(**{**row, "target": json.loads(row["target"]), "verdict": verdict})
