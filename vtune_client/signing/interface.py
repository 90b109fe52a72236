"""Who can sign a statement."""

from __future__ import annotations

from typing import Protocol


class Signer(Protocol):
    """Signs bytes of a stated type, as an envelope that names the key."""

    @property
    def fingerprint(self) -> str:
        """By what the signer is known to others: public, and fit for a commitment."""

    def sign(self, payload: bytes, payload_type: str) -> bytes:
        """Return the signed envelope, JSON in UTF-8."""
