"""Ledgers to test on: a SQLite file always, and a PostgreSQL server where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.records import JOB, PLAN, ROUND
from vtune_client.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    ledger.add_plan(PLAN)
    ledger.add_job(JOB)
    ledger.add_verification(ROUND)
    return ledger


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of database that every `Ledger(home)` of a test, and of its processes, is on."""
    if request.param == "postgresql":
        monkeypatch.setenv("VTUNE_LEDGER", request.getfixturevalue("cluster").new())
    return str(request.param)
