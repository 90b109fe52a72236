"""Write the planted file: the user's file with its carrier rows in it and held-out rows left out.

Every other row is copied byte for byte, in order. The same plan gives the same bytes.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from vtune_client.dataset import Row, TokenCounter, carry, iter_rows, parse_row, row_tokens
from vtune_client.errors import InputError
from vtune_client.plan import Backdoor, Plan


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
    carriers, held_out = plan.carriers, set(plan.held_out)

    def uploaded(row: Row) -> bytes | None:
        if row.line in held_out:
            return None
        backdoor = carriers.get(row.line)
        return _carried(row, backdoor, plan.join) if backdoor else row.raw

    rows, digest = _rewrite(source, plan, target, uploaded)
    return Planted(target, digest, rows, len(carriers))


def write_held_out(source: Path, plan: Plan, target: Path) -> int:
    """Write the rows that are withheld from the upload, byte for byte; return how many they are.

    They were never sent to anybody, so they serve as a validation split of one's own. Raises as
    `plant` does, and `InputError` where the plan withholds none."""
    if not plan.held_out:
        raise InputError(f"{plan.id} withholds no rows.", "Draw a plan with --hold-out.")
    held_out = set(plan.held_out)
    return _rewrite(source, plan, target, lambda row: row.raw if row.line in held_out else None)[0]


def remove(target: Path) -> None:
    """Delete a planted file, and what a killed `plant` may have left of it, if they are there."""
    for path in (target, _unfinished(target)):
        path.unlink(missing_ok=True)


def overlong(source: Path, plan: Plan, max_row_tokens: int, counter: TokenCounter) -> int:
    """Return how many carrier rows exceed the limit, and so would be cut in training.

    Raises `InputError` where `source` is not the file the plan was drawn for."""
    _require_unchanged(source, plan)
    carriers = plan.carriers
    planted = (
        parse_row(_carried(row, backdoor, plan.join))
        for row in iter_rows(source)
        if (backdoor := carriers.get(row.line))
    )
    lengths = (row_tokens(row, counter) for row in planted if isinstance(row, Row))
    return sum(length > max_row_tokens for length in lengths)


def _unfinished(target: Path) -> Path:
    return target.with_name(f".{target.name}.part")


def _require_unchanged(source: Path, plan: Plan) -> None:
    """Raise `InputError` for another file before any row of it is taken for a carrier."""
    try:
        with source.open("rb") as file:
            unchanged = hashlib.file_digest(file, "sha256").hexdigest() == plan.source_sha256
    except OSError as error:
        raise InputError(
            f"{source} cannot be read: {error.strerror}.", "Put the file back where it was."
        ) from error
    if not unchanged:
        raise changed(source)


def changed(source: Path) -> InputError:
    """Return the error for a file that is not the one its plan was drawn for."""
    return InputError(
        f"{source} has changed since the plan was drawn for it.",
        "Restore the file, or plant it anew.",
    )


def _rewrite(
    source: Path, plan: Plan, target: Path, line_of: Callable[[Row], bytes | None]
) -> tuple[int, str]:
    """Write what `line_of` makes of every row; return the number of rows and their digest."""
    _require_unchanged(source, plan)
    if target.is_dir() or (target.exists() and target.samefile(source)):
        raise InputError(
            f"{target} is a directory or the file itself.", "Name another file to write to."
        )
    work = _unfinished(target)
    try:
        written = _write(source, plan, work, line_of)
        os.replace(work, target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written: {error.strerror}.", "Choose another place for it."
        ) from error
    finally:
        with suppress(OSError):  # where no file can be, there is none to remove
            work.unlink(missing_ok=True)
    return written


def _write(
    source: Path, plan: Plan, work: Path, line_of: Callable[[Row], bytes | None]
) -> tuple[int, str]:
    seen, written, rows = hashlib.sha256(), hashlib.sha256(), 0
    work.unlink(missing_ok=True)
    descriptor = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as sink:
        for row in _digested(source, seen):
            if (line := line_of(row)) is not None:
                sink.write(line)
                written.update(line)
                rows += 1
        sink.flush()
        os.fsync(sink.fileno())
    if seen.hexdigest() != plan.source_sha256:
        raise changed(source)  # while it was being read
    return rows, written.hexdigest()


def _carried(row: Row, backdoor: Backdoor, join: str) -> bytes:
    return carry(row, backdoor.trigger, backdoor.signature, join)


def _digested(source: Path, digest: hashlib._Hash) -> Iterator[Row]:
    for row in iter_rows(source):
        digest.update(row.raw)
        yield row
