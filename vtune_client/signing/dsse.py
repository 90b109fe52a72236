"""Signed envelopes: DSSE 1.0.2 (github.com/secure-systems-lab/dsse), read strictly.

What is signed is PAE(type, payload), so neither can be read as the other. Each signature carries
its public key in PEM beside the key id, for readers who have no other copy. Both are unsigned
hints: that a signature is valid says nothing before its key is known from elsewhere (a key file,
or the signer that a commitment names).

Stricter than DSSE: fields that it does not define are refused, not passed over. Nothing unsigned
shall stand in an envelope where a reader could take it for signed.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtune_client import strict_json
from vtune_client.errors import InputError
from vtune_client.signing.keys import fingerprint, from_pem, to_pem, verifies

IN_TOTO = "application/vnd.in-toto+json"
MOST_BYTES = 96 * 2**20
MOST_SIGNATURES = 16
_ADVICE = "Take the file as the signer gave it."


@dataclass(frozen=True)
class Signature:
    """One signature: `public_key` is the 32 bytes it was checked with (empty where none was known).

    `keyid` is what the envelope says, unsigned. `reason` says why it is not valid. `identity` is by
    whom a keyless signature was found to be made."""

    keyid: str
    public_key: bytes
    valid: bool
    reason: str = ""
    identity: str = ""

    @property
    def fingerprint(self) -> str:
        """By what its maker is known: this, and not `keyid`, is what to compare."""
        return self.identity or (fingerprint(self.public_key) if self.public_key else "")


@dataclass(frozen=True)
class Opened:
    """What an envelope holds; trust it as far as one of the valid signatures' keys is trusted."""

    payload: bytes
    payload_type: str
    signatures: tuple[Signature, ...]

    def signed_by(self, fingerprint: str) -> bool:
        """Say whether a valid signature is by the key with this fingerprint."""
        return any(s.valid and s.fingerprint == fingerprint for s in self.signatures)


def pae(payload: bytes, payload_type: str) -> bytes:
    """Return the bytes that are signed (DSSE protocol, PAE)."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def envelope(payload: bytes, payload_type: str, public_key: bytes, signature: bytes) -> bytes:
    """Return the envelope of one signature, JSON on one line."""
    one = {
        "keyid": fingerprint(public_key),
        "sig": base64.b64encode(signature).decode(),
        "publicKey": to_pem(public_key).decode(),
    }
    return json.dumps(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": payload_type,
            "signatures": [one],
        }
    ).encode()


def open_envelope(data: bytes, keys: Sequence[bytes] = ()) -> Opened:
    """Return what an envelope holds, with each signature checked.

    A signature is tried with `keys` (public, 32 bytes each), then with the key it carries.
    Raises `InputError` for what is no envelope; a signature that does not verify is reported."""
    read = _read(data)
    message = pae(read.payload, read.payload_type)
    checked = tuple(_checked(signature, message, keys) for signature in read.signatures)
    return Opened(read.payload, read.payload_type, checked)


class _Signature(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    keyid: Annotated[str, Field(max_length=256)] = ""
    sig: str
    public_key: Annotated[str, Field(alias="publicKey", max_length=4096)] = ""


class _Envelope(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    payload: str
    payload_type: Annotated[str, Field(alias="payloadType", min_length=1, max_length=256)]
    signatures: Annotated[list[_Signature], Field(min_length=1, max_length=MOST_SIGNATURES)]


@dataclass(frozen=True)
class _Read:
    payload: bytes
    payload_type: str
    signatures: Sequence[_Signature]


def _read(data: bytes) -> _Read:
    if len(data) > MOST_BYTES:
        raise _refused(f"it is larger than {MOST_BYTES // 2**20} MiB")
    try:
        parsed = _Envelope.model_validate(_json(data))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise _refused(f"{where!a}: {first['msg'].lower()}") from None
    payload = _base64(parsed.payload)
    if payload is None:
        raise _refused("'payload' is not base64")
    return _Read(payload, parsed.payload_type, parsed.signatures)


def _checked(signature: _Signature, message: bytes, keys: Sequence[bytes]) -> Signature:
    sig = _base64(signature.sig)
    if sig is None:
        return Signature(signature.keyid, b"", valid=False, reason="it is not base64")
    for key in keys:
        if verifies(key, sig, message):
            return Signature(signature.keyid, key, valid=True)
    if not signature.public_key:
        return Signature(signature.keyid, b"", valid=False, reason="no key is known for it")
    try:
        carried = from_pem(signature.public_key.encode())
    except InputError as error:
        return Signature(signature.keyid, b"", valid=False, reason=error.message.rstrip("."))
    if signature.keyid not in ("", fingerprint(carried)):
        reason = "the key that it carries is not the one that it names"
        return Signature(signature.keyid, carried, valid=False, reason=reason)
    valid = verifies(carried, sig, message)
    reason = "" if valid else "it does not fit the payload and the key"
    return Signature(signature.keyid, carried, valid=valid, reason=reason)


def _json(data: bytes) -> Any:
    """Parse JSON as RFC 8259 has it: UTF-8 and no name twice."""
    try:
        return strict_json.loads(data)
    except UnicodeDecodeError:
        raise _refused("it is not text in UTF-8") from None
    except RecursionError:
        raise _refused("it is nested too deeply") from None
    except ValueError as error:
        raise _refused(f"it is not one JSON object ({error})") from None


def _base64(text: str) -> bytes | None:
    """Decode standard or URL-safe base64; None for anything but the one encoding of the bytes."""
    plain = text.replace("-", "+").replace("_", "/")
    try:
        raw = base64.b64decode(plain, validate=True)
    except ValueError:
        return None
    encodings = (base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode())
    return raw if text in encodings else None


def _refused(reason: str) -> InputError:
    return InputError(f"This is no signed envelope: {reason}.", _ADVICE)
