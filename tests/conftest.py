"""What all tests share: a home of their own, no keyring, no network beyond this machine."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import memory as memory_service
from tests import plugins, postgresql, tiny
from vtune_client.vault.file_vault import Cost, FileVault

PASSPHRASE = "a passphrase of the tests"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections to anywhere but this machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for the network: {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _no_ledger_of_a_team(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what tests write out of a ledger that whoever runs them shares with others."""
    monkeypatch.delenv("VTUNE_LEDGER", raising=False)


@pytest.fixture(autouse=True)
def _own_loggers() -> Iterator[None]:
    """Take back the level that a command run inside this process gave to our loggers."""
    yield
    for name in ("vtune_client", "vtune_providers"):
        logging.getLogger(name).setLevel(logging.NOTSET)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh VTUNE_HOME with a file vault that opens by environment, also in subprocesses."""
    folder = tmp_path / "home"
    folder.mkdir()
    FileVault.create(folder / "vault.json", PASSPHRASE, cost=Cost(n=16, r=8, p=1))
    monkeypatch.setenv("VTUNE_HOME", str(folder))
    monkeypatch.setenv("VTUNE_VAULT", "file")
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", PASSPHRASE)
    return folder


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgresql.Cluster]:
    """A PostgreSQL server; needs the `postgresql` extra and the server's programs."""
    pytest.importorskip("psycopg")
    folder = postgresql.programs()
    if folder is None:
        pytest.skip("no PostgreSQL server on this machine")
    with postgresql.running(folder) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory; needs the `local` extra."""
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    return tiny.make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return tiny.write_rows(tmp_path / "rows.jsonl")


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> memory_service.Service:
    """A service in memory, found as the providers `memory`, `oracle` (serves) and `school`
    (trains)."""
    folder = plugins.install(
        tmp_path / "plugins",
        "vtune-tests-memory",
        memory="tests.memory:provider",
        oracle="tests.memory:only_serves",
        school="tests.memory:only_trains",
    )
    monkeypatch.syspath_prepend(folder)
    service = memory_service.Service()
    memory_service.serve(service)
    return service
