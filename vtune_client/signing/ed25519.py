"""The auditor's own key: an Ed25519 seed in the vault, its public half in the ledger.

Ed25519 is RFC 8032. Old keys stay where they are when a new one is made, so that their signatures
can still be told to be ours; the newest that this vault holds signs.
"""

from __future__ import annotations

import time
from contextlib import suppress

from vtune_client.errors import KeyMissing, LedgerError, SecretsError
from vtune_client.ledger import Ledger, SignerRecord
from vtune_client.signing import dsse
from vtune_client.signing.keys import fingerprint, to_pem
from vtune_client.vault import RootKey, Vault, new_key_id


class Ed25519Signer:
    """Signs with the key of this 32-byte seed."""

    def __init__(self, seed: RootKey) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._key = Ed25519PrivateKey.from_private_bytes(seed.bytes)
        self.public_key = self._key.public_key().public_bytes_raw()
        self.fingerprint = fingerprint(self.public_key)

    def __repr__(self) -> str:
        return f"<Ed25519Signer {self.fingerprint}>"

    def sign(self, payload: bytes, payload_type: str) -> bytes:
        """Return a DSSE envelope of the payload with this key's signature."""
        signature = self._key.sign(dsse.pae(payload, payload_type))
        return dsse.envelope(payload, payload_type, self.public_key, signature)


def new_signer(ledger: Ledger, vault: Vault) -> Ed25519Signer:
    """Make a key and keep it; from now on it is the one that signs."""
    seed, key_id = RootKey.new(), new_key_id()
    signer = Ed25519Signer(seed)
    vault.put(key_id, seed)  # first, so that no listed signer lacks its key
    try:
        ledger.add_signer(SignerRecord(signer.fingerprint, key_id, signer.public_key, time.time()))
    except LedgerError:
        with suppress(SecretsError):
            vault.delete(key_id)
        raise
    return signer


def signer_from(ledger: Ledger, vault: Vault, named: str | None = None) -> Ed25519Signer:
    """Return the newest signer whose key this vault holds, or a new one where there is none.

    The one with the fingerprint `named` comes first."""
    newest_first = ledger.signers()[::-1]
    for record in sorted(newest_first, key=lambda each: each.fingerprint != named):
        try:
            signer = Ed25519Signer(vault.get(record.key_id))
        except KeyMissing:  # a colleague's, in a ledger that a team shares
            continue
        if (signer.public_key, signer.fingerprint) != (record.public_key, record.fingerprint):
            raise LedgerError(
                f"The ledger lists another public key for the signer {record.fingerprint} "
                "than its key in the vault gives.",
                "Restore the ledger from a copy, or make another signer with `vtune signer new`.",
            )
        return signer
    return new_signer(ledger, vault)


def public_pem(record: SignerRecord) -> bytes:
    """Return the public key of a signer as PEM, for `vtune check --key` and for openssl."""
    return to_pem(record.public_key)
