"""A plan handed to a colleague: all that verifying takes, for nobody else to read.

    file = MAGIC | version (1 byte) | whom it is for (32) | HPKE ciphertext

Sealed to the recipient's X25519 key by HPKE (RFC 9180: base mode, DHKEM(X25519, HKDF-SHA256),
HKDF-SHA256, ChaCha20-Poly1305), with all that stands before the ciphertext as its `info`. Inside is
a DSSE envelope, signed by the sender, whose statement names the recipient: base mode does not say
who sealed it, and what was signed for one must not be passed on to another as if it were meant for
them. Any changed byte is refused, and so is any other recipient.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtune_client.errors import InputError, KeyMissing, SealBroken, SecretsError
from vtune_client.ledger import Ledger
from vtune_client.ledger.transfer import add_rows, rows_of
from vtune_client.plan import load_plan
from vtune_client.rounds import SCORES
from vtune_client.signing import fingerprint, open_envelope, signer_from
from vtune_client.vault import RootKey, Vault, new_key_id, open_sealed

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.hpke import Suite

    from vtune_client.ledger.transfer import Rows

MAGIC, VERSION = b"vtune handover\0", 1
PAYLOAD_TYPE = "application/vnd.vtune.handover+json"
PREFIX = "x25519:"
KEY_ID = "handover key"  # in the vault: one for each person, whatever the home
KEY_BYTES = 32
MOST_BYTES = 64 * 2**20
_HEAD = len(MAGIC) + 1 + KEY_BYTES
_ADVICE = "Ask the sender to hand the plan over again."


@dataclass(frozen=True)
class Parcel:
    """What was handed over, opened: `sender` is the fingerprint of the key that signed it."""

    plan_id: str
    sender: str
    created: str
    sha256: str
    key: RootKey
    rows: Rows = field(repr=False)

    def count(self, table: str) -> int:
        return len(self.rows.get(table, ()))


class _Statement(BaseModel):
    """What the sender signs."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)

    format: Literal["vtune.handover/1"]
    to: str
    created: str
    plan: str
    key: str = Field(repr=False)
    rows: dict[str, list[dict[str, Any]]] = Field(repr=False)


def public_key(vault: Vault) -> bytes:
    """Return the public half of this person's key (32 bytes), made when it is first asked for."""
    try:
        private = vault.get(KEY_ID)
    except KeyMissing:
        private = RootKey.new()
        vault.put(KEY_ID, private)
    return _public(private)


def to_text(public: bytes) -> str:
    """Return a public key as it is given to others: "x25519:" and base64url."""
    return PREFIX + base64.urlsafe_b64encode(public).decode().rstrip("=")


def from_text(text: str) -> bytes:
    """Return the public key that `to_text` wrote; `InputError` for anything else."""
    bare = text.strip().removeprefix(PREFIX)
    try:
        public = base64.b64decode(bare + "=" * (-len(bare) % 4), altchars=b"-_", validate=True)
    except ValueError:
        public = b""
    if len(public) != KEY_BYTES or to_text(public) != text.strip():
        raise InputError(
            "This is no public key for handing over.",
            "Take the line that `vtune handover key` prints for the recipient.",
        )
    return public


def seal_plan(
    ledger: Ledger, vault: Vault, plan_id: str, to: bytes, *, answers: bool = True
) -> bytes:
    """Return a plan with its jobs, verifications and commitments, sealed to the public key `to`.

    Without `answers` those go along that say to whom a signature was shown, and no others: whoever
    does not know would ask a service again that was told the answers."""
    record = ledger.plan(plan_id)
    rows = dict(rows_of(ledger, record.id))
    if not answers:
        rows["answers"] = [row for row in rows["answers"] if row["item"].startswith(SCORES)]
    signer = signer_from(ledger, vault)
    statement = {
        "format": "vtune.handover/1",
        "to": fingerprint(to),
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "plan": record.id,
        "key": base64.b64encode(vault.get(record.key_id).bytes).decode(),
        "rows": rows,
    }
    content = _sealed(signer.sign(json.dumps(statement).encode(), PAYLOAD_TYPE), to)
    told = {"to": fingerprint(to), "sha256": hashlib.sha256(content).hexdigest()}
    counts = {name: len(rows[name]) for name in ("jobs", "verifications", "answers")}
    ledger.record("plan handed over", record.id, {**told, **counts})
    return content


def open_parcel(vault: Vault, content: bytes) -> Parcel:
    """Return what a colleague handed over; nothing is kept yet.

    Raises `InputError` for what is no handover, is for somebody else, or was changed."""
    try:
        private = vault.get(KEY_ID)
    except KeyMissing:
        raise InputError(
            "There is no handover key in this vault, so nothing can be for it.",
            "Run `vtune handover key`, and give the sender what it prints.",
        ) from None
    opened = open_envelope(_unsealed(content, private))
    signed = [signature for signature in opened.signatures if signature.valid]
    if opened.payload_type != PAYLOAD_TYPE or len(opened.signatures) != 1 or not signed:
        raise InputError("The handover is not signed by one sender.", _ADVICE)
    try:
        statement = _Statement.model_validate_json(opened.payload)
        key = RootKey(base64.b64decode(statement.key, validate=True))
    except (ValidationError, ValueError):
        raise InputError("The handover does not hold what one is to hold.", _ADVICE) from None
    if statement.to != fingerprint(_public(private)):
        raise InputError("The handover was signed for somebody else.", _ADVICE)
    parcel = Parcel(
        plan_id=statement.plan,
        sender=signed[0].fingerprint,
        created=statement.created,
        sha256=hashlib.sha256(content).hexdigest(),
        key=key,
        rows=statement.rows,
    )
    _require_plan(parcel)
    return parcel


def take_in(ledger: Ledger, vault: Vault, parcel: Parcel) -> None:
    """Keep what was handed over: the root key in the vault, the rest in the ledger, or nothing.

    In a ledger that both share the plan is there already, and the key alone is taken. Raises
    `InputError` where another plan of that id, or anything else of it, is here already."""
    told = {"by": parcel.sender, "sha256": parcel.sha256}
    here = next((each for each in ledger.plans() if each.id == parcel.plan_id), None)
    if here is None:
        # A key id of the sender's choice could stand for another key of this vault.
        key_id = new_key_id()
        plans = [{**row, "key_id": key_id} for row in parcel.rows["plans"]]
        vault.put(key_id, parcel.key)
        try:
            rows = {**parcel.rows, "plans": plans}
            add_rows(ledger, parcel.plan_id, rows, "plan taken in", told)
        except BaseException:
            with suppress(SecretsError):
                vault.delete(key_id)
            raise
        return
    if here.sealed != _sealed_plan(parcel):
        raise InputError(
            f"The ledger holds another plan {parcel.plan_id}.",
            "Nothing was taken in. Use a home of its own (VTUNE_HOME) for what was handed over.",
        )
    try:
        vault.get(here.key_id)
    except KeyMissing:
        vault.put(here.key_id, parcel.key)
        ledger.record("key taken in", parcel.plan_id, told)
        return
    raise InputError(f"{parcel.plan_id} is here already, and so is its key.", "Use it as it is.")


def _require_plan(parcel: Parcel) -> None:
    """Raise `InputError` unless there is one plan and the key opens it."""
    try:
        plain = open_sealed(parcel.key, _sealed_plan(parcel), purpose=parcel.plan_id)
    except SealBroken:
        raise InputError("The key that was handed over does not open the plan.", _ADVICE) from None
    if load_plan(plain).id != parcel.plan_id:
        raise InputError("The plan that was handed over is another one.", _ADVICE)


def _sealed_plan(parcel: Parcel) -> bytes:
    rows: Sequence[Mapping[str, Any]] = parcel.rows.get("plans", ())
    try:
        [row] = rows
        return base64.b64decode(row["sealed"], validate=True)
    except (ValueError, KeyError, TypeError):
        raise InputError("The handover does not hold one plan.", _ADVICE) from None


def _sealed(envelope: bytes, to: bytes) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    if len(envelope) > MOST_BYTES:
        raise InputError(
            f"The plan and its answers are larger than {MOST_BYTES // 2**20} MiB.",
            "Hand it over without the answers.",
        )
    head = MAGIC + bytes([VERSION]) + hashlib.sha256(to).digest()
    try:
        return head + _suite().encrypt(envelope, X25519PublicKey.from_public_bytes(to), head)
    except ValueError:  # a point of small order: everybody could open what is sealed to it
        raise InputError(
            "The public key is none that anything can be sealed to.",
            "Take the line that `vtune handover key` prints for the recipient.",
        ) from None


def _unsealed(content: bytes, private: RootKey) -> bytes:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    head = content[:_HEAD]
    if not head.startswith(MAGIC) or len(head) < _HEAD:
        raise InputError(
            "This is no handover.", "Take the file that `vtune handover export` wrote."
        )
    if head[len(MAGIC)] != VERSION:
        raise InputError("The handover is of a version not known here.", "Upgrade vtune-client.")
    mine, wanted = fingerprint(_public(private)), f"SHA256:{head[-KEY_BYTES:].hex()}"
    if mine != wanted:
        raise InputError(
            f"The handover is for the key {wanted}, and yours is {mine}.",
            "Ask the sender to hand it over to your key: `vtune handover key`.",
        )
    try:
        key = X25519PrivateKey.from_private_bytes(private.bytes)
        return _suite().decrypt(content[_HEAD:], key, head)
    except (InvalidTag, ValueError):
        raise InputError("The handover was changed on its way, or cut short.", _ADVICE) from None


def _suite() -> Suite:
    from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

    return Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def _public(private: RootKey) -> bytes:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return X25519PrivateKey.from_private_bytes(private.bytes).public_key().public_bytes_raw()
