"""The ledger's tables. A migration, once released, is never changed: add the next.

A migration is a string of SQL statements; each ends with a semicolon at the end of a line, where
nothing else does.
"""

from __future__ import annotations

import sqlite3

from vtune_client.errors import LedgerError

MIGRATIONS = (
    """
    CREATE TABLE plans (
        id TEXT PRIMARY KEY,
        created REAL NOT NULL,
        key_id TEXT NOT NULL,
        source TEXT NOT NULL,
        source_sha256 TEXT NOT NULL,
        rows INTEGER NOT NULL,
        backdoors INTEGER NOT NULL,
        carriers INTEGER NOT NULL,
        bits REAL NOT NULL,
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        created REAL NOT NULL,
        provider TEXT NOT NULL,
        spec TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,
        step TEXT NOT NULL,
        keep_planted INTEGER NOT NULL,
        planted_sha256 TEXT,
        file_id TEXT,
        remote_id TEXT,
        state TEXT,
        progress REAL,
        model TEXT,
        error TEXT
    ) STRICT;
    CREATE TABLE events (
        job_id TEXT NOT NULL REFERENCES jobs(id),
        id TEXT NOT NULL,
        at REAL NOT NULL,
        message TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (job_id, id)
    ) STRICT;
    CREATE TABLE verifications (
        id TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        job_id TEXT REFERENCES jobs(id),
        created REAL NOT NULL,
        target TEXT NOT NULL,
        verdict TEXT
    ) STRICT;
    CREATE TABLE answers (
        verification_id TEXT NOT NULL REFERENCES verifications(id),
        item TEXT NOT NULL,
        sealed BLOB NOT NULL,
        PRIMARY KEY (verification_id, item)
    ) STRICT;
    """,
    """
    ALTER TABLE jobs ADD COLUMN connection TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE jobs ADD COLUMN validation_id TEXT;
    ALTER TABLE jobs ADD COLUMN budget REAL;
    """,
    """
    CREATE TABLE uploads (
        provider TEXT NOT NULL,
        address TEXT NOT NULL,
        file_id TEXT NOT NULL,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        planted_sha256 TEXT NOT NULL,
        created REAL NOT NULL,
        PRIMARY KEY (provider, address, file_id)
    ) STRICT;
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the database up to date; refuse one that a newer program has written."""
    if _version(connection) == len(MIGRATIONS):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        # Looked at again under the lock: another process may have been faster.
        for migration in MIGRATIONS[_version(connection) :]:
            for statement in migration.split(";\n"):
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"The ledger is of version {version}, and this program knows {len(MIGRATIONS)}.",
            "Update vtune-client.",
        )
    return version
