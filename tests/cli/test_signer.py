from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from vtune_client.signing import fingerprint, from_pem


def test_there_is_no_signer_at_first(cli: Cli, home: Path) -> None:
    assert cli("signer", "show").out == (
        "There is no signing key. Make one with `vtune signer new`.\n"
    )
    assert cli("signer", "show", "--format", "json").json == {"signers": []}
    ran = cli("signer", "export", home / "key.pem")
    assert (ran.code, ran.out) == (2, "")
    assert "vtune signer new" in ran.err
    assert not (home / "key.pem").exists()


def test_a_signer_is_made_shown_and_exported(cli: Cli, home: Path) -> None:
    made = cli("signer", "new")
    assert made.code == 0
    name = made.out.strip()
    (shown,) = cli("signer", "show", "--format", "json").json["signers"]
    assert shown["fingerprint"] == name
    assert cli("signer", "show").out == f"{name}  {shown['created']}\n"
    file = home / "key.pem"
    assert cli("signer", "export", file).out == f"{name}: {file}\n"
    assert fingerprint(from_pem(file.read_bytes())) == name
    assert cli("signer", "export", "-").out == file.read_text("utf-8")


@pytest.mark.skipif(sys.platform == "win32", reason="modes of files")
def test_the_exported_key_is_for_others_to_read(cli: Cli, home: Path) -> None:
    cli("signer", "new")
    cli("signer", "export", home / "key.pem")
    assert stat.S_IMODE((home / "key.pem").stat().st_mode) == 0o644
    assert sorted(home.glob(".key.pem*")) == []


def test_of_several_the_newest_or_the_named_one_is_exported(cli: Cli, home: Path) -> None:
    old, new = (cli("signer", "new").out.strip() for _ in range(2))
    assert cli("signer", "export", home / "new.pem").out.startswith(new)
    for prefix in (old, old[:20], old.removeprefix("SHA256:")[:12].upper()):
        assert cli("signer", "export", home / "o.pem", "--force", "--signer", prefix).out == (
            f"{old}: {home / 'o.pem'}\n"
        )
    ran = cli("signer", "export", "-", "--signer", "SHA256:")
    assert (ran.code, ran.out) == (2, "")
    assert "2 signing keys begin" in ran.err
    ran = cli("signer", "export", "-", "--signer", "nobody")
    assert (ran.code, ran.out) == (2, "")
    assert "No signing key begins" in ran.err


def test_a_file_is_not_overwritten_unasked(cli: Cli, home: Path) -> None:
    cli("signer", "new")
    file = home / "key.pem"
    file.write_text("mine", "utf-8")
    ran = cli("signer", "export", file)
    assert (ran.code, ran.out) == (2, "")
    assert "exists already" in ran.err
    assert file.read_text("utf-8") == "mine"
    assert cli("signer", "export", file, "--force").code == 0
    from_pem(file.read_bytes())


def test_a_place_that_cannot_be_written(cli: Cli, home: Path) -> None:
    cli("signer", "new")
    ran = cli("signer", "export", home / "nowhere" / "key.pem")
    assert (ran.code, ran.out) == (2, "")
    assert "cannot be written: No such file or directory" in ran.err


def test_a_closed_vault_makes_no_signer(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "wrong")
    ran = cli("signer", "new")
    assert (ran.code, ran.out) == (5, "")
    assert cli("signer", "show", "--format", "json").json == {"signers": []}
