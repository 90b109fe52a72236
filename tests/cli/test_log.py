"""`vtune log`: who did what when, and whether that was changed since."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from vtune_client.ledger import Ledger
from vtune_client.ledger.database import FILE_NAME

pytestmark = pytest.mark.usefixtures("acted")


@pytest.fixture
def acted(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log of four entries."""
    monkeypatch.setenv("VTUNE_ACTOR", "ana@example.org")
    with Ledger(home) as ledger:
        for number in range(3):
            ledger.record("report written", f"verification-{number}", {"format": "html"})


def test_it_is_listed(cli: Cli) -> None:
    lines = cli("log").out.splitlines()
    assert len(lines) == 4
    assert lines[1].endswith("Z  ana@example.org  report written  verification-0  format=html")
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]


def test_it_is_listed_from_an_entry_or_a_date(cli: Cli) -> None:
    listed = cli("log", "--since", "2", "--format", "json").json
    assert [entry["seq"] for entry in listed] == [3, 4]
    assert listed[0]["data"] == {"format": "html"}
    (last,) = (entry["at"] for entry in listed[-1:])
    assert [entry["seq"] for entry in cli("log", "--since", last, "--format", "json").json] == [4]
    assert len(cli("log", "--since", "2020-01-31").out.splitlines()) == 4
    assert cli("log", "--since", "2999-01-31").out.strip() == ""
    ran = cli("log", "--since", "yesterday")
    assert (ran.code, ran.out) == (2, "")
    assert "no entry and no date" in ran.err


def test_a_chain_that_holds_is_told_with_its_last_digest(cli: Cli) -> None:
    last = cli("log", "--format", "json").json[-1]["digest"]
    assert cli("log", "--verify").out == f"The chain of 4 entries holds: sha256:{last}\n"
    checked = cli("log", "--verify", "--format", "json")
    assert (checked.code, checked.json) == (0, {"holds": True, "entries": 4, "last": last})


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE log SET actor = 'bob' WHERE seq = 3", "Entry 3 was changed"),
        ("DELETE FROM log WHERE seq = 2", "Entry 3 stands where entry 2 is to stand"),
        ("DELETE FROM log", "The log is empty"),
    ],
)
def test_one_that_was_changed_behind_the_ledger_is_found(
    cli: Cli, home: Path, harm: str, said: str
) -> None:
    with closing(sqlite3.connect(home / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER log_update")
        connection.execute("DROP TRIGGER log_delete")
        connection.execute(harm)
    ran = cli("log", "--verify")
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


def test_an_exported_log_is_checked_without_the_ledger(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home / "log.jsonl"
    told = cli("log", "export", file, "--format", "json").json
    assert (told["entries"], told["file"]) == (4, str(file))
    lines = file.read_text("utf-8").splitlines()
    assert [json.loads(line) for line in lines] == cli("log", "--format", "json").json[:4]
    (said,) = cli("log", "--since", "4", "--format", "json").json
    assert (said["action"], said["data"]) == ("log exported", {"entries": 4, "last": told["last"]})

    monkeypatch.setenv("VTUNE_HOME", str(home / "elsewhere"))
    assert told["last"] in cli("log", "--verify", "--file", file).out
    file.write_text("\n".join(lines[:2] + lines[3:]), "utf-8")
    ran = cli("log", "--verify", "--file", file)
    assert ran.code == 2
    assert "Entry 4 stands where entry 3 is to stand" in ran.err
    for line in ("{", "[]", '{"seq": 1}', "\udcff"):
        file.write_bytes("\n".join([lines[0], line]).encode("utf-8", "surrogateescape"))
        ran = cli("log", "--file", file)
        assert (ran.code, ran.out) == (2, "")
        assert "log.jsonl:2 is no entry of a log" in ran.err


def test_a_place_that_cannot_be_written_is_told_and_not_logged(cli: Cli, home: Path) -> None:
    ran = cli("log", "export", home / "missing" / "log.jsonl")
    assert (ran.code, ran.out) == (2, "")
    assert "cannot be written" in ran.err
    assert len(cli("log", "--format", "json").json) == 4
