from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.memory import BASE, Service
from tests.test_secrets import Secrets, opened
from vtune_client.client import VTune
from vtune_client.plan import PlanSpec


@pytest.fixture
def verified(home: Path, rows: Path, memory: Service) -> tuple[str, str, Secrets]:
    """The ids of a job and of its verification, and what must not be shown."""
    with VTune() as client:
        plan = PlanSpec(backdoors=3, dose=2)
        job = client.fine_tune(rows, model=BASE, provider="memory", plan=plan)
        client.wait(job.id)
        result = client.verify(job.id)
    return job.id, result.id, Secrets.of(*opened(home))


def test_a_page_is_written(cli: Cli, verified: tuple[str, str, Secrets], tmp_path: Path) -> None:
    job, verification, secrets = verified
    page = tmp_path / "report.html"
    ran = cli("report", job, "--html", page)
    assert (ran.code, ran.out) == (0, f"Written: {page}\n")
    content = page.read_bytes()
    assert content.startswith(b"<!doctype html>")
    assert verification.encode() in content
    order = [content.index(word) for word in (b"Committed: ", b"File uploaded", b"Model delivered")]
    assert order == sorted(order)
    assert secrets.found_in(content) == []
    assert list(tmp_path.glob(".*")) == []
    with VTune() as client:
        assert client.ledger.opened(client.ledger.job(job).plan_id) == {}


def test_a_revealed_page_burns_its_backdoors(
    cli: Cli, verified: tuple[str, str, Secrets], tmp_path: Path
) -> None:
    job, verification, secrets = verified
    page = tmp_path / "report.html"
    assert cli("report", verification, "--html", page, "--reveal").code == 0
    assert "trigger 0" in secrets.found_in(page.read_bytes())
    if sys.platform != "win32":
        assert stat.S_IMODE(os.stat(page).st_mode) == 0o600
    with VTune() as client:
        burned = client.ledger.opened(client.ledger.job(job).plan_id)
    why = f"shown in a report of {verification}"
    assert burned == {0: why, 1: why, 2: why}


def test_one_page_shows_one_verdict(
    cli: Cli, verified: tuple[str, str, Secrets], tmp_path: Path
) -> None:
    job, _, _ = verified
    assert cli("verify", job).code == 0
    ran = cli("report", job, "--html", tmp_path / "report.html")
    assert ran.code == 2
    assert "A page shows one verdict, and here are 2." in ran.err
    assert list(tmp_path.glob("*.html")) == []


def test_ci_is_told(cli: Cli, verified: tuple[str, str, Secrets], tmp_path: Path) -> None:
    job, verification, _ = verified
    file = tmp_path / "junit.xml"
    ran = cli("report", job, "--junit", file, "--format", "json")
    assert ran.json == {"html": None, "junit": str(file)}
    assert f'testsuite name="{verification}"' in file.read_text("utf-8")
    ran = cli("report", job, "--junit", file, "--markdown")
    assert ran.out.startswith("### \N{WHITE HEAVY CHECK MARK} Verified: `tuned-by-remote-0`\n")


def test_a_dash_prints(cli: Cli, verified: tuple[str, str, Secrets]) -> None:
    job, _, _ = verified
    assert cli("report", job, "--junit", "-").out.startswith("<?xml")
    page = cli("report", job, "--html", "-").out
    assert page.startswith("<!doctype html>")
    assert page.endswith("</html>\n")


def test_secrets_go_into_no_other_form(cli: Cli, verified: tuple[str, str, Secrets]) -> None:
    ran = cli("report", verified[0], "--markdown", "--reveal")
    assert ran.code == 2
    assert "--reveal goes with --html" in ran.err


def test_a_place_that_cannot_be_written_is_named(
    cli: Cli, verified: tuple[str, str, Secrets], tmp_path: Path
) -> None:
    ran = cli("report", verified[0], "--html", tmp_path / "none" / "report.html")
    assert ran.code == 2
    assert "cannot be written" in ran.err


def test_without_verdicts_there_is_an_empty_file(cli: Cli, home: Path, tmp_path: Path) -> None:
    assert cli("report", "--junit", tmp_path / "junit.xml").code == 0
    assert "<testsuites" in (tmp_path / "junit.xml").read_text("utf-8")


def test_the_schema_is_printed(cli: Cli) -> None:
    assert cli("schema").json["$id"] == "urn:vtune:verdict:1"
    assert cli("schema", "vtune.verdict/1").json == cli("schema").json
    ran = cli("schema", "other")
    assert ran.code == 2
    assert json.dumps("vtune.verdict/1").strip('"') in ran.err
