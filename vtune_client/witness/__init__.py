"""Witnesses: a third party's word, given before the upload, that a commitment was there.

None is asked unless the environment names one.

VTUNE_TIMESTAMP_URL     a timestamp authority (RFC 3161)
VTUNE_TIMESTAMP_ROOTS   a file (PEM or DER) of the root certificates that its answers must lead to
VTUNE_WITNESS_LOG       a log file of one's own, on a shared drive or in a repository
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from vtune_client.errors import InputError
from vtune_client.witness.interface import FRESH, Checked, Receipt, Witness

URL_VARIABLE = "VTUNE_TIMESTAMP_URL"
ROOTS_VARIABLE = "VTUNE_TIMESTAMP_ROOTS"
LOG_VARIABLE = "VTUNE_WITNESS_LOG"

__all__ = [
    "FRESH",
    "Checked",
    "Receipt",
    "Witness",
    "check_receipt",
    "read_roots",
    "witnesses_from_env",
]


def witnesses_from_env() -> tuple[Witness, ...]:
    """Return the witnesses that the environment names: none, one, or one of each kind."""
    found: list[Witness] = []
    if path := os.environ.get(LOG_VARIABLE):
        from vtune_client.witness.log_file import LogFile

        found.append(LogFile(Path(path)))
    if url := os.environ.get(URL_VARIABLE):
        from vtune_client.witness.rfc3161 import Timestamp

        found.append(Timestamp(url, roots=read_roots(os.environ.get(ROOTS_VARIABLE))))
    return tuple(found)


def check_receipt(
    receipt: Receipt, digest: bytes, *, roots: Sequence[bytes] = (), log: Path | None = None
) -> Checked:
    """Say what a receipt is worth for `digest`, whatever its kind, without a network.

    `roots` (files in PEM or DER) speak for a timestamp, `log` for a line of a log. Raises
    `InputError` where those cannot be used, and `MissingExtra`; a hostile receipt is one that is
    not ok."""
    from vtune_client.witness import log_file, rfc3161

    if receipt.kind == rfc3161.KIND:
        return rfc3161.check_receipt(receipt, digest, roots)
    if receipt.kind == log_file.KIND:
        return log_file.check_receipt(receipt, digest, log)
    return Checked(False, None, False, "A receipt of a kind that this version does not know.")


def read_roots(path: str | None) -> tuple[bytes, ...]:
    """Return what to give as `roots`: the file at `path`, or nothing without a path."""
    if not path:
        return ()
    from vtune_client.witness.rfc3161 import certificates

    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"The root certificates {path} cannot be read: {error.strerror}.",
            f"Give a file that can be, with {ROOTS_VARIABLE} or --roots.",
        ) from error
    certificates([content])
    return (content,)
