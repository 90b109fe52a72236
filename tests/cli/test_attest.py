"""`vtune attest` and `vtune check`, from one to the other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.memory import BASE, Service

FAST = ("--provider", "memory", "--model", BASE, "--keep-planted", "--dose", 2, "--format", "json")


@pytest.fixture
def verified(cli: Cli, home: Path, rows: Path, memory: Service) -> str:
    """Return a verification's id."""
    job = cli("fine-tune", rows, *FAST).json["job"]
    found: str = cli("verify", job, "--format", "json").json["id"]
    return found


def test_a_verdict_is_signed_and_checked(
    cli: Cli, verified: str, tmp_path: Path, rows: Path, home: Path
) -> None:
    statement, reveal, key = (tmp_path / name for name in ("s.json", "r.json", "key.pem"))
    made = cli("attest", verified, "-o", statement, "--reveal", reveal, "--format", "json").json
    assert made["opened"] == [0, 1, 2, 3, 4]
    assert reveal.stat().st_mode & 0o777 == 0o600
    assert cli("signer", "export", key).code == 0
    assert cli("log", "export", tmp_path / "log.jsonl").code == 0
    [planted] = (home / "spool").glob("*.jsonl")
    checked = cli(
        *("check", statement, "--reveal", reveal, "--file", rows, "--planted", planted),
        *("--key", key, "--commitment", made["commitment"], "--log", tmp_path / "log.jsonl"),
        *("--format", "json"),
    )
    assert (checked.code, checked.json["holds"], checked.json["verdict"]) == (0, True, "verified")
    standing = {found["what"]: found["standing"] for found in checked.json["findings"]}
    assert set(standing.values()) == {"confirmed", "open"}
    still_open = {what for what, how in standing.items() if how == "open"}
    assert still_open == {"the time of the commitment", "the rows", "the transcript's origin"}
    shown = cli("check", statement)
    assert shown.code == 0
    assert "Nothing is refuted." in shown.out


def test_a_changed_statement_fails_with_the_reason(cli: Cli, verified: str, tmp_path: Path) -> None:
    statement = tmp_path / "s.json"
    cli("attest", verified, "-o", statement)
    changed = json.loads(statement.read_bytes())
    changed["payload"] = changed["payload"][:-8] + changed["payload"][-4:]
    statement.write_text(json.dumps(changed))
    refused = cli("check", statement)
    assert refused.code in (1, 2)
    wrong = cli("attest", verified, "-o", tmp_path / "t.json")
    assert wrong.code == 0
    other = cli("check", tmp_path / "t.json", "--commitment", "sha256:" + "0" * 64)
    assert other.code == 1
    assert "It is not the one that you gave." in other.out


def test_nothing_is_overwritten_or_half_given(cli: Cli, verified: str, tmp_path: Path) -> None:
    statement = tmp_path / "s.json"
    assert cli("attest", verified, "-o", statement).code == 0
    again = cli("attest", verified, "-o", statement)
    assert (again.code, "--force" in again.err) == (2, True)
    assert cli("attest", verified, "-o", statement, "--force").code == 0
    assert cli("attest", verified, "-o", tmp_path / "no" / "s.json").code == 2
    assert cli("attest", verified, "-o", tmp_path / "t.json", "--backdoors", "1").code == 2
    strange = cli(
        "attest",
        verified,
        "-o",
        tmp_path / "t.json",
        "--reveal",
        tmp_path / "r",
        "--backdoors",
        "x",
    )
    assert strange.code == 2
    assert not (tmp_path / "t.json").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("statement", b"{}"), ("reveal", b"[1]"), ("log", b'{"seq": 1}\n'), ("key", b"no key")],
)
def test_what_is_no_such_file_is_said_with_its_name(
    cli: Cli, verified: str, tmp_path: Path, name: str, content: bytes
) -> None:
    statement, other = tmp_path / "s.json", tmp_path / "other"
    cli("attest", verified, "-o", statement)
    other.write_bytes(content)
    arguments = [other] if name == "statement" else [statement, f"--{name}", other]
    refused = cli("check", *arguments)
    assert refused.code == 2
    assert len(refused.err.strip().splitlines()) <= 3
