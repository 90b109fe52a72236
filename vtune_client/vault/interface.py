"""What a vault is: a place that keeps one 32-byte root key per plan."""

from __future__ import annotations

import hmac
import secrets
from typing import Protocol

KEY_BYTES = 32


class RootKey:
    """The 32 secret bytes from which everything secret about one plan follows.

    Shows nothing of itself when printed, and compares in constant time.
    """

    __slots__ = ("_bytes",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a root key has {KEY_BYTES} bytes")
        self._bytes = bytes(key)

    @classmethod
    def new(cls) -> RootKey:
        """Return a fresh key from the operating system's randomness."""
        return cls(secrets.token_bytes(KEY_BYTES))

    def derive(self, label: str) -> bytes:
        """Return the 32-byte subkey named `label` (HKDF-SHA256, RFC 5869)."""
        return expand(self, b"vtune root key\0" + label.encode(), KEY_BYTES)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RootKey):
            return NotImplemented
        return hmac.compare_digest(self._bytes, other._bytes)

    def __hash__(self) -> int:
        return hash(self._bytes)

    def __repr__(self) -> str:
        return "<RootKey>"

    @property
    def bytes(self) -> bytes:
        return self._bytes


def expand(key: RootKey, info: bytes, length: int, *, salt: bytes | None = None) -> bytes:
    """Return `length` bytes of HKDF-SHA256 over the key (RFC 5869)."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(key.bytes)


def new_key_id() -> str:
    """Return a random id of 32 hex digits; it says nothing about the plan or the file."""
    return secrets.token_hex(16)


class Vault(Protocol):
    """Keeps root keys under opaque ids. Calls block, and may wait for the user to unlock it.

    Every method raises `NoVault` where there is no such vault, `VaultLocked` where it stays closed,
    and `SecretsError` where it fails in some other way. None ever falls back to another vault.
    """

    @property
    def name(self) -> str:
        """What this vault is called on the command line: "keyring" or "file"."""

    def put(self, key_id: str, key: RootKey) -> None:
        """Keep `key` under `key_id`, in place of any earlier one; on return it is stored."""

    def get(self, key_id: str) -> RootKey:
        """Return the key; `KeyMissing` if there is none, `SealBroken` if it is damaged."""

    def delete(self, key_id: str) -> None:
        """Forget the key; one already absent is no error."""

    def check(self) -> None:
        """Raise the error that `put` would raise now, before anything depends on it."""
