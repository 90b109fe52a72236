"""Signatures: who signed a statement, told by a public key that anybody can check."""

from __future__ import annotations

from vtune_client.signing.dsse import IN_TOTO, Opened, Signature, open_envelope
from vtune_client.signing.ed25519 import Ed25519Signer, new_signer, public_pem, signer_from
from vtune_client.signing.interface import Signer
from vtune_client.signing.keys import fingerprint, from_pem

__all__ = [
    "IN_TOTO",
    "Ed25519Signer",
    "Opened",
    "Signature",
    "Signer",
    "fingerprint",
    "from_pem",
    "new_signer",
    "open_envelope",
    "public_pem",
    "signer_from",
]
