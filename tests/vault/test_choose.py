from __future__ import annotations

from pathlib import Path

import pytest

from vtune_client.errors import InputError, NoVault, VaultLocked
from vtune_client.vault import RootKey, open_vault
from vtune_client.vault.file_vault import Cost, FileVault

KEY = RootKey(bytes(range(32)))


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VTUNE_VAULT", raising=False)
    monkeypatch.delenv("VTUNE_VAULT_PASSPHRASE", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    FileVault.create(tmp_path / "vault.json", "open sesame", cost=Cost(n=16)).put("a1", KEY)
    return tmp_path


def test_the_keyring_is_the_default_even_beside_a_file(home: Path) -> None:
    assert open_vault(home).name == "keyring"


def test_the_variable_chooses(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_VAULT", "file")
    assert open_vault(home).name == "file"


def test_the_argument_comes_before_the_variable(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_VAULT", "file")
    assert open_vault(home, kind="keyring").name == "keyring"


def test_another_kind_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_VAULT", "plaintext")
    with pytest.raises(InputError, match=r"plaintext.*keyring or file"):
        open_vault(home)


def test_the_passphrase_variable_opens(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "open sesame")
    assert open_vault(home, kind="file", passphrase=lambda: "asked in vain").get("a1") == KEY


def test_the_passphrase_is_asked_for_once_and_only_when_needed(home: Path) -> None:
    asked: list[str] = []

    def ask() -> str:
        asked.append("asked")
        return "open sesame"

    vault = open_vault(home, kind="file", passphrase=ask)
    assert asked == []
    vault.check()
    assert vault.get("a1") == KEY
    assert asked == ["asked"]


def test_no_passphrase_says_where_to_give_one(home: Path) -> None:
    with pytest.raises(VaultLocked, match="VTUNE_VAULT_PASSPHRASE"):
        open_vault(home, kind="file").get("a1")


def test_a_file_vault_is_never_made_in_passing(tmp_path: Path) -> None:
    vault = open_vault(tmp_path, kind="file", passphrase=lambda: "open sesame")
    with pytest.raises(NoVault, match="vtune vault init --file"):
        vault.put("a1", KEY)
    assert list(tmp_path.iterdir()) == []
