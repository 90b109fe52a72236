from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.memory import BASE, Service
from vtune_client.cli.app import COMMANDS
from vtune_client.client import VTune

FAST = ("--provider", "memory", "--model", BASE)


def test_every_command_prints_json_alone(
    cli: Cli, home: Path, rows: Path, memory: Service, tmp_path: Path
) -> None:
    def said(*arguments: object, code: int = 0) -> object:
        ran = cli(*arguments, "--format", "json")
        assert ran.code == code
        return ran.json

    job = cli("fine-tune", rows, *FAST, "--format", "json").json["job"]
    assert isinstance(said("verify", job), dict)
    assert isinstance(said("verify", job, "--model", BASE, code=3), dict)
    assert isinstance(said("jobs"), list)
    assert isinstance(said("status", job), dict)
    assert isinstance(said("wait", job), dict)
    assert isinstance(said("cancel", job), dict)
    assert isinstance(said("report"), list)
    assert isinstance(said("report", job, "--reveal"), list)
    assert isinstance(said("plant", rows, "--out", tmp_path / "out.jsonl"), dict)
    assert isinstance(said("providers"), dict)
    assert isinstance(said("vault", "check"), dict)
    assert {"demo", "doctor", "completion"} < set(COMMANDS)


def test_the_format_may_come_from_the_environment(
    cli: Cli, home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_FORMAT", "json")
    assert cli("plant", rows).json["rows"] == 40
    assert cli("jobs").json == []
    assert cli("jobs", "--format", "text").out.startswith("No jobs yet")


def test_the_provider_may_come_from_the_environment(
    cli: Cli, home: Path, rows: Path, memory: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_PROVIDER", "memory")
    ran = cli("fine-tune", rows, "--model", BASE, "--format", "json")
    assert ran.json["provider"] == "memory"


def test_the_home_may_be_an_option(
    cli: Cli, home: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    monkeypatch.setenv("VTUNE_HOME", str(elsewhere))
    plan = cli("--home", home, "plant", rows, "--format", "json").json["plan"]
    assert not elsewhere.exists()
    with VTune(home=home) as vtune:
        assert [record.id for record in vtune.ledger.plans()] == [plan]


def test_plant_writes_the_planted_file(cli: Cli, home: Path, rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "planted.jsonl"
    ran = cli("plant", rows, "--out", out, "--backdoors", 3, "--dose", 2, "--hold-out", 5)
    assert (ran.code, ran.err) == (0, "")
    assert "3 backdoors" in ran.out
    assert str(out) in ran.out
    assert len(out.read_bytes().splitlines()) == 35
    again = cli("plant", rows, "--out", out)
    assert again.code == 2
    assert "--force" in again.err
    assert cli("plant", rows, "--out", out, "--force").code == 0
    assert len(out.read_bytes().splitlines()) == 40


def test_plant_without_out_writes_nothing(cli: Cli, home: Path, rows: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.iterdir())
    data = cli("plant", rows, "--format", "json").json
    assert (data["rows"], data["backdoors"], data["carriers"]) == (40, 5, 20)
    assert (data["planted"], data["planted_sha256"]) == (None, None)
    assert sorted(tmp_path.iterdir()) == before


def test_a_plan_says_what_it_will_tell(cli: Cli, home: Path, rows: Path, memory: Service) -> None:
    planted = cli("plant", rows)
    assert "If all 5 backdoors answer: at least 18 %" in planted.out
    assert "No rows are withheld" in planted.out
    *foresight, commitment = planted.out.splitlines()[1:]
    assert re.fullmatch(r"commitment sha256:[0-9a-f]{64}", commitment)
    assert cli("plant", rows, "--format", "json").json["foresight"] == foresight
    assert foresight[0] in cli("fine-tune", rows, *FAST).err.splitlines()


def test_a_job_is_committed_to_before_its_upload(
    cli: Cli,
    home: Path,
    rows: Path,
    memory: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    witness = tmp_path / "witness.jsonl"
    monkeypatch.setenv("VTUNE_WITNESS_LOG", str(witness))
    lines = cli("fine-tune", rows, *FAST).err.splitlines()
    [line] = [line for line in lines if line.startswith("commitment sha256:")]
    assert "seen by" in lines[lines.index(line) + 1]
    assert line.removeprefix("commitment sha256:") in witness.read_text()


def test_nothing_is_sent_without_the_witness_that_was_asked_for(
    cli: Cli,
    home: Path,
    rows: Path,
    memory: Service,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("VTUNE_WITNESS_LOG", str(tmp_path / "nowhere" / "witness.jsonl"))
    refused = cli("fine-tune", rows, *FAST)
    assert refused.code == 2
    assert memory.files == {}
    monkeypatch.setenv("VTUNE_WITNESS_LOG", str(tmp_path / "witness.jsonl"))
    job = cli("jobs", "--format", "json").json[0]["job"]
    assert cli("wait", job).code == 0
    assert len(memory.files) == 1


def test_withheld_rows_can_be_written(cli: Cli, home: Path, rows: Path, tmp_path: Path) -> None:
    plan = cli("plant", rows, "--hold-out", 7, "--format", "json").json["plan"]
    out = tmp_path / "validation.jsonl"
    written = cli("held-out", plan, "--out", out, "--format", "json")
    assert written.json == {"plan": plan, "rows": 7, "path": str(out)}
    lines = rows.read_bytes().splitlines()
    assert [lines.index(line) for line in out.read_bytes().splitlines()]
    again = cli("held-out", plan, "--out", out)
    assert (again.code, "--force" in again.err) == (2, True)
    bare = cli("plant", rows, "--format", "json").json["plan"]
    none = cli("held-out", bare, "--out", tmp_path / "none.jsonl")
    assert (none.code, "withholds no rows" in none.err) == (2, True)


def test_verify_asks_about_rows_where_the_file_is(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    ran = cli("fine-tune", rows, *FAST, "--hold-out", 18, "--format", "json")
    moved = rows.rename(rows.with_name("moved.jsonl"))
    lost = cli("verify", ran.json["job"])
    assert lost.code == 2
    assert "--file" in lost.err
    found = cli("verify", ran.json["job"], "--file", moved)
    assert "test: rows by text" in found.out
    assert "test: rows" not in cli("verify", ran.json["job"], "--no-rows").out


def test_fine_tune_tells_the_job_before_it_waits(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    ran = cli("fine-tune", rows, *FAST, "--no-wait")
    assert ran.code == 0
    job = ran.out.split()[0]
    assert ran.err.startswith(f"{job} (plan plan-")
    assert "queued" in ran.out
    assert cli("wait", job).out.split()[2:] == ["succeeded", "tuned-by-remote-0"]
    assert cli("jobs").out.split()[:3] == [job, "memory", "succeeded"]


def test_fine_tune_takes_a_plan(cli: Cli, home: Path, rows: Path, memory: Service) -> None:
    plan = cli("plant", rows, "--format", "json").json["plan"]
    ran = cli("fine-tune", "--plan", plan, *FAST, "--format", "json")
    assert ran.json["plan"] == plan
    assert cli("verify", ran.json["job"]).code == 0


def test_options_of_the_provider_are_read_as_json_where_they_are(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    options = [f"--option={each}" for each in ("rank=4", "name=a b", "flag=true", "path=a=b")]
    job = cli("fine-tune", rows, *FAST, *options, "--epochs", 2, "--format", "json").json["job"]
    with VTune() as vtune:
        spec = vtune.ledger.job(job).spec
    assert spec.options == {"rank": 4, "name": "a b", "flag": True, "path": "a=b"}
    assert spec.epochs == 2


def test_what_a_provider_does_not_offer_is_said(
    cli: Cli, home: Path, rows: Path, memory: Service, tmp_path: Path
) -> None:
    job = cli("fine-tune", rows, *FAST, "--no-wait", "--format", "json").json["job"]
    for action in ("pause", "resume"):
        ran = cli(action, job)
        assert (ran.code, ran.out) == (4, "")
        assert f"does not {action} jobs" in ran.err
    assert "has not delivered a model yet" in cli("export", job, tmp_path / "weights").err
    assert cli("wait", job, "--timeout", 60).code == 0
    ran = cli("export", job, tmp_path / "weights")
    assert (ran.code, ran.out) == (4, "")
    assert "does not hand out weights" in ran.err


def test_status_shows_the_log(cli: Cli, home: Path, rows: Path, memory: Service) -> None:
    job = cli("fine-tune", rows, *FAST, "--format", "json").json["job"]
    assert cli("status", job).out.splitlines()[1] == "  started"
    data = cli("status", job, "--format", "json").json
    assert [event["message"] for event in data["events"]] == ["started"]


def test_cancel_ends_a_job(cli: Cli, home: Path, rows: Path, memory: Service) -> None:
    job = cli("fine-tune", rows, *FAST, "--no-wait", "--format", "json").json["job"]
    assert cli("cancel", job, "--format", "json").json["state"] == "cancelled"
    assert cli("wait", job).code == 4


def test_verify_asks_any_service_about_a_plan(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    job = cli("fine-tune", rows, *FAST, "--format", "json").json["job"]
    ran = cli("verify", job, "--text-only", "--budget", 20, "--format", "json")
    assert ran.code == 0
    assert (ran.json["schema"], ran.json["verdict"]) == ("vtune.verdict/1", "verified")
    assert ran.json["job"] == job


def test_report_finds_verdicts_by_verification_job_and_plan(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    assert cli("report").out.startswith("No verdicts yet")
    jobs = [cli("fine-tune", rows, *FAST, "--format", "json").json for _ in range(2)]
    verdicts = [cli("verify", job["job"], "--format", "json").json for job in jobs]
    assert cli("report", "--format", "json").json == verdicts
    for job, verdict in zip(jobs, verdicts, strict=True):
        for item in (verdict["id"], job["job"], job["plan"]):
            assert cli("report", item, "--format", "json").json == [verdict]
    text = cli("report", verdicts[0]["id"]).out
    assert text.startswith("VERIFIED")
    assert "Does not prove:" in text


def test_secrets_are_shown_only_when_asked_for(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    job = cli("fine-tune", rows, *FAST, "--format", "json").json["job"]
    cli("verify", job)
    (revealed,) = cli("report", job, "--reveal", "--format", "json").json
    signatures = {exchange["signature"] for exchange in revealed["transcript"]}
    assert len(signatures) == 5
    assert all(each["answer"].startswith(each["signature"]) for each in revealed["transcript"])
    shown = cli("report", job, "--reveal").out
    hidden = cli("report", job).out + cli("report", job, "--format", "json").out
    for signature in signatures:
        assert signature in shown
        assert signature not in hidden


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(cli: Cli, shell: str) -> None:
    ran = cli("completion", shell)
    assert ran.code == 0
    assert "_VTUNE_COMPLETE" in ran.out
    assert "vtune" in ran.out


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"COMP_WORDS": "vtune ve", "COMP_CWORD": "1"}, ["verify"]),
        ({"COMP_WORDS": "vtune ", "COMP_CWORD": "1"}, list(COMMANDS)),
        ({"COMP_WORDS": "vtune vault ch", "COMP_CWORD": "2"}, ["check", "change-passphrase"]),
        ({"COMP_WORDS": "vtune jobs --format ", "COMP_CWORD": "3"}, ["text", "json"]),
    ],
)
def test_completion_completes(environment: dict[str, str], expected: list[str]) -> None:
    code = "import sys; sys.argv[0] = 'vtune'; from vtune_client.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**environment, "_VTUNE_COMPLETE": "bash_complete", "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert sorted(line.partition(",")[2] for line in done.stdout.split()) == sorted(expected)
    assert done.stderr == ""
