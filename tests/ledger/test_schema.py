"""Migrations: from nothing, from every earlier version, and never from a newer one."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from sqlalchemy import Table, inspect, text

from tests.ledger.records import JOB, PLAN, ROUND
from vtune_client.errors import LedgerError
from vtune_client.ledger import Ledger, schema, tables
from vtune_client.ledger.database import FILE_NAME
from vtune_client.ledger.log import check_chain
from vtune_client.ledger.schema import Migration

FIRST_WITH_LOG = 4


def ask(ledger: Ledger, statement: str) -> list[tuple[Any, ...]]:
    with ledger._database.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def version(ledger: Ledger) -> int:
    with ledger._database.engine.connect() as connection:
        return schema._version(connection)


@pytest.mark.usefixtures("database")
def test_an_empty_database_gets_all_tables_once(tmp_path: Path) -> None:
    described = {
        table.name: set(table.columns.keys())
        for table in vars(tables).values()
        if isinstance(table, Table)
    }
    for _ in range(2):
        with Ledger(tmp_path) as ledger:
            assert version(ledger) == len(schema.MIGRATIONS)
            made = inspect(ledger._database.engine)
            assert set(made.get_table_names()) - {"ledger_version"} == described.keys()
            for name, columns in described.items():
                assert {column["name"] for column in made.get_columns(name)} - {"rowid"} == columns
            (begun,) = ledger.log()
            assert (begun.action, begun.data["plans"]) == ("log begun", [])


def set_version(home: Path, number: int) -> None:
    with Ledger(home) as ledger, ledger._writing() as connection:
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA user_version = {number}")
        else:
            connection.execute(
                text("UPDATE ledger_version SET version = :number"), {"number": number}
            )


@pytest.mark.usefixtures("database")
def test_a_newer_one_is_refused_and_left_alone(tmp_path: Path) -> None:
    newer = len(schema.MIGRATIONS) + 1
    set_version(tmp_path, newer)
    for _ in range(2):
        with pytest.raises(LedgerError, match=f"of version {newer}") as caught:
            Ledger(tmp_path)
        assert "Update" in caught.value.advice


@pytest.fixture
def two_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two migrations of tomorrow, one of which would do harm if it were run twice."""
    note = "ALTER TABLE plans ADD COLUMN note TEXT;\n"
    harm = """
        INSERT INTO plans (id, created, key_id, source, source_sha256, rows, backdoors, carriers,
            bits, sealed, note) VALUES ('plan-;', 1, 'k', 's', 'd', 1, 1, 1, 1, '', 'a;b');
        UPDATE plans SET rows = rows + 1;
        """
    tomorrow = (Migration(note, note), Migration(harm.replace("''", "x'00'"), harm))
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *tomorrow))


@pytest.mark.usefixtures("database")
def test_an_older_one_is_brought_up_to_date(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    Ledger(tmp_path).close()
    request.getfixturevalue("two_more")
    for _ in range(2):
        with Ledger(tmp_path) as ledger:
            assert version(ledger) == len(schema.MIGRATIONS)
            assert ask(ledger, "SELECT rows, note FROM plans") == [(2, "a;b")]
            assert len(list(ledger.log())) == 1


@pytest.mark.usefixtures("database")
def test_one_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Ledger(tmp_path).close()
    released = schema.MIGRATIONS
    wrong = "CREATE TABLE more (id TEXT);\nALTER TABLE nothing ADD COLUMN more TEXT;\n"
    monkeypatch.setattr(schema, "MIGRATIONS", (*released, Migration(wrong, wrong)))
    with pytest.raises(LedgerError, match="nothing"):
        Ledger(tmp_path)
    monkeypatch.setattr(schema, "MIGRATIONS", released)
    with Ledger(tmp_path) as ledger:
        assert version(ledger) == len(released)
        assert not inspect(ledger._database.engine).has_table("more")


@pytest.mark.usefixtures("database")
def test_one_that_another_process_has_made_meanwhile_is_not_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """The other one commits between our look at the version and our taking the lock."""
    Ledger(tmp_path).close()
    request.getfixturevalue("two_more")
    is_current = schema.is_current

    def late(connection: Any) -> bool:
        monkeypatch.setattr(schema, "is_current", is_current)
        current = is_current(connection)
        Ledger(tmp_path).close()
        return current

    monkeypatch.setattr(schema, "is_current", late)
    with Ledger(tmp_path) as ledger:
        assert version(ledger) == len(schema.MIGRATIONS)
        assert ask(ledger, "SELECT rows FROM plans") == [(2,)]


def old(home: Path, number: int) -> None:
    """Make a ledger as the program of version `number` did, with a plan, a job and a verdict."""
    with closing(sqlite3.connect(home / FILE_NAME, isolation_level=None)) as connection:
        for migration in schema.MIGRATIONS[:number]:
            connection.executescript(migration.sqlite)
        connection.execute(f"PRAGMA user_version = {number}")
        connection.execute(
            "INSERT INTO plans VALUES ('plan-1', 1.5, 'key-1', ?, ?, 60, 5, 20, 201.3, x'0001')",
            (PLAN.source, PLAN.source_sha256),
        )
        connection.execute(
            "INSERT INTO jobs (id, plan_id, created, provider, spec, token, step, keep_planted) "
            "VALUES ('job-1', 'plan-1', 2.5, 'local', '{\"model\": \"base\"}', 'token-1', "
            "'planting', 0)"
        )
        connection.execute(
            "INSERT INTO verifications VALUES ('verification-1', 'plan-1', 'job-1', 3.5, '{}', "
            '\'{"verdict": "verified"}\')'
        )


def digest_of_what_was_there() -> str:
    sealed = hashlib.sha256(PLAN.sealed).hexdigest()
    verdict = hashlib.sha256(b'{"verdict":"verified"}').hexdigest()
    there: dict[str, Any] = {
        "plans": [["plan-1", 1.5, PLAN.source_sha256, sealed]],
        "jobs": [["job-1", "plan-1", 2.5, "token-1"]],
        "verifications": [["verification-1", "plan-1", "job-1", 3.5, verdict]],
    }
    return hashlib.sha256(rfc8785.dumps(there)).hexdigest()


@pytest.mark.parametrize("number", range(1, FIRST_WITH_LOG))
def test_one_from_before_the_log_keeps_what_it_has_and_its_log_says_what(
    tmp_path: Path, number: int
) -> None:
    old(tmp_path, number)
    for _ in range(2):
        with Ledger(tmp_path) as ledger:
            assert ledger.plans() == [PLAN]
            assert (ledger.job("job-1").id, ledger.job("job-1").keep_planted) == (JOB.id, False)
            assert ledger.verification(ROUND.id).verdict == {"verdict": "verified"}
            (begun,) = ledger.log()
    assert begun.action == "log begun"
    assert begun.data == {
        "plans": ["plan-1"],
        "jobs": ["job-1"],
        "verifications": ["verification-1"],
        "sha256": digest_of_what_was_there(),
    }
    assert check_chain([begun]) == []
