"""Public Ed25519 keys: their fingerprint, their file, and what they verify.

A public key is 32 bytes here (RFC 8032, section 5.1.2). The `cryptography` package takes keys that
RFC 8032 leaves to the verifier: of small order, under which one signature fits every message, and
encodings of a number that is not below the field's prime. Whoever commits to such a key could say
later that anybody might have signed, so they count as no keys at all.
"""

from __future__ import annotations

import hashlib

from vtune_client.errors import InputError

PUBLIC_BYTES = 32
PREFIX = "SHA256:"

_PRIME = 2**255 - 19
# The y of the points whose order divides 8, the sign of x aside; the last two are of order 8.
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)
_ADVICE = "Ask the signer for the file that `vtune signer export` writes."


def fingerprint(public_key: bytes) -> str:
    """Return "SHA256:" and the hash of the 32 bytes in hex."""
    return PREFIX + hashlib.sha256(public_key).hexdigest()


def to_pem(public_key: bytes) -> bytes:
    """Return the key as PEM (SubjectPublicKeyInfo, RFC 8410), as openssl reads it."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    return Ed25519PublicKey.from_public_bytes(public_key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def from_pem(pem: bytes) -> bytes:
    """Return the 32 bytes of a PEM file; `InputError` for any other key, and for a weak one."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = serialization.load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError("This is no public key in PEM.", _ADVICE) from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError("This public key is not of the kind Ed25519.", _ADVICE)
    raw = key.public_bytes_raw()
    if is_weak(raw):
        raise InputError("This public key is one under which anybody can sign.", _ADVICE)
    return raw


def is_weak(public_key: bytes) -> bool:
    """Say whether these 32 bytes are of small order, or not the one encoding of their point."""
    y = int.from_bytes(public_key, "little") & (2**255 - 1)
    return y >= _PRIME or y in _SMALL_ORDER


def verifies(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Say whether this is the key's signature of the message; never raises."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if len(public_key) != PUBLIC_BYTES or is_weak(public_key):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
