"""The log of actions as a chain of hashes: no entry can be changed, dropped or put in unseen.

    digest = SHA-256 of {seq, at, actor, action, subject, data, previous} as RFC 8785 JSON

`at` is written there as ISO 8601 text in UTC with microseconds, `previous` is the digest of the
entry before, `GENESIS` for the first. A chain cannot show that its end was cut off, nor that all of
it was written anew: keep its last digest elsewhere, too. Pure: no I/O, no clock.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import rfc8785

from vtune_client.errors import InputError
from vtune_client.ledger.records import LogEntry

GENESIS = "0" * 64
_KINDS = {
    **dict.fromkeys(("at", "actor", "action", "subject", "previous", "digest"), str),
    "seq": int,
    "data": dict,
}


def digest_of(entry: LogEntry) -> str:
    """Return the digest that an entry must have, in hex; `InputError` where JSON has no words for
    what it holds."""
    content = _content(entry)
    try:
        return hashlib.sha256(rfc8785.dumps(content)).hexdigest()
    except rfc8785.CanonicalizationError as error:
        raise InputError(
            f"Entry {entry.seq} of the log cannot be written as JSON: {error}.",
            "Give words, numbers, lists and dictionaries.",
        ) from None


def sha256_of(value: Any) -> str:
    """Return the digest of a JSON value of any kind, in hex: names sorted, everything escaped.

    For what others say and may not be text in UTF-8, as RFC 8785 wants it."""
    written = json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()


def check_chain(entries: Iterable[LogEntry], *, whole: bool = True) -> list[str]:
    """Return what is wrong with a log, in sentences, in its order; nothing where it holds.

    `whole`: the log is to begin with its first entry; otherwise it may be cut off in front."""
    wrong = []
    last: LogEntry | None = None
    for entry in entries:
        first = last is None and (whole or entry.seq == 1)
        number = 1 if first else (last.seq + 1 if last else entry.seq)
        previous = GENESIS if first else (last.digest if last else entry.previous)
        if entry.seq != number:
            wrong.append(f"Entry {entry.seq} stands where entry {number} is to stand.")
        elif entry.previous != previous:
            wrong.append(f"Entry {entry.seq} does not follow from the one before it.")
        if entry.digest != _digest_or_nothing(entry):
            wrong.append(f"Entry {entry.seq} was changed after it was written.")
        last = entry
    return wrong


def to_json(entry: LogEntry) -> dict[str, Any]:
    """Return an entry as `vtune log export` writes it, one to a line."""
    return {**_content(entry), "digest": entry.digest}


def from_json(data: Mapping[str, Any]) -> LogEntry:
    """Return the entry that `to_json` wrote; `InputError` where it is none."""
    try:
        if {name: type(value) for name, value in data.items()} != _KINDS:
            raise ValueError
        return LogEntry(**{**data, "at": datetime.fromisoformat(data["at"]).timestamp()})
    except (AttributeError, ValueError, OverflowError):
        raise InputError(
            "This is no entry of a log.", "Give a line that `vtune log export` has written."
        ) from None


def _content(entry: LogEntry) -> dict[str, Any]:
    return {
        "seq": entry.seq,
        "at": iso(entry.at),
        "actor": entry.actor,
        "action": entry.action,
        "subject": entry.subject,
        "data": dict(entry.data),
        "previous": entry.previous,
    }


def iso(at: float) -> str:
    """Return seconds since the epoch as ISO 8601 text in UTC with microseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def _digest_or_nothing(entry: LogEntry) -> str | None:
    """Return the digest, or None for an entry that this program cannot have written."""
    try:
        return digest_of(entry) if math.isfinite(entry.at) else None
    except (InputError, OverflowError, ValueError):
        return None
