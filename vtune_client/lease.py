"""What costs money while it stands, written down before it is made.

A lease is a small file under `VTUNE_HOME/leases`, and a lock on it that the system drops when the
process ends, however it ends. A file without a holder names something that may stand and be paid
for; whoever deals with that service next releases it. No secret is in it.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vtune_client.errors import InputError
from vtune_client.home import home as default_home

FOLDER = "leases"


@dataclass(frozen=True)
class Lease:
    """One thing that is paid for: `name` is ours, given to it when it was made.

    `known` is what was learned of it since, such as the service's id. Its lock is held by this
    process until `close` or `drop`."""

    provider: str
    service: str
    name: str
    path: Path
    began: float  # seconds since the epoch
    known: Mapping[str, str] = field(default_factory=dict)
    lock: FileLock = field(repr=False, compare=False, kw_only=True)

    def note(self, **known: str) -> Lease:
        """Write down what is now known of it."""
        noted = Lease(
            self.provider,
            self.service,
            self.name,
            self.path,
            self.began,
            {**self.known, **known},
            lock=self.lock,
        )
        _write(noted)
        return noted

    def close(self) -> None:
        """Forget it: it has been released. Safe to call twice."""
        self.path.unlink(missing_ok=True)
        self.drop()
        Path(self.lock.lock_file).unlink(missing_ok=True)

    def drop(self) -> None:
        """Let go of it without having released it: it is left over from here on."""
        self.lock.release(force=True)


class Leases:
    """The leases of one home."""

    def __init__(self, home: Path | None = None) -> None:
        self._folder = (home or default_home()) / FOLDER
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f"The directory {self._folder} cannot be made: {error.strerror}.",
                "Set VTUNE_HOME to one that can be written.",
            ) from error

    def begin(self, provider: str, service: str, name: str) -> Lease:
        """Write down what is about to be made, and hold it; call before it is made.

        `service` is the base URL, without any key."""
        path = self._folder / f"{secrets.token_hex(8)}.json"
        lock = _lock_of(path)
        lock.acquire(blocking=False)
        lease = Lease(provider, service, name, path, time.time(), lock=lock)
        try:
            _write(lease)
        except BaseException:
            lease.close()
            raise
        return lease

    def left_over(self, provider: str | None = None, service: str | None = None) -> list[Lease]:
        """Return what nobody holds any more, oldest first; it is held by the caller from here on.

        Only of that provider and service, where they are named. Release each and `close` it, or
        `drop` it where it cannot be released now."""
        found = (_taken(path, provider, service) for path in self._folder.glob("*.json"))
        return sorted(filter(None, found), key=lambda lease: lease.began)


def _taken(path: Path, provider: str | None, service: str | None) -> Lease | None:
    """Return the lease in a file if it is of that service and nobody holds it."""
    content = _read(path)
    if provider not in (None, content.get("provider")):
        return None
    if service not in (None, content.get("service")):
        return None
    lock = _lock_of(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return None
    content = _read(path)  # its holder may have closed it, or noted more, just before
    if not content:
        lock.release(force=True)
        Path(lock.lock_file).unlink(missing_ok=True)
        return None
    known = content.get("known")
    return Lease(
        str(content.get("provider", "")),
        str(content.get("service", "")),
        str(content.get("name", "")),
        path,
        float(content.get("began", 0.0)),
        {key: str(value) for key, value in known.items()} if isinstance(known, dict) else {},
        lock=lock,
    )


def _lock_of(path: Path) -> FileLock:
    return FileLock(path.with_suffix(".lock"), is_singleton=False, thread_local=False)


def _read(path: Path) -> dict[str, Any]:
    """Return what a lease file says; nothing where it is gone or is no lease."""
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _write(lease: Lease) -> None:
    content = {
        "provider": lease.provider,
        "service": lease.service,
        "name": lease.name,
        "began": lease.began,
        "known": dict(lease.known),
        "pid": os.getpid(),
    }
    work = lease.path.with_suffix(".part")
    try:
        handle = os.open(work, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as sink:
            json.dump(content, sink)
            sink.flush()
            os.fsync(sink.fileno())
        os.replace(work, lease.path)
    except OSError as error:
        raise InputError(
            f"What is to be paid for cannot be written down in {lease.path.parent}: "
            f"{error.strerror}.",
            "Check that the directory can be written and the disk has room.",
        ) from error
