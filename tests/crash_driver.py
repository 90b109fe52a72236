"""The command line, killed at a chosen point: `python -m tests.crash_driver WHAT N WHEN -- ARGS`.

WHAT is `commit` (to the ledger), `replace` (a file put in its place) or `done` (the commit that
says that a job is done); the process gets SIGKILL right before or right after the Nth of them.
"""

from __future__ import annotations

import os
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from vtune_client.cli import main
from vtune_client.ledger import Ledger
from vtune_client.ledger.base import Base

_commit, _replace = Ledger._writing, os.replace


class Executioner:
    def __init__(self, what: str, number: str, when: str) -> None:
        self._point = (what, int(number), when)
        self._seen: Counter[tuple[str, str]] = Counter()

    def pass_by(self, what: str, when: str) -> None:
        self._seen[what, when] += 1
        if (what, self._seen[what, when], when) == self._point:
            os.kill(os.getpid(), signal.SIGKILL)

    @contextmanager
    def commit(self, ledger: Base) -> Iterator[Connection]:
        with _commit(ledger) as connection:
            yield connection
            ends = connection.exec_driver_sql("SELECT 1 FROM jobs WHERE step = 'done'").first()
            self.pass_by("commit", "before")
            if ends:
                self.pass_by("done", "before")
        self.pass_by("commit", "after")
        if ends:
            self.pass_by("done", "after")

    def replace(self, source: Any, target: Any) -> None:
        self.pass_by("replace", "before")
        _replace(source, target)
        self.pass_by("replace", "after")


if __name__ == "__main__":
    what, number, when, dashes, *arguments = sys.argv[1:]
    executioner = Executioner(what, number, when)
    Ledger._writing = lambda self: executioner.commit(self)  # type: ignore[method-assign]
    os.replace = executioner.replace  # type: ignore[assignment]
    sys.argv = ["vtune", *arguments]
    main()
