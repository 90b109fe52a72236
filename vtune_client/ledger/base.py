"""What every part of the ledger stands on: transactions, rows by id, and the log of actions."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import rfc8785
from sqlalchemy import Connection, Executable, Select, Table, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger import schema
from vtune_client.ledger.database import VARIABLE, Database, at_address, in_folder
from vtune_client.ledger.log import GENESIS, digest_of, sha256_of
from vtune_client.ledger.records import LogEntry
from vtune_client.ledger.tables import JOBS, LOG, PLANS, VERIFICATIONS, Words, storable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

ACTOR_VARIABLE = "VTUNE_ACTOR"
BATCH = 1000


class Base:
    """A database with a log. One thread at a time; as many processes as there are."""

    def __init__(self, home: Path) -> None:
        """Open the database that VTUNE_LEDGER names, else the SQLite file in `home`."""
        address = os.environ.get(VARIABLE)
        self._open(at_address(address) if address else in_folder(home))

    @classmethod
    def in_home(cls, home: Path) -> Self:
        """Open the SQLite file in `home`, whatever VTUNE_LEDGER says."""
        ledger = cls.__new__(cls)
        ledger._open(in_folder(home))
        return ledger

    @classmethod
    def at(cls, address: str) -> Self:
        """Open the PostgreSQL database at a URL (postgresql+psycopg://user@host/database)."""
        ledger = cls.__new__(cls)
        ledger._open(at_address(address))
        return ledger

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
        self._database.close()

    @property
    def place(self) -> str:
        """Where the ledger lies: a path, or an address without its password."""
        return self._database.place

    def claim(self, name: str) -> Callable[[], None] | None:
        """Return what lets go of a job, an audit or the like, which this process alone may drive
        from here on; None where a process on another machine does, that shares the ledger.

        For processes on one machine a lock file is to be held, too: on SQLite this is no lock."""
        return self._database.claim(f"vtune {name}")

    def record(self, action: str, subject: str, data: Mapping[str, Any] | None = None) -> LogEntry:
        """Put an action into the log that changes nothing else here; return its entry.

        `data` holds ids, digests, counts and states, never a secret."""
        with self._writing() as connection:
            return self._append(connection, action, subject, data or {})

    def log(self, since: int = 0) -> Iterator[LogEntry]:
        """Yield the entries after number `since`, in their order."""
        while True:
            query = select(LOG).where(LOG.c.seq > since).order_by(LOG.c.seq).limit(BATCH)
            found = [LogEntry(**row) for row in self._rows(query)]
            yield from found
            if len(found) < BATCH:
                return
            since = found[-1].seq

    def _open(self, database: Database) -> None:
        self._database = database
        try:
            self._bring_up_to_date()
        except BaseException:
            database.close()
            raise

    def _bring_up_to_date(self) -> None:
        database = self._database
        try:
            with database.engine.connect() as connection:
                current = schema.is_current(connection)
        except DBAPIError as error:
            raise database.unreadable(error) from error
        if current:
            return
        with database.writing() as connection:
            # Looked at again under the lock: another process may have been faster.
            schema.migrate(connection)
            if connection.execute(select(LOG.c.seq).limit(1)).first() is None:
                self._append(connection, "log begun", "ledger", _there(connection))

    def _append(
        self, connection: Connection, action: str, subject: str, data: Mapping[str, Any]
    ) -> LogEntry:
        """Add an entry to the log, in the transaction of what it tells of."""
        newest = select(LOG.c.seq, LOG.c.digest).order_by(LOG.c.seq.desc()).limit(1)
        seq, previous = connection.execute(newest).first() or (0, GENESIS)
        entry = LogEntry(
            seq=seq + 1,
            at=round(time.time(), 6),
            actor=storable(_actor()),
            action=action,
            subject=storable(subject),
            data=_plain(data),
            previous=previous,
            digest="",
        )
        entry = replace(entry, digest=digest_of(entry))
        connection.execute(insert(LOG).values(row_of(entry)))
        return entry

    def _add(
        self, table: Table, row: Mapping[str, Any], action: str, subject: str, **data: Any
    ) -> None:
        with self._writing() as connection:
            connection.execute(insert(table).values(row))
            self._append(connection, action, subject, data)

    def _one(self, table: Table, item_id: str, what: str, name: str = "id") -> dict[str, Any]:
        """Return the row of that id (in the column `name`), or of the only id that begins so."""
        item_id, column = storable(item_id), table.c[name]
        begins = func.substr(column, 1, len(item_id), type_=Words) == item_id
        found = self._rows(select(table).where(begins)) if item_id else []
        exact = [row for row in found if row[name] == item_id] or found
        if len(exact) != 1:
            count = "no" if not exact else "more than one"
            raise LedgerError(
                f"The ledger holds {count} {what} {item_id!r}.",
                "Run `vtune jobs` to see what it holds.",
            )
        return exact[0]

    def _rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        with self._database.reading() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._database.writing() as connection:
            yield connection


def row_of(record: DataclassInstance) -> dict[str, Any]:
    """Return a record as a row of the table that has a column for each of its fields."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def insert_or_keep(connection: Connection, table: Table) -> Executable:
    """Return the statement that adds a row unless there is one of its key."""
    return _insert(connection, table).on_conflict_do_nothing()


def insert_or_replace(connection: Connection, table: Table, *key: str) -> Executable:
    """Return the statement that adds a row, in the place of one with the same `key`."""
    statement = _insert(connection, table)
    changed = {name: statement.excluded[name] for name in table.c.keys() if name not in key}  # noqa: SIM118
    return statement.on_conflict_do_update(index_elements=key, set_=changed)


def _insert(connection: Connection, table: Table) -> sqlite.Insert | postgresql.Insert:
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table)
    return postgresql.insert(table)


def _actor() -> str:
    """Return who is at work: what VTUNE_ACTOR says, else the user and the machine."""
    if chosen := os.environ.get(ACTOR_VARIABLE):
        return chosen
    try:
        user = getpass.getuser()
    except (OSError, KeyError):  # in a container a user may have a number alone
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return data of the log as JSON will give it back."""
    try:
        plain: dict[str, Any] = json.loads(storable(json.dumps(dict(data), ensure_ascii=False)))
    except (TypeError, ValueError) as error:
        raise InputError(
            f"What was done cannot be kept in the log: {error}.",
            "Give words, numbers, lists and dictionaries.",
        ) from None
    return plain


def _there(connection: Connection) -> dict[str, Any]:
    """Return what a ledger held before it had a log: ids, and a digest over what never changes."""

    def rows(*columns: Any) -> list[list[Any]]:
        found = connection.execute(select(*columns).order_by(columns[0]))
        return [[_digested(value) for value in row] for row in found]

    plans = rows(PLANS.c.id, PLANS.c.created, PLANS.c.source_sha256, PLANS.c.sealed)
    jobs = rows(JOBS.c.id, JOBS.c.plan_id, JOBS.c.created, JOBS.c.token)
    columns = VERIFICATIONS.c
    judged = rows(columns.id, columns.plan_id, columns.job_id, columns.created, columns.verdict)
    found = {"plans": plans, "jobs": jobs, "verifications": judged}
    digest = hashlib.sha256(rfc8785.dumps(found)).hexdigest()
    return {**{name: [row[0] for row in rows] for name, rows in found.items()}, "sha256": digest}


def _digested(value: Any) -> Any:
    """Return sealed bytes and verdicts by their SHA-256, anything else as it is."""
    if isinstance(value, dict):
        return sha256_of(value)
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value
