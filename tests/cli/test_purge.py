"""`vtune purge`: what it asks, deletes, keeps and certifies."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import click.testing
import pytest

from tests.cli.conftest import Cli
from tests.memory import BASE, Service
from vtune_client import VTune
from vtune_client.ledger import Ledger, Step
from vtune_client.ledger.database import FILE_NAME
from vtune_client.purge import PAYLOAD_TYPE
from vtune_client.signing import open_envelope


@pytest.fixture
def plan(home: Path, rows: Path, memory: Service) -> str:
    """The plan of a job that is done and verified."""
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", keep_planted=True)
        vtune.wait(job.id)
        vtune.verify(job.id)
    return job.plan_id


def plans(home: Path) -> list[str]:
    with Ledger(home) as ledger:
        return [plan.id for plan in ledger.plans()]


def test_a_dry_run_shows_and_deletes_nothing(cli: Cli, home: Path, plan: str) -> None:
    ran = cli("purge", plan, "--dry-run")
    assert ran.code == 0
    assert ran.out.startswith(f"{plan}: its root key, 1 job, 1 verification, ")
    assert ran.out.endswith(" 2 files\n")  # the planted one and a lock
    data = cli("purge", "--older-than", "0", "--dry-run", "--format", "json").json
    assert (data["dry_run"], data["left"]) == (True, [])
    (found,) = data["plans"]
    assert (found["plan"], found["files"]) == (plan, 2)
    assert found["merkle_root"]
    assert cli("report", plan).code == 0
    assert list((home / "spool").iterdir())


def test_it_purges_and_certifies(cli: Cli, home: Path, plan: str, tmp_path: Path) -> None:
    file = tmp_path / "certificate.json"
    ran = cli("purge", plan, "--yes", "--certificate", file, "--format", "json")
    assert ran.code == 0
    assert len(ran.err.splitlines()) == 2
    assert f"{plan}: stays with memory: the planted file " in ran.err
    assert plans(home) == []
    opened = open_envelope(file.read_bytes())
    assert opened.payload_type == PAYLOAD_TYPE
    assert [signature.valid for signature in opened.signatures] == [True]
    certificate = json.loads(opened.payload)
    assert certificate == {key: value for key, value in ran.json.items() if key != "left"}
    assert certificate["schema"] == "vtune.purge/1"
    assert certificate["kept"] == ["log"]
    assert certificate["database_swept"] is True
    (told,) = certificate["plans"]
    assert told["plan"] == plan
    assert told["root_key_deleted"] is True
    assert told["answers"] > 0
    with Ledger(home) as ledger:
        (entry,) = (entry for entry in ledger.log() if entry.action == "purged")
        assert told["log"] == {"seq": entry.seq, "digest": entry.digest}
        assert ledger.signers()[-1].fingerprint == opened.signatures[0].fingerprint
    again = cli("purge", plan, "--yes")
    assert again.code == 2
    assert "no plan" in again.err


def test_verdicts_can_be_kept(cli: Cli, home: Path, plan: str) -> None:
    before = cli("report", plan, "--format", "json").json
    done = cli("purge", plan, "--yes", "--keep-verdicts", "--format", "json").json
    assert "verdicts" in done["kept"]
    assert cli("report", plan, "--format", "json").json == before
    assert cli("report", plan, "--reveal").code == 5
    due = cli("purge", "--older-than", "0", "--keep-verdicts", "--dry-run", "--format", "json")
    assert due.json["plans"] == []


def test_by_age_what_may_still_run_is_left_and_named(cli: Cli, home: Path, plan: str) -> None:
    with Ledger(home) as ledger:
        job = ledger.jobs()[0]
        ledger.add_plan(replace(ledger.plan(plan), id="plan-busy"))
        open_ = replace(job, id="job-open", plan_id="plan-busy", token="t", step=Step.CREATED)
        ledger.add_job(open_)
    ran = cli("purge", "--older-than", "0", "--yes", "--format", "json")
    assert ran.code == 0
    assert ran.err.startswith("left: plan-busy, for job-open may run\n")
    assert (ran.json["left"], len(ran.json["plans"])) == (["plan-busy"], 1)
    assert plans(home) == ["plan-busy"]
    ran = cli("purge", "job-open", "--yes")
    assert (ran.code, ran.out) == (2, "")
    assert "job-open on plan-busy may still run" in ran.err


def test_nothing_to_purge_is_no_failure(cli: Cli, home: Path, plan: str) -> None:
    ran = cli("purge", "--older-than", "30")
    assert (ran.code, ran.out) == (0, "There is nothing to purge.\n")
    assert plans(home) == [plan]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name a plan or a job"),
        (["plan-1", "--older-than", "3"], "one of them"),
        (["--older-than", "-1"], "--older-than"),
        (["plan-x", "--yes"], "holds no plan 'plan-x'"),
        (["plan-", "--yes", "--certificate", "missing/c.json"], "no directory for missing"),
        (["plan-", "--yes", "--certificate", __file__], "exists already"),
        (["plan-"], "Nobody can be asked"),
    ],
)
def test_what_cannot_be_done_is_told_and_deletes_nothing(
    cli: Cli, home: Path, plan: str, arguments: list[str], said: str
) -> None:
    ran = cli("purge", *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err
    assert plans(home) == [plan]
    assert list((home / "spool").iterdir())


@pytest.mark.parametrize(("answer", "left"), [("n\n", 1), ("y\n", 0)])
def test_in_a_terminal_it_asks(
    home: Path, plan: str, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    from vtune_client.cli import purge as module

    class Terminal:
        """The runner's own input says that it is none."""

        class stdin:
            @staticmethod
            def isatty() -> bool:
                return True

    monkeypatch.setattr(module, "sys", Terminal)
    runner = click.testing.CliRunner()
    ran = runner.invoke(module.purge, [plan], input=answer)
    assert "Delete this for good?" in ran.output
    assert len(plans(home)) == left


def test_another_reader_is_told(
    cli: Cli, home: Path, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtune_client.ledger.database.TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(home / FILE_NAME)) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM answers").fetchone()
        ran = cli("purge", plan, "--yes", "--format", "json")
    assert (ran.code, ran.json["database_swept"]) == (1, False)
    assert "Run this again" in ran.err
    assert cli("purge", "--older-than", "30", "--format", "json").json["database_swept"] is True
