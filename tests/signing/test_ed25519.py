from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.conftest import PASSPHRASE
from vtune_client.errors import LedgerError, VaultLocked
from vtune_client.ledger import Ledger, SignerRecord
from vtune_client.signing import (
    IN_TOTO,
    Ed25519Signer,
    from_pem,
    new_signer,
    open_envelope,
    public_pem,
    signer_from,
)
from vtune_client.vault import RootKey, Vault, open_vault
from vtune_client.vault.file_vault import Cost, FileVault


@pytest.fixture
def ledger(home: Path) -> Iterator[Ledger]:
    with Ledger(home) as opened:
        yield opened


@pytest.fixture
def vault(home: Path) -> Vault:
    return open_vault(home)


def test_a_new_signer_is_kept(ledger: Ledger, vault: Vault) -> None:
    made = new_signer(ledger, vault)
    (record,) = ledger.signers()
    assert (record.fingerprint, record.public_key) == (made.fingerprint, made.public_key)
    assert Ed25519Signer(vault.get(record.key_id)).public_key == made.public_key
    assert from_pem(public_pem(record)) == made.public_key


def test_the_first_signature_makes_a_signer_and_the_next_uses_it(
    ledger: Ledger, vault: Vault
) -> None:
    first = signer_from(ledger, vault)
    assert signer_from(ledger, vault).sign(b"{}", IN_TOTO) == first.sign(b"{}", IN_TOTO)
    assert len(ledger.signers()) == 1


def test_the_newest_signs_and_the_old_still_verifies(ledger: Ledger, vault: Vault) -> None:
    old = new_signer(ledger, vault)
    signed = old.sign(b"{}", IN_TOTO)
    new = new_signer(ledger, vault)
    assert signer_from(ledger, vault).fingerprint == new.fingerprint != old.fingerprint
    kept = [record.public_key for record in ledger.signers()]
    assert open_envelope(signed, kept).signed_by(old.fingerprint)


def test_the_named_one_signs_where_the_vault_holds_its_key(ledger: Ledger, vault: Vault) -> None:
    """A statement is signed by whom its commitment names, though a newer key was made since."""
    old, new = new_signer(ledger, vault), new_signer(ledger, vault)
    assert signer_from(ledger, vault, old.fingerprint).fingerprint == old.fingerprint
    assert signer_from(ledger, vault, "SHA256:nobody").fingerprint == new.fingerprint


def test_a_colleague_signs_with_a_key_of_their_own(
    ledger: Ledger, vault: Vault, tmp_path: Path
) -> None:
    """A team shares the ledger, not the vaults."""
    mine = new_signer(ledger, vault)
    other = FileVault.create(tmp_path / "other.json", "theirs", cost=Cost(n=16, r=8, p=1))
    theirs = signer_from(ledger, other)
    assert theirs.fingerprint != mine.fingerprint
    assert signer_from(ledger, vault).fingerprint == mine.fingerprint
    assert signer_from(ledger, other).fingerprint == theirs.fingerprint


def test_a_closed_vault_signs_nothing(
    ledger: Ledger, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "wrong")
    with pytest.raises(VaultLocked):
        new_signer(ledger, open_vault(home))
    assert ledger.signers() == []
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", PASSPHRASE)
    made = new_signer(ledger, open_vault(home))
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "wrong")
    with pytest.raises(VaultLocked):
        signer_from(ledger, open_vault(home))
    assert [record.fingerprint for record in ledger.signers()] == [made.fingerprint]


def test_a_ledger_that_lists_another_key_is_found_out(ledger: Ledger, vault: Vault) -> None:
    """Otherwise who can write to the ledger could have old statements taken for forgeries."""
    seed, other = RootKey.new(), Ed25519Signer(RootKey.new())
    vault.put("mine", seed)
    ledger.add_signer(SignerRecord(other.fingerprint, "mine", other.public_key, time.time()))
    with pytest.raises(LedgerError, match="another public key"):
        signer_from(ledger, vault)


def test_a_key_that_the_ledger_does_not_take_leaves_the_vault_again(
    home: Path, ledger: Ledger, vault: Vault
) -> None:
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection:
        connection.execute("DROP TABLE signers")
    with pytest.raises(LedgerError):
        new_signer(ledger, vault)
    assert json.loads((home / "vault.json").read_bytes())["entries"] == {}


def test_no_secret_shows(ledger: Ledger, vault: Vault) -> None:
    made = new_signer(ledger, vault)
    seed = vault.get(ledger.signers()[0].key_id).bytes
    shown = repr(made) + repr(vars(made)) + str(made.sign(b"{}", IN_TOTO))
    assert made.fingerprint in repr(made)
    assert repr(seed) not in shown
    assert seed.hex() not in shown
