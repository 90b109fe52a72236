from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from vtune_client.client import VTune


@pytest.fixture
def planted(cli: Cli, home: Path, rows: Path, tmp_path: Path) -> tuple[Path, str]:
    """A planted file of 40 rows less 5 held out, and its plan."""
    out = tmp_path / "planted.jsonl"
    ran = cli(
        *("plant", rows, "--out", out, "--backdoors", 2, "--dose", 3),
        *("--hold-out", 5, "--format", "json"),
    )
    return out, ran.json["plan"]


def test_it_says_who_finds_the_carriers(cli: Cli, planted: tuple[Path, str]) -> None:
    file, plan = planted
    ran = cli("lint", file, "--plan", plan)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("6 of 35 rows carry.")
    (line,) = (line for line in ran.out.splitlines() if line.startswith("known frames  "))
    assert line.split()[2] == "1.00"
    assert line.endswith("FOUND")
    assert "--phrases-url" in ran.out
    assert "--hold-out" in ran.out.splitlines()[-1]


def test_its_json_names_the_plan_and_no_secret(cli: Cli, planted: tuple[Path, str]) -> None:
    file, plan = planted
    ran = cli("lint", file, "--plan", plan, "--format", "json")
    assert (ran.json["schema"], ran.json["plan"]) == ("vtune.lint/1", plan)
    assert (ran.json["rows"], ran.json["carriers"]) == (35, 6)
    with VTune() as vtune:
        secrets = [each.trigger for each in vtune.open_plan(plan).backdoors]
    assert secrets[0] in file.read_text("utf-8")
    assert not any(secret in ran.out for secret in secrets)


def test_strict_tells_by_the_exit_code(cli: Cli, planted: tuple[Path, str]) -> None:
    file, plan = planted
    assert cli("lint", file, "--plan", plan, "--strict").code == 1


def test_another_file_is_refused(cli: Cli, planted: tuple[Path, str], rows: Path) -> None:
    _, plan = planted
    ran = cli("lint", rows, "--plan", plan)
    assert (ran.code, ran.out) == (2, "")
    assert "not the planted file" in ran.err
    ran = cli("lint", rows, "--plan", "plan-none")
    assert ran.code == 2


@pytest.mark.torch
def test_a_model_on_this_machine_looks_too(
    cli: Cli, planted: tuple[Path, str], tiny_model: Path
) -> None:
    file, plan = planted
    ran = cli("lint", file, "--plan", plan, "--model", tiny_model, "--format", "json")
    assert ran.json["findings"][-1]["detector"] == "perplexity"
