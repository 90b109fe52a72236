from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.signing import curve
from vtune_client.errors import InputError
from vtune_client.signing import (
    IN_TOTO,
    Ed25519Signer,
    Signature,
    fingerprint,
    open_envelope,
)
from vtune_client.signing.dsse import MOST_SIGNATURES, pae
from vtune_client.signing.keys import to_pem
from vtune_client.vault import RootKey

SIGNER = Ed25519Signer(RootKey(bytes(range(32))))
OTHER = Ed25519Signer(RootKey(bytes(32)))
PAYLOAD = b'{"_type": "https://in-toto.io/Statement/v1"}'
ENVELOPE = SIGNER.sign(PAYLOAD, IN_TOTO)


def changed(**fields: Any) -> bytes:
    """Return the envelope with these fields in place of its own, of its signature or of itself."""
    data = json.loads(ENVELOPE)
    for name, value in fields.items():
        inner = name in data["signatures"][0]
        (data["signatures"][0] if inner else data)[name] = value
    return json.dumps(data).encode()


def only(data: bytes, *keys: bytes) -> Signature:
    (signature,) = open_envelope(data, keys).signatures
    return signature


@given(st.binary(max_size=300), st.text(min_size=1, max_size=40).filter(str.isprintable))
def test_what_was_signed_opens(payload: bytes, kind: str) -> None:
    opened = open_envelope(SIGNER.sign(payload, kind))
    assert (opened.payload, opened.payload_type) == (payload, kind)
    assert opened.signatures == (Signature(SIGNER.fingerprint, SIGNER.public_key, valid=True),)
    assert opened.signed_by(SIGNER.fingerprint)
    assert not opened.signed_by(OTHER.fingerprint)


def test_the_bytes_that_are_signed_are_those_of_the_specification() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"  # protocol.md
    assert pae(b"hello world", "http://example.com/HelloWorld") == expected
    assert pae("é".encode(), "é") == "DSSEv1 2 é 2 é".encode()  # lengths count bytes


def test_payload_and_type_cannot_be_told_another_way() -> None:
    for other in (changed(payloadType="text/plain"), changed(payload="e30=")):
        signature = only(other)
        assert (signature.valid, signature.reason) == (
            False,
            "it does not fit the payload and the key",
        )
        assert not open_envelope(other).signed_by(SIGNER.fingerprint)


def test_the_same_key_and_payload_give_the_same_envelope() -> None:
    assert SIGNER.sign(PAYLOAD, IN_TOTO) == ENVELOPE


def test_it_checks_with_keys_that_are_given() -> None:
    bare = changed(publicKey="", keyid="")
    assert only(bare) == Signature("", b"", valid=False, reason="no key is known for it")
    assert only(bare, OTHER.public_key, SIGNER.public_key) == Signature(
        "", SIGNER.public_key, valid=True
    )


def test_a_key_slipped_in_shows_by_its_fingerprint() -> None:
    """Anybody can sign with a key of their own; only the name is free to choose."""
    forged = json.loads(OTHER.sign(PAYLOAD, IN_TOTO))
    forged["signatures"][0]["keyid"] = SIGNER.fingerprint
    signature = only(json.dumps(forged).encode())
    assert (signature.valid, signature.keyid) == (False, SIGNER.fingerprint)
    assert signature.reason == "the key that it carries is not the one that it names"
    forged["signatures"][0]["keyid"] = ""
    opened = open_envelope(json.dumps(forged).encode())
    assert opened.signatures[0].valid
    assert opened.signed_by(OTHER.fingerprint)
    assert not opened.signed_by(SIGNER.fingerprint)


def test_a_key_under_which_anybody_signs_is_no_key() -> None:
    neutral = curve.encode(curve.IDENTITY)
    forged = changed(
        publicKey=to_pem(neutral).decode(),
        keyid=fingerprint(neutral),
        sig=base64.b64encode(neutral + bytes(32)).decode(),
    )
    assert not only(forged).valid
    assert not only(forged, neutral).valid


def test_each_of_several_signatures_is_told_by_itself() -> None:
    data = json.loads(ENVELOPE)
    data["signatures"] += json.loads(OTHER.sign(PAYLOAD, IN_TOTO))["signatures"]
    data["signatures"] += json.loads(OTHER.sign(b"{}", IN_TOTO))["signatures"]
    opened = open_envelope(json.dumps(data).encode())
    assert [signature.valid for signature in opened.signatures] == [True, True, False]
    assert opened.signed_by(SIGNER.fingerprint)
    assert opened.signed_by(OTHER.fingerprint)


@pytest.mark.parametrize(
    ("sig", "reason"),
    [
        ("", "it does not fit the payload and the key"),
        ("AAAA", "it does not fit the payload and the key"),
        ("not base64!", "it is not base64"),
        ("AA==\n", "it is not base64"),
        ("\ud800", "it is not base64"),
    ],
)
def test_a_broken_signature_is_reported(sig: str, reason: str) -> None:
    signature = only(changed(sig=sig))
    assert (signature.valid, signature.reason) == (False, reason)


@pytest.mark.parametrize("pem", ["x", "-----BEGIN PUBLIC KEY-----", "é" * 4096])
def test_a_broken_key_is_reported(pem: str) -> None:
    assert only(changed(publicKey=pem)).reason == "This is no public key in PEM"


def test_both_alphabets_of_base64_are_read_and_nothing_else() -> None:
    payload = b"\xfb\xff\xfe"
    data = json.loads(SIGNER.sign(payload, "x"))
    assert data["payload"] == "+//+"
    for alphabet in ("+//+", "-__-"):
        opened = open_envelope(json.dumps({**data, "payload": alphabet}).encode())
        assert (opened.payload, opened.signatures[0].valid) == (payload, True)
    for wrong in ("+__+", "+//+ ", "+//+\n", "+//", "+//+====", "+//+AB==", "=", "é"):
        with pytest.raises(InputError, match="'payload' is not base64"):
            open_envelope(json.dumps({**data, "payload": wrong}).encode())


REFUSED = {
    b"": "not one JSON object",
    b"{": "not one JSON object",
    b"[]": "valid dictionary",
    b"null": "valid dictionary",
    b"NaN": "NaN is no JSON",
    ENVELOPE + b"{}": "Extra data",
    ENVELOPE.decode().encode("utf-16"): "not text in UTF-8",
    b"\xef\xbb\xbf" + ENVELOPE: "not one JSON object",
    b"[" * 100_000: "nested too deeply",
    b'{"a": ' + b"9" * 5000 + b"}": "not one JSON object",
    ENVELOPE.replace(b'{"payload"', b'{"payload": "e30=", "payload"'): "a name stands twice",
    ENVELOPE.replace(b'"sig"', b'"sig": "e30=", "sig"'): "a name stands twice",
    changed(note="signed by the regulator"): "extra inputs are not permitted",
    changed(signatures=[]): "at least 1",
    changed(signatures=[{"sig": "", "cert": ""}]): "extra inputs are not permitted",
    changed(signatures=[{"keyid": ""}]): "field required",
    changed(signatures=[{"sig": 1}]): "valid string",
    changed(signatures="x"): "valid list",
    changed(signatures=[{"sig": ""}] * (MOST_SIGNATURES + 1)): "at most 16",
    changed(payload=1): "valid string",
    changed(payloadType=""): "at least 1",
    changed(payloadType="x" * 257): "at most 256",
    changed(payloadType="\ud800"): "unable to parse raw data",
    changed(keyid="x" * 257): "at most 256",
    changed(publicKey="\ud800"): "unable to parse raw data",
    b'{"payload": "", "payloadType": "x"}': "field required",
}


@pytest.mark.parametrize(("data", "reason"), REFUSED.items(), ids=range(len(REFUSED)))
def test_what_is_no_envelope_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as refused:
        open_envelope(data)
    assert refused.value.message.startswith("This is no signed envelope: ")
    assert len(refused.value.message) < 200


def test_a_huge_file_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtune_client.signing.dsse.MOST_BYTES", len(ENVELOPE))
    open_envelope(ENVELOPE)
    with pytest.raises(InputError, match="larger than"):
        open_envelope(ENVELOPE + b" ")


@given(st.data())
def test_no_changed_byte_gives_other_words_under_a_valid_signature(data: st.DataObject) -> None:
    raw = bytearray(ENVELOPE)
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        opened = open_envelope(bytes(raw))
    except InputError:
        return
    if opened.signed_by(SIGNER.fingerprint):
        assert (opened.payload, opened.payload_type) == (PAYLOAD, IN_TOTO)


def test_securesystemslib_verifies_it() -> None:
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    key = signer.SSlibKey(
        SIGNER.fingerprint, "ed25519", "ed25519", {"public": SIGNER.public_key.hex()}
    )
    found = dsse.Envelope.from_dict(json.loads(ENVELOPE))
    assert (found.payload, found.payload_type) == (PAYLOAD, IN_TOTO)
    assert found.verify([key], 1) == {SIGNER.fingerprint: key}
    other = dsse.Envelope.from_dict(json.loads(changed(payload="e30=")))
    with pytest.raises(Exception, match="do not match threshold"):
        other.verify([key], 1)


def test_an_envelope_of_securesystemslib_opens() -> None:
    dsse = pytest.importorskip("securesystemslib.dsse")
    signer = pytest.importorskip("securesystemslib.signer")
    theirs = signer.CryptoSigner.generate_ed25519()
    made = dsse.Envelope(PAYLOAD, IN_TOTO, {})
    made.sign(theirs)
    public = bytes.fromhex(theirs.public_key.keyval["public"])
    opened = open_envelope(json.dumps(made.to_dict()).encode(), [public])
    assert opened.payload == PAYLOAD
    assert opened.signed_by(fingerprint(public))


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_verifies_it(tmp_path: Path) -> None:
    """With what a stranger has: the envelope, the exported key, and DSSE's one line of rules."""
    data = json.loads(ENVELOPE)
    payload = base64.b64decode(data["payload"])
    kind = data["payloadType"].encode()
    said = b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
    (tmp_path / "key.pem").write_text(data["signatures"][0]["publicKey"], "utf-8")
    (tmp_path / "sig").write_bytes(base64.b64decode(data["signatures"][0]["sig"]))
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "key.pem"]
    for name, content, ends in (("said", said, 0), ("other", said + b" ", 1)):
        (tmp_path / name).write_bytes(content)
        ran = subprocess.run(
            [*command, "-in", name, "-sigfile", "sig"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        assert ran.returncode == ends
