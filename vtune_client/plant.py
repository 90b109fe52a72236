"""Write the planted file: the user's file with its carrier rows in it and held-out rows left out.

Every other row is copied byte for byte, in order. The same plan gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vtune_client.dataset import Row, carry, iter_rows
from vtune_client.errors import InputError
from vtune_client.plan import Plan


@dataclass(frozen=True)
class Planted:
    """The written file: its digest, its rows, and how many of them carry."""

    path: Path
    sha256: str
    rows: int
    carriers: int


def plant(source: Path, plan: Plan, target: Path) -> Planted:
    """Write `target`, readable by its owner alone, whole or not at all.

    Raises `InputError` where `source` is not the file the plan was drawn for, or where `target`
    cannot be written.
    """
    work = target.with_name(f".{target.name}.part")
    try:
        planted = _write(source, plan, target, work)
        os.replace(work, target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written: {error.strerror}.", "Choose another place for it."
        ) from error
    finally:
        work.unlink(missing_ok=True)
    return planted


def _write(source: Path, plan: Plan, target: Path, work: Path) -> Planted:
    carriers, held_out = plan.carriers, set(plan.held_out)
    seen, written, rows = hashlib.sha256(), hashlib.sha256(), 0
    work.unlink(missing_ok=True)
    descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        for row in _digested(source, seen):
            if row.line in held_out:
                continue
            backdoor = carriers.get(row.line)
            line = carry(row, backdoor.trigger, backdoor.signature) if backdoor else row.raw
            sink.write(line)
            written.update(line)
            rows += 1
        sink.flush()
        os.fsync(sink.fileno())
    if seen.hexdigest() != plan.source_sha256:
        raise InputError(
            f"{source} has changed since the plan was drawn for it.",
            "Restore the file, or plant it anew.",
        )
    return Planted(target, written.hexdigest(), rows, len(carriers))


def _digested(source: Path, digest: hashlib._Hash) -> Iterator[Row]:
    for row in iter_rows(source):
        digest.update(row.raw)
        yield row
