"""The database under the ledger: a SQLite file of one's own, or a PostgreSQL server of a team.

A write is on disk before the transaction that made it is over, and one transaction writes at a
time: on SQLite by `BEGIN IMMEDIATE`, on PostgreSQL by an advisory lock.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError, TimeoutError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random

from vtune_client.errors import InputError, LedgerError, MissingExtra

FILE_NAME = "ledger.sqlite3"
VARIABLE = "VTUNE_LEDGER"
TIMEOUT_S = 30  # another process's turn to write is over in milliseconds
LOCK = 0x7674756E65  # the advisory lock of whoever writes: "vtune"
BEGIN_WRITING = {
    "sqlite": "BEGIN IMMEDIATE",
    "postgresql": f"SELECT pg_advisory_xact_lock({LOCK})",
}


class Database:
    """One database, opened. Safe for several processes and machines; `place` is fit to be shown."""

    def __init__(self, engine: Engine, place: str) -> None:
        self.engine = engine
        self.place = place
        self._closed = False

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Read one state of it; `LedgerError` where it cannot be read."""
        self._require_open()
        try:
            with self.engine.connect() as connection:
                yield connection
        except (DBAPIError, TimeoutError) as error:
            raise self.unreadable(error) from error

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Write alone, all or nothing, on disk when this is over; `LedgerError` where it cannot."""
        self._require_open()
        try:
            with self.engine.connect() as connection:
                connection = connection.execution_options(vtune_writes=True)
                with connection.begin():
                    yield connection
        except (DBAPIError, TimeoutError) as error:
            raise _unwritable(error) from error

    @contextmanager
    def unbounded(self) -> Iterator[Connection]:
        """Run what may not run within a transaction; `LedgerError` where it fails."""
        self._require_open()
        try:
            with self.engine.connect() as connection:
                if connection.dialect.name != "sqlite":
                    connection = connection.execution_options(isolation_level="AUTOCOMMIT")
                connection = connection.execution_options(vtune_unbounded=True)
                yield connection
        except (DBAPIError, TimeoutError) as error:
            raise _unwritable(error) from error

    def claim(self, name: str) -> Callable[[], None] | None:
        """Take a name among all that share the server, and return what lets go of it; None where
        it is taken. It is let go of when the process or the line ends, too."""
        self._require_open()
        if self.engine.dialect.name == "sqlite":
            return lambda: None
        digest = hashlib.sha256(name.encode()).digest()
        number = int.from_bytes(digest[:8], signed=True)
        try:
            connection = self.engine.connect()
            taken = connection.scalar(select(func.pg_try_advisory_lock(number)))
            connection.commit()  # the session holds the lock, not the transaction
        except DBAPIError as error:
            raise _unwritable(error) from error

        def release() -> None:
            with suppress(DBAPIError):  # where the line is lost, so is the lock
                connection.scalar(select(func.pg_advisory_unlock(number)))
            connection.close()

        if not taken:
            connection.close()
        return release if taken else None

    def unreadable(self, error: SQLAlchemyError) -> LedgerError:
        """Return the error that says so."""
        on_file = self.engine.dialect.name == "sqlite"
        return LedgerError(
            f"The ledger {self.place} cannot be read: {_reason(error)}.",
            "Restore it from a copy; do not delete it while a paid job is running."
            if on_file
            else f"See that the server runs and that {VARIABLE} is right.",
        )

    def close(self) -> None:
        self._closed = True
        self.engine.dispose()

    def _require_open(self) -> None:
        if self._closed:  # the engine would connect anew
            raise LedgerError("The ledger is closed.", "Open it again.")


def in_folder(home: Path) -> Database:
    """Open the SQLite file of a home, made private where it is new."""
    path = home / FILE_NAME
    try:
        # Made private before SQLite writes to it, which copies the mode to its -wal and -shm.
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    except OSError as error:
        raise LedgerError(
            f"The ledger {path} cannot be opened: {error.strerror}.",
            "Make that place writable, or name another with VTUNE_HOME.",
        ) from error
    engine = _engine(
        URL.create("sqlite", database=str(path)),
        max_overflow=0,
        connect_args={"timeout": TIMEOUT_S, "check_same_thread": False},
    )
    event.listen(engine, "connect", _set_up_sqlite)
    return Database(engine, str(path))


def at_address(address: str) -> Database:
    """Open the PostgreSQL database at a URL; its password may stand in PGPASSWORD or ~/.pgpass."""
    try:
        url = make_url(address)
    except ArgumentError:
        raise _no_address() from None
    if url.get_backend_name() != "postgresql":
        raise _no_address()
    place = url.set(query={}).render_as_string(hide_password=True)
    try:
        engine = _engine(
            url.set(drivername="postgresql+psycopg"),
            max_overflow=-1,  # whatever is claimed has a connection of its own
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
        )
    except ModuleNotFoundError:
        raise MissingExtra("psycopg", "postgresql") from None
    event.listen(engine, "connect", _set_up_postgresql)
    return Database(engine, place)


def _unwritable(error: SQLAlchemyError) -> LedgerError:
    return LedgerError(
        f"The ledger cannot be written: {_reason(error)}.",
        "Free the disk or stop the program that holds it, then run the command again.",
    )


def _engine(url: URL, **options: Any) -> Engine:
    """Return an engine that keeps one connection and shows no value that it was given."""
    engine = create_engine(
        url,
        pool_size=1,
        pool_timeout=TIMEOUT_S,
        hide_parameters=True,
        **options,
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """Begin what SQLAlchemy calls begun; a writer waits here for its turn."""
    database, how = connection.dialect.name, connection.get_execution_options()
    if how.get("vtune_writes"):
        connection.exec_driver_sql(BEGIN_WRITING[database])
    elif database == "sqlite" and not how.get("vtune_unbounded"):
        connection.exec_driver_sql("BEGIN")


def _set_up_sqlite(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says, nowhere else
    _write_ahead(connection)
    # A power cut must not take back what was written before a job was paid for.
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten


def _set_up_postgresql(connection: Any, _: object) -> None:
    """Ask for what the ledger promises, where a server was told to be quick instead."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT set_config('lock_timeout', '{TIMEOUT_S}s', false)")
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
    connection.commit()


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


def _reason(error: SQLAlchemyError) -> str:
    """Return what the database said, on one line and without the row that it was about."""
    cause = getattr(error, "orig", None) or error
    said: str = getattr(getattr(cause, "diag", None), "message_primary", None) or str(cause)
    return " ".join(said.split()).rstrip(".")


def _no_address() -> InputError:
    return InputError(
        f"{VARIABLE} names no PostgreSQL database.",
        "Write it as postgresql+psycopg://user@host/database.",
    )
