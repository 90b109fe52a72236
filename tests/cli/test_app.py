from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.memory import BASE, Service
from vtune_client import __version__
from vtune_client.cli.app import COMMANDS
from vtune_client.client import VTune
from vtune_client.errors import NetworkError, ProviderError
from vtune_client.plan import PlanSpec
from vtune_client.provider import State

SECRET = "graceful chemist"


@pytest.fixture
def job(home: Path, rows: Path, memory: Service) -> str:
    """A job whose model is there."""
    with VTune() as vtune:
        plan = PlanSpec(backdoors=5, dose=2)
        job = vtune.fine_tune(rows, model=BASE, provider="memory", plan=plan)
        return vtune.wait(job.id).id


def test_help_lists_the_commands_in_the_order_of_the_pipeline(cli: Cli) -> None:
    ran = cli("--help")
    listed = [line.split()[0] for line in ran.out.splitlines() if line.startswith("  ")]
    assert [name for name in listed if name in COMMANDS] == list(COMMANDS)
    assert list(COMMANDS)[:3] == ["demo", "plant", "fine-tune"]
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(cli: Cli, command: str) -> None:
    ran = cli(command, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert f"vtune {command}" in ran.out


def test_the_version_is_told(cli: Cli) -> None:
    assert cli("--version").out == f"vtune, version {__version__}\n"


def test_the_command_is_installed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from vtune_client.cli import main; main()", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert __version__ in done.stdout


def test_0_is_verified(cli: Cli, job: str) -> None:
    assert cli("verify", job).code == 0


def test_1_is_not_verified(cli: Cli, job: str) -> None:
    control = cli("verify", job, "--format", "json").json["id"]
    ran = cli("verify", job, "--model", BASE, "--control", control)
    assert (ran.code, ran.err) == (1, "")
    assert ran.out.startswith("NOT VERIFIED")


@pytest.mark.parametrize(
    "arguments",
    [
        ["verify"],
        ["unheard-of"],
        ["verify", "job-ffffffff"],
        ["fine-tune"],
        ["fine-tune", "{rows}", "--plan", "plan-ffffffff"],
        ["fine-tune", "--plan", "plan-ffffffff", "--dose", "3"],
        ["fine-tune", "{rows}", "--provider", "nobody"],
        ["fine-tune", "{rows}", "--provider", "oracle"],
        ["fine-tune", "{rows}", "--provider", "memory", "--option", "colour"],
        ["plant", "{rows}", "--dose", "0"],
        ["plant", "{rows}", "--backdoors", "100"],
        ["plant", "{rows}.missing"],
        ["plant", "."],
        ["plant", "{rows}", "--out", "{rows}"],
        ["plant", "{rows}", "--out", "{rows}", "--force"],
        ["plant", "{rows}", "--out", "{rows}/inside"],
        ["plant", "{rows}", "--out", "{rows}.missing/inside"],
        ["verify", "{job}", "--budget", "3"],
        ["verify", "{job}", "--control", "verification-ffffffff"],
        ["verify", "{job}", "--endpoint", "http://127.0.0.1:1/v1"],
        ["verify", "{job}", "--endpoint", "http://127.0.0.1:1/v1", "--weights", "."],
        ["verify", "{job}", "--weights", "{rows}.missing"],
        ["verify", "{job}", "--weights", ".", "--model", "a"],
        ["verify", "{job}", "--base", "a"],
        ["verify", "plan-ffffffff"],
        ["report", "verification-ffffffff"],
        ["report", "plan-ffffffff"],
        ["report", "job-ffffffff"],
        ["vault", "init"],
        ["completion", "tcsh"],
        ["--home", "{rows}/inside", "jobs"],
        ["jobs", "--format", "yaml"],
    ],
)
def test_2_is_what_cannot_be_used(cli: Cli, job: str, rows: Path, arguments: list[str]) -> None:
    before = rows.read_bytes()
    ran = cli(*(each.format(rows=rows, job=job) for each in arguments))
    assert (ran.code, ran.out) == (2, ""), ran
    assert ran.err
    assert "Traceback" not in ran.err
    assert rows.read_bytes() == before
    with VTune(home=rows.parent / "home") as vtune:
        assert (len(vtune.ledger.plans()), len(vtune.ledger.jobs())) == (1, 1)


def test_3_is_inconclusive(cli: Cli, job: str) -> None:
    ran = cli("verify", job, "--model", BASE)
    assert (ran.code, ran.err) == (3, "")
    assert ran.out.startswith("INCONCLUSIVE")


@pytest.mark.parametrize("kind", [ProviderError, NetworkError])
def test_4_is_the_provider_or_the_network(
    cli: Cli, job: str, memory: Service, kind: type[ProviderError | NetworkError]
) -> None:
    memory.faults = [kind("The service is closed.", "Try again tomorrow.")]
    ran = cli("verify", job, "--model", "unavailable")
    assert (ran.code, ran.out) == (4, "")
    assert ran.err == "error: The service is closed. Try again tomorrow.\n"


def test_4_is_a_job_that_failed(cli: Cli, home: Path, rows: Path, memory: Service) -> None:
    memory.end = State.FAILED
    ran = cli("fine-tune", rows, "--provider", "memory", "--model", BASE)
    assert (ran.code, ran.out) == (4, "")
    assert "failed: as the test wants it" in ran.err


def test_5_is_a_vault_that_stays_closed(
    cli: Cli, job: str, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "another passphrase")
    for arguments in (["plant", rows], ["verify", job], ["vault", "check"]):
        ran = cli(*arguments)
        assert (ran.code, ran.out) == (5, ""), arguments
        assert "passphrase does not open" in ran.err
        assert "another passphrase" not in ran.err


def test_70_is_a_bug_and_shows_no_value(cli: Cli, job: str, memory: Service) -> None:
    memory.faults = [ValueError(f"cannot read {SECRET}")]
    ran = cli("verify", job, "--model", "unavailable")
    assert (ran.code, ran.out) == (70, "")
    assert "ValueError in memory.py, line " in ran.err
    assert ran.err.count("\n") == 1
    assert SECRET not in ran.err


def test_70_with_everything_shows_the_way_and_no_value(cli: Cli, job: str, memory: Service) -> None:
    cause = KeyError(SECRET)
    error = ValueError(f"cannot read {SECRET}")
    error.__cause__ = cause
    memory.faults = [error]
    ran = cli("-vv", "verify", job, "--model", "unavailable")
    assert ran.code == 70
    assert "in verify" in ran.err
    assert ran.err.index("KeyError\n") < ran.err.rindex("ValueError\n")
    assert SECRET not in ran.err


def test_130_is_an_interrupt(cli: Cli, job: str, memory: Service) -> None:
    memory.faults = [KeyboardInterrupt()]
    ran = cli("verify", job, "--model", "unavailable")
    assert (ran.code, ran.out) == (130, "")
    assert ran.err.strip() == "Interrupted. A job that was started goes on; see `vtune jobs`."


def test_only_our_own_words_are_logged_in_full(cli: Cli, home: Path) -> None:
    # What the client of a service logs when asked for everything holds the whole request.
    assert cli("-vv", "jobs").code == 0
    assert logging.getLogger("vtune_client.job").isEnabledFor(logging.DEBUG)
    assert logging.getLogger("vtune_providers.local").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("openai").isEnabledFor(logging.INFO)
    assert cli("jobs").code == 0
    assert not logging.getLogger("vtune_client.job").isEnabledFor(logging.INFO)


@pytest.mark.skipif(sys.platform == "win32", reason="pipes break otherwise there")
@pytest.mark.parametrize("arguments", [["completion", "bash"], ["jobs"]])
def test_a_reader_that_leaves_is_no_failure(home: Path, arguments: list[str]) -> None:
    command = [sys.executable, "-c", "from vtune_client.cli import main; main()", *arguments]
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(command, stdout=writes, stderr=subprocess.PIPE, text=True, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are text there")
def test_a_name_that_is_no_text_is_told(cli: Cli, home: Path, rows: Path) -> None:
    name = os.fsdecode(os.fsencode(rows.parent) + b"/caf\xe9.jsonl")
    rows.rename(name)
    ran = cli("plant", name)
    assert (ran.code, ran.out) == (2, "")
    assert "not text in UTF-8" in ran.err
