from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from tests.signing import curve
from vtune_client.errors import InputError
from vtune_client.signing import Ed25519Signer, fingerprint, from_pem
from vtune_client.signing.keys import is_weak, to_pem, verifies
from vtune_client.vault import RootKey

# RFC 8032, section 7.1, test 2.
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
MESSAGE = b"\x72"


def test_a_signature_of_the_rfc_verifies() -> None:
    assert verifies(PUBLIC, SIGNATURE, MESSAGE)
    assert not is_weak(PUBLIC)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_any_changed_bit_of_it_does_not(part: int) -> None:
    for bit in range(8 * len((PUBLIC, SIGNATURE, MESSAGE)[part])):
        parts = [bytearray(PUBLIC), bytearray(SIGNATURE), bytearray(MESSAGE)]
        parts[part][bit // 8] ^= 1 << bit % 8
        key, signature, message = map(bytes, parts)
        assert not verifies(key, signature, message), bit


def test_a_key_or_signature_of_another_length_does_not_verify() -> None:
    assert not any(verifies(PUBLIC, SIGNATURE[:end], MESSAGE) for end in range(64))
    assert not any(verifies(PUBLIC[:end], SIGNATURE, MESSAGE) for end in range(32))
    assert not verifies(PUBLIC, SIGNATURE + b"\0", MESSAGE)
    assert not verifies(PUBLIC + b"\0", SIGNATURE, MESSAGE)


def test_the_second_form_of_a_signature_does_not_verify() -> None:
    """S + L satisfies the same equation; RFC 8032, section 5.1.7, has it refused."""
    s = int.from_bytes(SIGNATURE[32:], "little") + curve.ORDER
    assert not verifies(PUBLIC, SIGNATURE[:32] + s.to_bytes(32, "little"), MESSAGE)


def test_there_are_eight_points_of_small_order_and_each_is_weak() -> None:
    points = curve.small_order()
    assert len(points) == 8
    for point in points:
        assert is_weak(curve.encode(point))
        with pytest.raises(InputError, match="anybody can sign"):
            from_pem(to_pem(curve.encode(point)))


def test_a_signature_that_fits_every_message_does_not_verify() -> None:
    """Under the key 1 (the neutral point), R = 1 and S = 0 fit whatever is said."""
    neutral = curve.encode(curve.IDENTITY)
    forged = neutral + bytes(32)
    Ed25519PublicKey.from_public_bytes(neutral).verify(forged, b"anything")  # the library's view
    assert not verifies(neutral, forged, b"anything")


def test_one_point_has_one_encoding() -> None:
    for y in range(curve.PRIME, 2**255):
        for sign in (0, 1 << 255):
            assert is_weak((y | sign).to_bytes(32, "little"))
    assert is_weak((1 | 1 << 255).to_bytes(32, "little"))  # the neutral point's x has no sign


@given(st.binary(min_size=32, max_size=32))
def test_keys_as_they_are_drawn_are_not_weak(seed: bytes) -> None:
    assert not is_weak(Ed25519Signer(RootKey(seed)).public_key)


@given(st.binary(max_size=40), st.binary(max_size=70), st.binary(max_size=10))
def test_whatever_it_is_given_it_never_raises(key: bytes, signature: bytes, message: bytes) -> None:
    assert not verifies(key, signature, message)


def test_a_key_survives_its_file() -> None:
    assert from_pem(to_pem(PUBLIC)) == PUBLIC


def test_the_fingerprint_is_that_of_the_raw_key() -> None:
    hexadecimal = "39f713d0a644253f04529421b9f51b9b08979d08295959c4f3990ee617f5139f"
    assert fingerprint(PUBLIC) == f"SHA256:{hexadecimal}"  # by sha256sum


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_keys_of_other_kinds_are_refused(kind: str) -> None:
    private = (
        rsa.generate_private_key(65537, 2048)
        if kind == "rsa"
        else ec.generate_private_key(ec.SECP256R1())
    )
    pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    with pytest.raises(InputError, match="not of the kind Ed25519"):
        from_pem(pem)


@pytest.mark.parametrize("pem", [b"", b"\xff", b"-----BEGIN PUBLIC KEY-----\n!\n", PUBLIC])
def test_what_is_no_key_is_refused(pem: bytes) -> None:
    with pytest.raises(InputError, match="no public key"):
        from_pem(pem)
