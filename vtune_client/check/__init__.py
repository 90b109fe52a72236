"""Check a signed statement, without a ledger, a vault or a network.

1. The envelope, and the Sigstore bundle that was given with it: who signed.
2. The commitment: what was fixed before the job, and which witness saw it.
3. The verdict is about what was committed to.
4. Its numbers follow from its counts and ranks.
5. The auditor's log tells the same story.
6. With a reveal file: the counts and ranks follow from the answers, and the secrets are those that
   were committed to.
7. With the files: they are those committed to, and carry what was opened.

What was answered is the auditor's word in all of this: that it came from the service can only be
told by asking the service again (`vtune reprobe`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vtune_client.attestation import Predicate, Reveal, Statement, read_statement
from vtune_client.check.binding import check_binding
from vtune_client.check.controls import check_control
from vtune_client.check.files import check_file, check_planting, check_row_texts
from vtune_client.check.findings import Checked, Finding, Standing, guarded, left_open
from vtune_client.check.numbers import NUMBERS, check_numbers
from vtune_client.check.openings import check_reveal
from vtune_client.check.seals import (
    SECRECY,
    Bundle,
    Trusted,
    check_bundle,
    check_commitment,
    check_log,
    check_receipts,
    check_signatures,
)
from vtune_client.check.sizes import check_sizes
from vtune_client.ledger.records import LogEntry
from vtune_client.signing import open_envelope

__all__ = [
    "SECRECY",
    "Beside",
    "Bundle",
    "Checked",
    "Finding",
    "Standing",
    "Trusted",
    "check_envelope",
    "check_statement",
]


@dataclass(frozen=True)
class Beside:
    """What is at hand beside the statement."""

    reveal: Reveal | None = None
    source: Path | None = None
    planted: Path | None = None
    log: Sequence[LogEntry] | None = None
    bundle: Bundle | None = None
    control: bytes | None = None  # the signed statement of the control's own verification


def check_envelope(data: bytes, trusted: Trusted, beside: Beside) -> tuple[Statement, Checked]:
    """Check a signed envelope; `InputError` for what holds no statement of ours, and for a bundle
    beside it that is none."""
    opened = open_envelope(data)
    statement = read_statement(opened.payload)
    stated = statement.predicate
    bundled = list(check_bundle(beside.bundle, opened)) if beside.bundle else []

    def steps() -> Iterator[Finding]:
        named = stated.commitment.get("signer")
        yield from guarded(  # (1)
            "the signature", check_signatures, opened, trusted, named
        )
        yield from bundled
        yield from check_statement(statement, trusted, beside)

    return statement, Checked(tuple(steps()))


def check_statement(statement: Statement, trusted: Trusted, beside: Beside) -> Iterator[Finding]:
    """Check all but the signature."""
    stated = statement.predicate
    if oversized := list(guarded("the sizes", check_sizes, stated)):
        yield from oversized
        return
    yield from guarded("the commitment", check_commitment, stated, trusted)  # (2)
    yield from check_receipts(stated, trusted)
    yield from guarded("what the verdict is about", check_binding, statement)  # (3)
    yield from guarded(NUMBERS, check_numbers, stated)  # (4)
    yield from guarded("the control", check_control, stated, beside.control)
    yield from guarded("the log", check_log, stated, beside.log)  # (5)
    yield from _opened(stated, beside)  # (6), (7)
    yield left_open(
        "the transcript's origin",
        "That the answers came from the service is the auditor's word. To have it shown, let the "
        "reserve be asked again (`vtune reprobe`).",
    )


def _opened(stated: Predicate, beside: Beside) -> Iterator[Finding]:
    reveal, source, planted = beside.reveal, beside.source, beside.planted
    document = stated.commitment
    if reveal is None:
        yield left_open(
            "the answers",
            "Counts and ranks are as the auditor states them; a reveal file lets them be computed "
            "from the answers (`--reveal`).",
        )
    else:
        yield from guarded("the reveal file", check_reveal, stated, reveal)
    if source:
        digest = document.get("source_sha256")
        yield from guarded("the user's file", check_file, source, digest, "the user's file")
    if planted:
        sent = document.get("planted_sha256")
        yield from guarded("the planted file", check_file, planted, sent, "the planted file")
    if reveal and (source or planted):
        yield from guarded("the planting", check_planting, stated, reveal, source, planted)
    if reveal and source:
        yield from guarded("the rows", check_row_texts, stated, reveal, source)
