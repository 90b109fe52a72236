"""Who can bear witness that a commitment was there at a time, and what it gives for that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtune_client.errors import InputError

DIGEST_BYTES = 32
FRESH = timedelta(hours=1)  # how far a witness's clock may be from ours when it is asked
MOST_LETTERS = 2**19  # of a receipt's data; an authority's answer with its chain has some 10,000


@dataclass(frozen=True)
class Receipt:
    """A witness's word that it saw a digest. `data` is what checks it: base64, as `kind` has it.

    `at` is the time that the witness states (ISO 8601, with its zone), `witness` its name."""

    kind: str
    witness: str
    at: str
    data: str

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Receipt:
        """Return the receipt of such a JSON object; `InputError` for any other."""
        try:
            return cls(**_Fields.model_validate(dict(data)).model_dump())
        except (ValidationError, TypeError, ValueError) as error:
            where = ""
            if isinstance(error, ValidationError):
                first = error.errors(include_input=False, include_url=False)[0]
                where = f" ({'.'.join(map(str, first['loc']))!a}: {first['msg'].lower()})"
            raise InputError(
                f"This is no receipt of a witness{where}.", "Take it as the witness gave it."
            ) from None


@dataclass(frozen=True)
class Checked:
    """What a receipt is worth.

    ok: it says nothing false, as far as can be told from it and what else was given. trusted: it
    is shown to come from a witness whose root certificate or log was given; without that, anybody
    can have written it. `at` is the time to believe, in UTC; `reason` one sentence, for people."""

    ok: bool
    at: datetime | None
    trusted: bool
    reason: str


class Witness(Protocol):
    """Takes a digest and gives a receipt for it."""

    @property
    def name(self) -> str:
        """What it is called in receipts; no secret is in it."""

    async def witness(self, digest: bytes) -> Receipt:
        """Return a receipt for these 32 bytes.

        Raises `ProviderError` where the witness refuses or lies, `NetworkError` where no answer
        comes, `InputError` where it is not set up."""


def require_digest(digest: bytes) -> None:
    """Raise `InputError` for what has not the length of a SHA-256 digest."""
    if len(digest) != DIGEST_BYTES:
        raise InputError("This is no SHA-256 digest.", f"Give its {DIGEST_BYTES} bytes.")


class _Fields(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")
    kind: str = Field(max_length=64)
    witness: str = Field(max_length=1024)
    at: str = Field(max_length=64)
    data: str = Field(max_length=MOST_LETTERS)
