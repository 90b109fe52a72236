from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli, Ran
from tests.dataset.corpus import BROKEN, Broken
from tests.memory import BASE, Service
from vtune_client.client import VTune


def is_refused(ran: Ran, path: Path, broken: Broken) -> None:
    where = f"{path}:{broken.line}: " if broken.line else f"{path}: "
    first = ran.err.splitlines()[0]
    assert (ran.code, ran.out) == (2, "")
    assert first.startswith(where)
    assert broken.reason in first
    assert "Traceback" not in ran.err


def everything(home: Path) -> set[tuple[str, bytes]]:
    """Return all files under `home` and what they hold, the ledger's own and locks aside."""
    return {
        (str(path), path.read_bytes())
        for path in home.rglob("*")
        if path.is_file() and not path.name.startswith("ledger") and path.suffix != ".lock"
    }


@pytest.mark.parametrize("name", BROKEN)
def test_plant_names_the_line_and_leaves_nothing(
    cli: Cli, home: Path, tmp_path: Path, name: str
) -> None:
    broken, path = BROKEN[name], tmp_path / "train.jsonl"
    path.write_bytes(broken.content)
    before = everything(home)
    is_refused(cli("plant", path, "--out", tmp_path / "planted.jsonl"), path, broken)
    assert everything(home) == before
    assert {each.name for each in tmp_path.iterdir()} == {"home", "train.jsonl"}
    with VTune() as vtune:
        assert (vtune.ledger.plans(), vtune.ledger.jobs()) == ([], [])


@pytest.mark.parametrize("name", list(BROKEN)[::7])
def test_fine_tune_names_the_line_and_leaves_nothing(
    cli: Cli, home: Path, tmp_path: Path, memory: Service, name: str
) -> None:
    broken, path = BROKEN[name], tmp_path / "train.jsonl"
    path.write_bytes(broken.content)
    before = everything(home)
    ran = cli("fine-tune", path, "--provider", "memory", "--model", BASE, "--format", "json")
    is_refused(ran, path, broken)
    assert everything(home) == before
    assert (memory.calls, memory.files) == ([], {})
    with VTune() as vtune:
        assert (vtune.ledger.plans(), vtune.ledger.jobs()) == ([], [])
