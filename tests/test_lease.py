from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from vtune_client.errors import InputError
from vtune_client.lease import Leases

SERVICE = "https://api.example.com"
TAKE = """
import os, sys
from pathlib import Path
from vtune_client.lease import Leases
lease = Leases(Path(sys.argv[1])).begin("together", "https://api.example.com", "vtune-1")
lease.note(endpoint="ep_1")
print("taken", flush=True)
sys.stdin.readline()
os._exit(1)
"""


def files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "leases").iterdir())


def test_a_lease_is_written_when_it_begins_and_gone_when_it_closes(tmp_path: Path) -> None:
    lease = Leases(tmp_path).begin("together", SERVICE, "vtune-1")
    assert json.loads(lease.path.read_text("utf-8"))["name"] == "vtune-1"
    assert lease.path.stat().st_mode & 0o077 == 0
    lease.close()
    lease.close()
    assert files(tmp_path) == []


def test_what_is_held_is_not_left_over(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    lease = leases.begin("together", SERVICE, "vtune-1")
    assert leases.left_over("together", SERVICE) == []
    assert Leases(tmp_path).left_over("together", SERVICE) == []
    lease.drop()
    assert [each.name for each in leases.left_over("together", SERVICE)] == ["vtune-1"]


def test_only_the_leases_of_a_service_are_left_over_there(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    for provider, service in (("together", "https://b.example"), ("openai", SERVICE)):
        leases.begin(provider, service, "another").drop()
    leases.begin("together", SERVICE, "first").drop()
    leases.begin("together", SERVICE, "second").drop()
    found = leases.left_over("together", SERVICE)
    assert [lease.name for lease in found] == ["first", "second"]


def test_what_is_left_over_is_held_by_who_asked(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    leases.begin("together", SERVICE, "vtune-1").note(endpoint="ep_1").drop()
    (lease,) = leases.left_over("together", SERVICE)
    assert lease.known == {"endpoint": "ep_1"}
    assert Leases(tmp_path).left_over("together", SERVICE) == []
    lease.close()
    assert files(tmp_path) == []


def test_a_killed_process_leaves_its_lease_over(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", TAKE, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "taken\n"
        leases = Leases(tmp_path)
        assert leases.left_over("together", SERVICE) == []
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait()
    (lease,) = leases.left_over("together", SERVICE)
    assert (lease.name, lease.known) == ("vtune-1", {"endpoint": "ep_1"})
    lease.close()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"provider": "together"}'])
def test_a_broken_file_is_nobodys_lease(tmp_path: Path, content: str) -> None:
    leases = Leases(tmp_path)
    (tmp_path / "leases" / "broken.json").write_text(content, encoding="utf-8")
    assert leases.left_over("together", SERVICE) == []


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "leases").write_text("in the way", encoding="utf-8")
    with pytest.raises(InputError, match="leases cannot be made"):
        Leases(tmp_path)
