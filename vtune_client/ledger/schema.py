"""The ledger's tables. A migration, once released, is never changed: add the next.

A migration is SQL for each database; each statement ends with a semicolon at the end of a line,
where nothing else does. On PostgreSQL there was no ledger before the fourth.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from vtune_client.errors import LedgerError


@dataclass(frozen=True)
class Migration:
    sqlite: str
    postgresql: str = ""


MIGRATIONS = (
    Migration("""
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
    """),
    Migration("""
    ALTER TABLE jobs ADD COLUMN connection TEXT NOT NULL DEFAULT '{}';
    ALTER TABLE jobs ADD COLUMN validation_id TEXT;
    ALTER TABLE jobs ADD COLUMN budget REAL;
    """),
    Migration("""
    CREATE TABLE uploads (
        provider TEXT NOT NULL,
        address TEXT NOT NULL,
        file_id TEXT NOT NULL,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        planted_sha256 TEXT NOT NULL,
        created REAL NOT NULL,
        PRIMARY KEY (provider, address, file_id)
    ) STRICT;
    """),
    Migration(
        """
    ALTER TABLE plans ADD COLUMN committed TEXT;
    CREATE TABLE commitments (
        digest TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        job_id TEXT REFERENCES jobs(id),
        created REAL NOT NULL,
        document TEXT NOT NULL
    ) STRICT;
    CREATE TABLE receipts (
        digest TEXT NOT NULL REFERENCES commitments(digest),
        receipt TEXT NOT NULL
    ) STRICT;
    CREATE TABLE signers (
        fingerprint TEXT PRIMARY KEY,
        key_id TEXT NOT NULL,
        public_key BLOB NOT NULL,
        created REAL NOT NULL
    ) STRICT;
    CREATE TABLE openings (
        plan_id TEXT NOT NULL REFERENCES plans(id),
        number INTEGER NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (plan_id, number)
    ) STRICT;
    CREATE TABLE audit_entries (
        audit TEXT NOT NULL,
        entry TEXT NOT NULL,
        run TEXT NOT NULL,
        created REAL NOT NULL,
        job_id TEXT,
        verification_id TEXT,
        data TEXT NOT NULL,
        PRIMARY KEY (audit, entry, run)
    ) STRICT;
    CREATE TABLE log (
        seq INTEGER PRIMARY KEY,
        at REAL NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        data TEXT NOT NULL,
        previous TEXT NOT NULL UNIQUE,
        digest TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TRIGGER log_update BEFORE UPDATE ON log
        BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
    CREATE TRIGGER log_delete BEFORE DELETE ON log
        BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
    CREATE TRIGGER log_replace BEFORE INSERT ON log
        WHEN EXISTS (SELECT 1 FROM log WHERE seq = NEW.seq)
        BEGIN SELECT RAISE(ABORT, 'the log is only added to'); END;
    """,
        """
    CREATE TABLE ledger_version (version BIGINT NOT NULL);
    INSERT INTO ledger_version VALUES (0);
    CREATE TABLE plans (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        id TEXT PRIMARY KEY,
        created DOUBLE PRECISION NOT NULL,
        key_id TEXT NOT NULL,
        source TEXT NOT NULL,
        source_sha256 TEXT NOT NULL,
        rows BIGINT NOT NULL,
        backdoors BIGINT NOT NULL,
        carriers BIGINT NOT NULL,
        bits DOUBLE PRECISION NOT NULL,
        sealed BYTEA NOT NULL,
        committed TEXT
    );
    CREATE TABLE jobs (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        id TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        created DOUBLE PRECISION NOT NULL,
        provider TEXT NOT NULL,
        spec TEXT NOT NULL,
        token TEXT NOT NULL UNIQUE,
        step TEXT NOT NULL,
        keep_planted BOOLEAN NOT NULL,
        planted_sha256 TEXT,
        file_id TEXT,
        remote_id TEXT,
        state TEXT,
        progress DOUBLE PRECISION,
        model TEXT,
        error TEXT,
        connection TEXT NOT NULL DEFAULT '{}',
        validation_id TEXT,
        budget DOUBLE PRECISION
    );
    CREATE TABLE events (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        job_id TEXT NOT NULL REFERENCES jobs(id),
        id TEXT NOT NULL,
        at DOUBLE PRECISION NOT NULL,
        message TEXT NOT NULL,
        data TEXT NOT NULL,
        PRIMARY KEY (job_id, id)
    );
    CREATE TABLE verifications (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        id TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        job_id TEXT REFERENCES jobs(id),
        created DOUBLE PRECISION NOT NULL,
        target TEXT NOT NULL,
        verdict TEXT
    );
    CREATE TABLE answers (
        verification_id TEXT NOT NULL REFERENCES verifications(id),
        item TEXT NOT NULL,
        sealed BYTEA NOT NULL,
        PRIMARY KEY (verification_id, item)
    );
    CREATE TABLE uploads (
        provider TEXT NOT NULL,
        address TEXT NOT NULL,
        file_id TEXT NOT NULL,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        planted_sha256 TEXT NOT NULL,
        created DOUBLE PRECISION NOT NULL,
        PRIMARY KEY (provider, address, file_id)
    );
    CREATE TABLE commitments (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        digest TEXT PRIMARY KEY,
        plan_id TEXT NOT NULL REFERENCES plans(id),
        job_id TEXT REFERENCES jobs(id),
        created DOUBLE PRECISION NOT NULL,
        document TEXT NOT NULL
    );
    CREATE TABLE receipts (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        digest TEXT NOT NULL REFERENCES commitments(digest),
        receipt TEXT NOT NULL
    );
    CREATE TABLE signers (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        fingerprint TEXT PRIMARY KEY,
        key_id TEXT NOT NULL,
        public_key BYTEA NOT NULL,
        created DOUBLE PRECISION NOT NULL
    );
    CREATE TABLE openings (
        plan_id TEXT NOT NULL REFERENCES plans(id),
        number BIGINT NOT NULL,
        why TEXT NOT NULL,
        PRIMARY KEY (plan_id, number)
    );
    CREATE TABLE audit_entries (
        rowid BIGINT GENERATED ALWAYS AS IDENTITY,
        audit TEXT NOT NULL,
        entry TEXT NOT NULL,
        run TEXT NOT NULL,
        created DOUBLE PRECISION NOT NULL,
        job_id TEXT,
        verification_id TEXT,
        data TEXT NOT NULL,
        PRIMARY KEY (audit, entry, run)
    );
    CREATE TABLE log (
        seq BIGINT PRIMARY KEY,
        at DOUBLE PRECISION NOT NULL,
        actor TEXT NOT NULL,
        action TEXT NOT NULL,
        subject TEXT NOT NULL,
        data TEXT NOT NULL,
        previous TEXT NOT NULL UNIQUE,
        digest TEXT NOT NULL UNIQUE
    );
    CREATE FUNCTION log_refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the log is only added to'; END $$;
    CREATE TRIGGER log_change BEFORE UPDATE OR DELETE ON log
        FOR EACH ROW EXECUTE FUNCTION log_refuse();
    CREATE TRIGGER log_truncate BEFORE TRUNCATE ON log
        FOR EACH STATEMENT EXECUTE FUNCTION log_refuse();
    """,
    ),
)


def is_current(connection: Connection) -> bool:
    """Return whether nothing is to be done; raise where a newer program has been here."""
    return _version(connection) == len(MIGRATIONS)


def migrate(connection: Connection) -> None:
    """Bring the database up to date, within the caller's transaction, which holds the lock."""
    database = connection.dialect.name
    for migration in MIGRATIONS[_version(connection) :]:
        for statement in getattr(migration, database).split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    version = len(MIGRATIONS)
    connection.exec_driver_sql(
        f"PRAGMA user_version = {version}"
        if database == "sqlite"
        else f"UPDATE ledger_version SET version = {version}"  # noqa: S608 - a number of our own
    )


def _version(connection: Connection) -> int:
    version = _told_version(connection)
    if version > len(MIGRATIONS):
        raise LedgerError(
            f"The ledger is of version {version}, and this program knows {len(MIGRATIONS)}.",
            "Update vtune-client.",
        )
    return version


def _told_version(connection: Connection) -> int:
    if connection.dialect.name == "sqlite":
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    # Not to_regclass: it may answer from a cache that is older than our turn to write.
    there = connection.exec_driver_sql(
        "SELECT 1 FROM pg_catalog.pg_tables "
        "WHERE tablename = 'ledger_version' AND schemaname = ANY (current_schemas(false))"
    )
    if there.first() is None:
        return 0
    return int(connection.exec_driver_sql("SELECT version FROM ledger_version").scalar_one())
