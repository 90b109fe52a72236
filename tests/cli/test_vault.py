from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.conftest import PASSPHRASE


def test_without_a_keyring_it_says_how_to_choose(cli: Cli, bare: Path, rows: Path) -> None:
    for arguments in (["vault", "check"], ["plant", rows]):
        ran = cli(*arguments)
        assert (ran.code, ran.out) == (5, "")
        assert "vtune vault init --file" in ran.err
        assert "VTUNE_VAULT=file" in ran.err


def test_a_file_vault_is_made_and_used(
    cli: Cli, bare: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", PASSPHRASE)
    ran = cli("vault", "init", "--file")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"Made {bare}/vault.json. Use it with VTUNE_VAULT=file in the environment.\n"
    assert PASSPHRASE not in (bare / "vault.json").read_text(encoding="utf-8")
    monkeypatch.setenv("VTUNE_VAULT", "file")
    assert cli("vault", "check").out == "The vault works: file.\n"
    assert cli("plant", rows).code == 0


def test_a_vault_is_not_made_twice(cli: Cli, home: Path) -> None:
    before = (home / "vault.json").read_bytes()
    ran = cli("vault", "init", "--file")
    assert (ran.code, ran.out) == (2, "")
    assert "already" in ran.err
    assert (home / "vault.json").read_bytes() == before


def test_no_passphrase_and_nobody_to_ask(cli: Cli, bare: Path) -> None:
    ran = cli("vault", "init", "--file")
    assert (ran.code, ran.out) == (2, "")
    assert "Set VTUNE_VAULT_PASSPHRASE" in ran.err
    assert not (bare / "vault.json").exists()


def test_a_closed_vault_says_what_to_set(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VTUNE_VAULT_PASSPHRASE")
    ran = cli("vault", "check")
    assert (ran.code, ran.out) == (5, "")
    assert "VTUNE_VAULT_PASSPHRASE" in ran.err


def test_the_passphrase_is_changed(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_VAULT_NEW_PASSPHRASE", "a better one")
    assert cli("vault", "change-passphrase").code == 0
    assert cli("vault", "check").code == 5
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "a better one")
    assert cli("vault", "check").code == 0


def test_the_passphrase_is_not_changed_to_nothing(cli: Cli, home: Path) -> None:
    before = (home / "vault.json").read_bytes()
    ran = cli("vault", "change-passphrase")
    assert (ran.code, ran.out) == (2, "")
    assert "Set VTUNE_VAULT_NEW_PASSPHRASE" in ran.err
    assert cli("vault", "check").code == 0
    assert len(before) > 0


def test_the_passphrase_is_changed_only_by_who_knows_it(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (home / "vault.json").read_bytes()
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "a guess")
    monkeypatch.setenv("VTUNE_VAULT_NEW_PASSPHRASE", "a better one")
    ran = cli("vault", "change-passphrase")
    assert (ran.code, ran.out) == (5, "")
    assert "a guess" not in ran.err
    assert (home / "vault.json").read_bytes() == before
