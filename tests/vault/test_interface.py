from __future__ import annotations

import hmac
import os
import subprocess
import sys

import pytest

from vtune_client.vault import RootKey, new_key_id

KEY = RootKey(bytes(range(32)))


def test_a_new_key_is_32_fresh_bytes() -> None:
    keys = {RootKey.new().bytes for _ in range(20)}
    assert len(keys) == 20
    assert {len(key) for key in keys} == {32}


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RootKey(bytes(length))


def test_a_key_shows_nothing_of_itself() -> None:
    shown = f"{KEY} {KEY!r} {[KEY]}"
    assert shown == "<RootKey> <RootKey> [<RootKey>]"
    assert not hasattr(KEY, "__dict__")


def test_keys_compare_by_their_bytes() -> None:
    assert RootKey(KEY.bytes) == KEY
    assert hash(RootKey(KEY.bytes)) == hash(KEY)
    assert RootKey.new() != KEY
    assert KEY.bytes != KEY


def test_a_subkey_is_hkdf_sha256_of_the_label() -> None:
    # By hand, after RFC 5869: extract with an all-zero salt, then one block of expand.
    extracted = hmac.digest(bytes(32), KEY.bytes, "sha256")
    expected = hmac.digest(extracted, b"vtune root key\0plan\x01", "sha256")
    assert KEY.derive("plan") == expected


def test_subkeys_of_other_labels_and_keys_differ() -> None:
    subkeys = {KEY.derive("plan"), KEY.derive("commitment"), RootKey(bytes(32)).derive("plan")}
    assert len(subkeys) == 3
    assert KEY.bytes not in subkeys


def test_key_ids_are_random_hex() -> None:
    ids = {new_key_id() for _ in range(20)}
    assert len(ids) == 20
    assert all(len(key_id) == 32 and int(key_id, 16) >= 0 for key_id in ids)


def test_importing_the_vault_loads_nothing_heavy() -> None:
    code = (
        "import sys, vtune_client.vault;"
        "print([m for m in ('cryptography', 'keyring', 'pydantic') if m in sys.modules])"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[]"
