"""What a signed statement and a reveal file hold, as they are written and strictly read.

A statement is an in-toto Statement (v1, github.com/in-toto/attestation): its subjects are the two
training files, its predicate the verdict with all that is needed to compute every number of it
again. It holds no secret. A reveal file opens some leaves of the commitment and what was answered
about them: whoever reads it knows those backdoors.
"""

from __future__ import annotations

import json
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtune_client import strict_json
from vtune_client.errors import InputError

MOST_BYTES = 64 << 20  # of a statement or a reveal file

# What no statement can show, said in each of them.
LIMITS = (
    "The transcript is the auditor's: a statement shows that its numbers follow from the answers "
    "recorded, not that the service gave them. Asking the reserve again shows that.",
    "An auditor who tried many root keys before committing could have chosen the luckiest: 2^k "
    "keys make p up to 2^k times as large, which at 1e-40 and below changes nothing.",
    "What a verdict proves and does not prove is said in the verdict itself.",
)

Hex = Field(pattern=r"^[0-9a-f]{64}$")
Read = TypeVar("Read", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)


class Subject(_Strict):
    """A file by its digest."""

    name: str
    digest: dict[str, str]


class Log(_Strict):
    """What the auditor's log says of this verification; `head` is the log's last entry then."""

    entries: list[dict[str, Any]]
    head: dict[str, Any] | None


class Predicate(_Strict):
    """The verdict and what it rests on. `draws` opens the leaf of draws that deal labels anew,
    `transcript` has the salted digest of everything that was answered, by item."""

    schema_: Literal["vtune.statement/1"] = Field(default="vtune.statement/1", alias="schema")
    created: str
    commitment: dict[str, Any]
    commitment_sha256: str = Hex
    leaves: list[str]
    draws: dict[str, Any]
    receipts: list[dict[str, Any]]
    plan: dict[str, Any]
    job: dict[str, Any] | None
    verdict: dict[str, Any]
    transcript: dict[str, str]
    log: Log
    limits: list[str]


class Statement(_Strict):
    """An in-toto Statement with our predicate."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(
        default="https://in-toto.io/Statement/v1", alias="_type"
    )
    subject: list[Subject]
    predicateType: Literal["urn:vtune-client:verification:1"] = "urn:vtune-client:verification:1"
    predicate: Predicate

    def payload(self) -> bytes:
        """Return the bytes that are signed."""
        return _written(self)


class Item(_Strict):
    """Something that was learned from a service: `value` is as the ledger keeps it."""

    salt: str = Hex
    value: Any


class Reveal(_Strict):
    """What opens a part of a statement: leaves by their number, and what was answered, by item.

    `root_key` opens everything about the plan, the reserve too."""

    schema_: Literal["vtune.reveal/1"] = Field(default="vtune.reveal/1", alias="schema")
    verification: str
    commitment_sha256: str = Hex
    leaves: dict[str, dict[str, Any]]
    items: dict[str, Item]
    root_key: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")

    def __repr__(self) -> str:
        return f"<Reveal {self.verification}>"

    def to_bytes(self) -> bytes:
        """Return the file's content."""
        return _written(self)


def read_statement(payload: bytes) -> Statement:
    """Return the statement in an envelope's payload; `InputError` for what is none."""
    return _read(Statement, payload, "The payload")


def read_reveal(data: bytes, name: str) -> Reveal:
    """Return what the reveal file `name` holds; `InputError` for what is none."""
    return _read(Reveal, data, name)


def read_json(data: bytes, name: str) -> Any:
    """Return a JSON value in which no name stands twice and no number is not one."""
    if len(data) > MOST_BYTES:
        raise InputError(f"{name} is larger than {MOST_BYTES >> 20} MiB.", "Name the right file.")
    try:
        return strict_json.loads(data)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{name} is no JSON: line {error.lineno}: {error.msg}.", "Name the right file."
        ) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name} cannot be read: {error}.", "Name the right file.") from None


def _written(model: BaseModel) -> bytes:
    # Escaped: what a service answered may hold half a surrogate pair.
    return json.dumps(model.model_dump(by_alias=True), ensure_ascii=True).encode()


def _read(kind: type[Read], data: bytes, name: str) -> Read:
    value = read_json(data, name)
    try:
        found = kind.model_validate(value)
    except ValidationError as error:
        # Where, not what: a reveal file holds secrets.
        first = error.errors(include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise InputError(
            f"{name} is not a {kind.__name__.lower()} that this version knows: {place}: "
            f"{first['msg']}.",
            "Upgrade vtune-client if it is newer; otherwise it was changed.",
        ) from None
    if found.model_dump(by_alias=True) != value:
        raise InputError(f"{name} does not say in full what it is.", "Take the file as written.")
    return found
