"""Migrations: from nothing, from every earlier version, and never from a newer one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vtune_client.errors import LedgerError
from vtune_client.ledger import Ledger, schema
from vtune_client.ledger.store import FILE_NAME


def version(connection: sqlite3.Connection) -> int:
    found: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return found


def tables(connection: sqlite3.Connection) -> set[str]:
    found = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name for (name,) in found}


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        yield connection


def test_an_empty_database_gets_all_tables_once(database: sqlite3.Connection) -> None:
    for _ in range(2):
        schema.migrate(database)
        assert version(database) == len(schema.MIGRATIONS)
        assert tables(database) == {
            "plans",
            "jobs",
            "events",
            "verifications",
            "answers",
            "uploads",
        }


def test_a_newer_one_is_refused_and_left_alone(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    newer = len(schema.MIGRATIONS) + 1
    database.execute(f"PRAGMA user_version = {newer}")
    with pytest.raises(LedgerError, match=f"of version {newer}") as caught:
        Ledger(tmp_path)
    assert "Update" in caught.value.advice
    assert (version(database), tables(database)) == (newer, set())


@pytest.fixture
def two_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two migrations of tomorrow, one of which would do harm if it were run twice."""
    tomorrow = (
        "ALTER TABLE plans ADD COLUMN note TEXT;\n",
        """
        INSERT INTO plans VALUES ('plan-;', 1, 'k', 's', 'd', 1, 1, 1, 1, x'00', 'a;b');
        UPDATE plans SET rows = rows + 1;
        """,
    )
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *tomorrow))


def test_an_older_one_is_brought_up_to_date(
    database: sqlite3.Connection, request: pytest.FixtureRequest
) -> None:
    schema.migrate(database)
    request.getfixturevalue("two_more")
    for _ in range(2):
        schema.migrate(database)
        assert version(database) == len(schema.MIGRATIONS)
        assert database.execute("SELECT rows, note FROM plans").fetchall() == [(2, "a;b")]


@pytest.mark.usefixtures("two_more")
def test_one_that_fails_changes_nothing(
    database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = "CREATE TABLE more (id TEXT);\nALTER TABLE nothing ADD COLUMN more TEXT;\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, wrong))
    with pytest.raises(sqlite3.OperationalError):
        schema.migrate(database)
    assert (version(database), tables(database)) == (0, set())


@pytest.mark.usefixtures("two_more")
def test_one_that_another_process_has_made_meanwhile_is_not_made_again(
    database: sqlite3.Connection, tmp_path: Path
) -> None:
    """The other one commits between our look at the version and our taking the lock."""

    class Late(sqlite3.Connection):
        def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
            if sql.startswith("BEGIN"):
                schema.migrate(database)
            return super().execute(sql, *values)  # type: ignore[arg-type]

    with closing(sqlite3.connect(tmp_path / FILE_NAME, factory=Late)) as late:
        schema.migrate(late)
        assert version(late) == len(schema.MIGRATIONS)
        assert late.execute("SELECT rows FROM plans").fetchall() == [(2,)]
