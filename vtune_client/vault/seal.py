"""Seal bytes under a root key, so that they open unchanged, for the same purpose, or not at all.

    sealed = version (1 byte) | salt (32) | ChaCha20-Poly1305 ciphertext and tag (16)

One root key seals many messages, more than a 12-byte random nonce could safely tell apart. So
every message has a key and a nonce of its own, from HKDF-SHA256 over the root key and a 32-byte
random salt. Version and purpose enter both that derivation and the authenticated data.
"""

from __future__ import annotations

import secrets

from vtune_client.errors import SealBroken
from vtune_client.vault.interface import RootKey, expand

VERSION = 1
SALT_BYTES = 32
TAG_BYTES = 16
_KEY_BYTES = 32
_NONCE_BYTES = 12
_ADVICE = "Restore the record from a copy, or plant the file again."


def seal(key: RootKey, plain: bytes, *, purpose: str) -> bytes:
    """Return `plain` sealed under `key`, 49 bytes longer; `purpose` is needed again to open it."""
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    salt = secrets.token_bytes(SALT_BYTES)
    context = _context(purpose)
    message_key, nonce = _message_key(key, salt, context)
    return bytes([VERSION]) + salt + ChaCha20Poly1305(message_key).encrypt(nonce, plain, context)


def open_sealed(key: RootKey, sealed: bytes, *, purpose: str) -> bytes:
    """Return what was sealed; `SealBroken` on any change, another key or another purpose."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    if len(sealed) < 1 + SALT_BYTES + TAG_BYTES:
        raise SealBroken("Sealed data is cut short.", _ADVICE)
    if sealed[0] != VERSION:
        raise SealBroken(
            "Sealed data is in a format this version does not know.",
            "Upgrade vtune-client; if it is up to date, restore the record from a copy.",
        )
    salt, body = sealed[1 : 1 + SALT_BYTES], sealed[1 + SALT_BYTES :]
    context = _context(purpose)
    message_key, nonce = _message_key(key, salt, context)
    try:
        return ChaCha20Poly1305(message_key).decrypt(nonce, body, context)
    except InvalidTag:
        raise SealBroken(
            "Sealed data does not open: it was changed, or sealed for something else.", _ADVICE
        ) from None


def _context(purpose: str) -> bytes:
    return b"vtune seal\0" + bytes([VERSION]) + purpose.encode()


def _message_key(key: RootKey, salt: bytes, context: bytes) -> tuple[bytes, bytes]:
    block = expand(key, context, _KEY_BYTES + _NONCE_BYTES, salt=salt)
    return block[:_KEY_BYTES], block[_KEY_BYTES:]
