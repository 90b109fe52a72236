"""A real service with a trainer in memory, and no pauses between two tries."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import memory as memory_service
from tests.serving import Server, serving
from vtune_client.dropin import creation
from vtune_client.ledger import Ledger


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "FIRST_PAUSE_S", 0.0)


@pytest.fixture
def server(tmp_path: Path, memory: memory_service.Service) -> Iterator[Server]:
    with serving(tmp_path, bases={"base": memory_service.BASE}, provider="memory") as server:
        yield server


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    with Ledger(home) as ledger:
        yield ledger
