"""A real PostgreSQL server in a folder of its own, for as long as tests need it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from urllib.parse import quote

USER = "postgres"


def programs() -> Path | None:
    """Return the folder of `initdb` and `pg_ctl`, of the newest version; None where there is none
    that we may run: they refuse root, who must be able to become another user."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    at = shutil.which("initdb")
    folder = found[-1].parent if found else Path(at).parent if at else None
    if folder and _is_root() and not (shutil.which("setpriv") and _has_user()):
        return None
    return folder


@dataclass
class Cluster:
    """A running server; each address is a schema of its own, as good as a new database."""

    socket: Path

    def __post_init__(self) -> None:
        self._numbers = count(1)

    def url(self, schema: str | None = None) -> str:
        options = f"&options={quote(f'-csearch_path={schema}')}" if schema else ""
        return f"postgresql+psycopg://{USER}@/postgres?host={quote(str(self.socket))}{options}"

    def new(self) -> str:
        """Return the URL of a new, empty schema."""
        schema = f"test_{next(self._numbers)}"
        self.execute(f"CREATE SCHEMA {schema}")
        return self.url(schema)

    def execute(self, statement: str) -> list[tuple[object, ...]]:
        """Run a statement as the superuser; return its rows."""
        import psycopg

        address = f"host={self.socket} user={USER} dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """Make a cluster, start it, and take it away again. It need not survive a power cut."""
    # A socket's path may have about 100 bytes: a folder of pytest's can be longer.
    place = Path(tempfile.mkdtemp(prefix="vtune-pg-"))
    if _is_root():
        shutil.chown(place, USER, USER)
    data, log = place / "data", place / "log"
    options = f"-k {place} -c listen_addresses= -c fsync=off -c max_connections=50"
    try:
        _run(folder / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        _run(folder / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start")
        try:
            yield Cluster(place)
        finally:
            _run(folder / "pg_ctl", "-D", data, "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _run(*command: object) -> None:
    user = ("setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups") if _is_root() else ()
    done = subprocess.run(
        [*user, *map(str, command)],
        cwd="/",
        env={**os.environ, "LC_ALL": "C"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == 0, done.stdout.decode()


def _is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0


def _has_user() -> bool:
    import pwd

    return any(entry.pw_name == USER for entry in pwd.getpwall())


def _version(initdb: Path) -> int:
    version = initdb.parent.parent.name
    return int(version) if version.isdigit() else 0
