"""A log of one's own as a witness: a file on a shared drive or in a repository.

One JSON object a line, each with the SHA-256 of the line before it, so that no line can be changed
or taken out without changing all that follow. The hash of the last line is the log's head: once it
is published (in a mail, a ticket, a commit), what stands before it is fixed. The head can be had
without this program:

    tail -n 1 witness.log | tr -d '\\n' | sha256sum

A log proves as much as its keeper is believed, or as its heads were seen by others.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtune_client.errors import InputError
from vtune_client.witness.interface import Checked, Receipt, require_digest

KIND = "log"
GENESIS = "0" * 64  # what the first line names as the one before
LOCK_SECONDS = 10.0

_Hex = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Line(BaseModel):
    """One line of a log: `seq` counts from 1, `previous` is the hash of the line before."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)
    seq: int = Field(ge=1)
    at: str
    digest: _Hex
    previous: _Hex

    @property
    def time(self) -> datetime:
        """When it was written, in UTC; `ValueError` where that is no time with its zone."""
        at = datetime.fromisoformat(self.at)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return at.astimezone(UTC)


@dataclass(frozen=True)
class Head:
    """The end of a log: how many lines it has and the hash of the last."""

    seq: int
    sha256: str


class LogFile:
    """Appends to the log at `path`, which begins with its first line."""

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.path = path
        self.name = f"log {path.name}"
        self._now = now

    async def witness(self, digest: bytes) -> Receipt:
        """Return a receipt once the line is on disk; `InputError` where the log is not whole."""
        return await asyncio.to_thread(self._append, digest)

    def head(self) -> Head:
        """Return the head, every line checked; `InputError` where the log is not whole."""
        lines = _whole(self.path) if self.path.exists() else []
        return Head(len(lines), _sha256(lines[-1]) if lines else GENESIS)

    def _append(self, digest: bytes) -> Receipt:
        require_digest(digest)
        with _alone(self.path):
            before = self.head()
            at = self._now().isoformat()
            line = Line(seq=before.seq + 1, at=at, digest=digest.hex(), previous=before.sha256)
            written = json.dumps(line.model_dump()).encode()
            _add(self.path, written)
        return Receipt(KIND, self.name, at, base64.b64encode(written).decode())


def check_receipt(receipt: Receipt, digest: bytes, log: Path | None = None) -> Checked:
    """Say what a log's receipt is worth for `digest`; with the log itself it can be trusted.

    Raises `InputError` where the log cannot be read or is not whole, never for the receipt."""
    try:
        raw = base64.b64decode(receipt.data, validate=True)
        line = _line(raw)
        at = line.time
    except (ValueError, OverflowError):
        return Checked(False, None, False, "The receipt holds no line of a log.")
    if line.digest != digest.hex():
        return Checked(False, at, False, "The receipt is for something else.")
    if receipt.at != line.at:
        return Checked(False, at, False, "The receipt states another time than its line.")
    if log is None:
        reason = f"Its line states {line.at}, but no log was given to look it up."
        return Checked(True, at, False, reason)
    lines = _whole(log)
    if line.seq > len(lines) or lines[line.seq - 1] != raw:
        return Checked(False, at, False, f"The line is not in the log {log.name}.")
    where = f"line {line.seq} of {len(lines)} in the log {log.name}"
    reason = f"Written down at {line.at}: {where}, whose chain is whole."
    return Checked(True, at, True, reason)


def _line(raw: bytes) -> Line:
    """Parse a line; `ValueError` for anything but the bytes that this module writes."""
    try:
        line = Line.model_validate_json(raw)
    except ValidationError as error:
        raise ValueError("not a line of a log") from error
    if json.dumps(line.model_dump()).encode() != raw:
        raise ValueError("not as it was written")
    return line


def _whole(path: Path) -> list[bytes]:
    """Return the lines of a log, without their line ends, once the whole chain is checked."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unusable(path, error) from error
    *lines, rest = content.split(b"\n")
    if rest:
        raise _broken(path, len(lines) + 1, "it is cut short")
    previous = GENESIS
    for seq, raw in enumerate(lines, start=1):
        try:
            line = _line(raw)
        except ValueError:
            raise _broken(path, seq, "it is no line of a log") from None
        if line.seq != seq or line.previous != previous:
            raise _broken(path, seq, "it does not follow from the line before")
        previous = _sha256(raw)
    return lines


def _add(path: Path, line: bytes) -> None:
    """Append a line, on disk before this returns; on any error the file is as it was."""
    try:
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            try:
                if file.write(line + b"\n") != len(line) + 1:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                os.truncate(path, size)
                raise
    except OSError as error:
        raise _unusable(path, error) from error


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        os.stat(path.parent)  # the lock would make the folder
        lock.acquire(timeout=LOCK_SECONDS)
    except Timeout:
        raise InputError(
            f"The witness log {path} is in use by another program.", "Try again in a moment."
        ) from None
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        yield
    finally:
        lock.release()


def _sha256(line: bytes) -> str:
    return hashlib.sha256(line).hexdigest()


def _broken(path: Path, seq: int, why: str) -> InputError:
    return InputError(
        f"{path}:{seq}: the witness log is not whole: {why}.",
        "Restore it from a copy; what was witnessed after that line has no proof in this file.",
    )


def _unusable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"The witness log {path} cannot be read or written: {error.strerror or 'no reason given'}.",
        "Check that its folder exists and may be written to.",
    )
