from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtune_client.errors import SealBroken
from vtune_client.vault import RootKey, open_sealed, seal

KEY = RootKey(bytes(range(32)))
PLAIN = b"the plan of one file"


@given(plain=st.binary(max_size=300), purpose=st.text(max_size=20))
def test_what_was_sealed_opens(plain: bytes, purpose: str) -> None:
    sealed = seal(KEY, plain, purpose=purpose)
    assert open_sealed(KEY, sealed, purpose=purpose) == plain
    assert len(sealed) == len(plain) + 49


@given(data=st.data(), flip=st.integers(1, 255))
def test_any_changed_byte_breaks_the_seal(data: st.DataObject, flip: int) -> None:
    sealed = bytearray(seal(KEY, PLAIN, purpose="plan"))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= flip
    with pytest.raises(SealBroken):
        open_sealed(KEY, bytes(sealed), purpose="plan")


def test_any_cut_or_addition_breaks_the_seal() -> None:
    sealed = seal(KEY, PLAIN, purpose="plan")
    for changed in [*(sealed[:end] for end in range(len(sealed))), sealed + b"\0", sealed[1:]]:
        with pytest.raises(SealBroken):
            open_sealed(KEY, changed, purpose="plan")


@pytest.mark.parametrize("purpose", ["", "plan ", "Plan", "job"])
def test_another_purpose_does_not_open(purpose: str) -> None:
    with pytest.raises(SealBroken):
        open_sealed(KEY, seal(KEY, PLAIN, purpose="plan"), purpose=purpose)


def test_another_key_does_not_open() -> None:
    with pytest.raises(SealBroken):
        open_sealed(RootKey.new(), seal(KEY, PLAIN, purpose="plan"), purpose="plan")


def test_a_version_of_the_future_is_named_as_such() -> None:
    sealed = b"\x02" + seal(KEY, PLAIN, purpose="plan")[1:]
    with pytest.raises(SealBroken, match="Upgrade"):
        open_sealed(KEY, sealed, purpose="plan")


def test_the_same_bytes_never_seal_alike() -> None:
    sealed = {seal(KEY, PLAIN, purpose="plan") for _ in range(50)}
    assert len({s[1:33] for s in sealed}) == 50  # salts
    assert len({s[33:] for s in sealed}) == 50  # bodies: each under a key of its own
    assert all(PLAIN not in s for s in sealed)


def test_a_seal_of_today_opens_tomorrow() -> None:
    # Sealed once with version 1 of the format; a failure here means that old plans are lost.
    sealed = bytes.fromhex(
        "0163a88c303f38511de48a3d1065745a83e47eafb305c09cea2ba3900a505b74de6bcce64bcce2ab"
        "4048f2bcb62e8c0180a061203b91cc85dbc8d9150cd73251a3141a3fe2"
    )
    assert open_sealed(KEY, sealed, purpose="plan") == PLAIN


def test_no_secret_is_in_the_error() -> None:
    sealed = seal(KEY, PLAIN, purpose="plan")
    with pytest.raises(SealBroken) as caught:
        open_sealed(KEY, sealed[:-1], purpose="plan")
    assert "plan of one file" not in str(caught.value)
    assert caught.value.exit_code == 5
