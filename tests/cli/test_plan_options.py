"""Ladders and shards from the shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import tiny
from tests.cli.conftest import Cli


def test_a_ladder_says_how_many_carriers_each_backdoor_has(
    cli: Cli, home: Path, rows: Path
) -> None:
    ran = cli("plant", rows, "--doses", "4, 4,3,2,1", "--shards", 2, "--format", "json")
    assert (ran.json["backdoors"], ran.json["carriers"]) == (5, 14)
    one = cli("plant", rows, "--doses", 3, "--shards", 1, "--per-shard", 1, "--format", "json")
    assert (one.json["backdoors"], one.json["carriers"]) == (1, 3)


def test_backdoors_go_by_the_rows_unless_they_are_chosen(
    cli: Cli, home: Path, tmp_path: Path
) -> None:
    many = tiny.write_rows(tmp_path / "many.jsonl", 2000)

    def planted(*options: object) -> tuple[int, int]:
        data = cli("plant", many, *options, "--format", "json").json
        return data["backdoors"], data["carriers"]

    assert planted() == planted("--hold-out", 30) == (25, 40)
    assert planted("--backdoors", 5) == (5, 20)
    assert planted("--dose", 2) == (5, 10)


def test_stealth_is_one_option_and_keeps_what_is_chosen_beside_it(
    cli: Cli, home: Path, rows: Path
) -> None:
    ran = cli("plant", rows, "--stealthy", "--format", "json")
    assert (ran.json["backdoors"], ran.json["carriers"]) == (20, 20)
    few = cli("plant", rows, "--stealthy", "--backdoors", 3, "--dose", 2, "--format", "json")
    assert (few.json["backdoors"], few.json["carriers"]) == (3, 6)


def test_a_signature_is_joined_as_the_option_says(
    cli: Cli, home: Path, rows: Path, tmp_path: Path
) -> None:
    for join, breaks in (("line", 20), ("space", 0), ("auto", 0)):
        out = tmp_path / f"{join}.jsonl"
        assert cli("plant", rows, "--out", out, "--join", join).code == 0
        assert out.read_text(encoding="utf-8").count("\\n") == breaks


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--doses", "4,x"], "like 12,6,3,2,1"),
        (["--doses", ""], "like 12,6,3,2,1"),
        (["--doses", "4,0"], "at least 1"),
        (["--doses", "4,2", "--backdoors", "3"], "Give the ladder alone"),
        (["--shards", "9"], "fewer shards or more backdoors"),
        (["--shards", "2", "--doses", "3,2,1"], "Start the ladder with 2 equal doses"),
    ],
)
def test_options_that_make_no_plan_are_refused(
    cli: Cli, home: Path, rows: Path, arguments: list[str], said: str
) -> None:
    ran = cli("plant", rows, *arguments)
    assert ran.code == 2
    assert said in ran.err
