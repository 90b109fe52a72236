"""Uploaded files: streamed to disk, then judged row by row in the background."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path

from vtune_client.dataset import check
from vtune_client.errors import DatasetError, VTuneError
from vtune_client.provider import TrainerCapabilities
from vtune_client.serve.faults import Faults
from vtune_client.serve.records import ID, FileRecord, new_id
from vtune_client.serve.refusals import ConnectionCut, Refusal, not_found, place_of
from vtune_client.serve.store import Shelf, Store

log = logging.getLogger(__name__)
TRAINING, RESULTS = "fine-tune", "fine-tune-results"
MAX_NAME = 255


class Files:
    """Files of all purposes; those to train on are checked, the rest are just kept."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        capabilities: TrainerCapabilities,
        faults: Faults,
        max_bytes: int,
    ) -> None:
        folder.mkdir(exist_ok=True, mode=0o700)
        self.max_bytes = max_bytes
        self.on_checked: Callable[[], None] = lambda: None
        self._folder = folder
        self._shelf = Shelf(store, "file", FileRecord)
        self._capabilities = capabilities
        self._faults = faults
        self._checks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Judge what was not judged when the service last stopped; sweep what was cut off."""
        for left in self._folder.glob("*.part"):
            left.unlink(missing_ok=True)
        for record in self._shelf.all():
            if record.status == "uploaded":
                self._check_later(record, delay_s=0.0)

    async def aclose(self) -> None:
        for task in self._checks:
            task.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)

    async def add(self, content: AsyncIterator[bytes], filename: str, purpose: str) -> FileRecord:
        """Take a file in; `Refusal` 413 where it is too large, and nothing is kept."""
        return await self._take(_new(filename, purpose), content)

    def reserve(self, filename: str, purpose: str) -> FileRecord:
        """Return a file that is yet to be filled."""
        return self._shelf.put(_new(filename, purpose))

    async def fill(self, file_id: str, content: AsyncIterator[bytes]) -> FileRecord:
        """Take in the content of a reserved file, once."""
        record = self.get(file_id)
        if record.status != "reserved":
            raise Refusal(409, f"The file {file_id} has its content already.", code="conflict")
        return await self._take(record, content)

    def get(self, file_id: str) -> FileRecord:
        record = self._shelf.get(file_id) if ID.fullmatch(file_id) else None
        if record is None:
            raise not_found("file", file_id)
        return record

    def list(self, purpose: str | None = None) -> Sequence[FileRecord]:
        """Return the files that have content, oldest first."""
        return [
            record
            for record in self._shelf.all()
            if record.status != "reserved" and purpose in (None, record.purpose)
        ]

    def path(self, file_id: str) -> Path:
        """Return where the content lies."""
        record = self.get(file_id)
        if record.status == "reserved":
            raise Refusal(409, f"The file {file_id} has no content yet.", code="conflict")
        return self._folder / record.id

    def delete(self, file_id: str) -> None:
        record = self.get(file_id)
        (self._folder / record.id).unlink(missing_ok=True)
        self._shelf.remove(record.id)
        self.on_checked()  # a job may have been waiting for it

    def add_results(self, file_id: str, content: bytes, filename: str) -> FileRecord:
        """Keep a file that the service has written itself; the same id again is the same file."""
        work = self._folder / f"{file_id}.part"
        work.touch(mode=0o600)
        work.write_bytes(content)
        os.replace(work, self._folder / file_id)
        digest = hashlib.sha256(content).hexdigest()
        record = FileRecord(file_id, filename, RESULTS, bytes=len(content), sha256=digest)
        return self._shelf.put(replace(record, status="processed"))

    async def _take(self, record: FileRecord, content: AsyncIterator[bytes]) -> FileRecord:
        work = self._folder / f"{record.id}.part"
        digest = hashlib.sha256()
        size = await write_private(work, self.arriving(content), digest.update)
        os.replace(work, self._folder / record.id)
        record = replace(record, bytes=size, sha256=digest.hexdigest(), status="uploaded")
        if record.purpose != TRAINING:
            return self._shelf.put(replace(record, status="processed"))
        slow = self._faults.take("slow-validation")
        self._shelf.put(record)
        self._check_later(record, delay_s=slow.value if slow else 0.0)
        return record

    async def arriving(
        self, content: AsyncIterator[bytes], *, around: int = 0
    ) -> AsyncIterator[bytes]:
        """Yield an upload as it comes in: not too much of it, and cut where that is asked for.

        `around` is how many bytes may stand around the file itself."""
        cut = self._faults.take("cut-upload")
        size = 0
        async for block in content:
            if cut and block:
                raise ConnectionCut
            size += len(block)
            if size > self.max_bytes + around:
                raise self.too_large()
            yield block

    def too_large(self) -> Refusal:
        return Refusal(
            413,
            f"The file is larger than {self.max_bytes} bytes, the most that is taken.",
            code="file_too_large",
            param="file",
        )

    def _check_later(self, record: FileRecord, delay_s: float) -> None:
        task = asyncio.get_running_loop().create_task(self._check(record, delay_s))
        self._checks.add(task)
        task.add_done_callback(self._checks.discard)

    async def _check(self, record: FileRecord, delay_s: float) -> None:
        await asyncio.sleep(delay_s)
        try:
            judged = await asyncio.to_thread(self._judge, record)
        except Exception as error:
            log.error("the check of %s failed: %s", record.id, place_of(error))
            judged = replace(record, status="error", detail="The file could not be checked.")
        if self._shelf.get(record.id) is not None:  # it may have been deleted meanwhile
            self._shelf.put(judged)
        self.on_checked()

    def _judge(self, record: FileRecord) -> FileRecord:
        try:
            summary = check(
                self._folder / record.id,
                min_rows=self._capabilities.min_rows,
                formats=self._capabilities.formats,
            )
        except DatasetError as error:
            more = len(error.problems) - 1 + error.more
            rest = f" (and {more} more problems)" if more else ""
            return replace(record, status="error", detail=f"{error.problems[0]}{rest}")
        except VTuneError:  # its words name a path of ours
            return replace(record, status="error", detail="The file cannot be read.")
        return replace(
            record,
            status="processed",
            rows=summary.rows,
            tokens=summary.tokens,
            format=summary.format.value,
        )


def _new(filename: str, purpose: str) -> FileRecord:
    # A name is only ever shown, never opened; it keeps no folders.
    name = filename.replace("\\", "/").rpartition("/")[2][:MAX_NAME] or "file"
    return FileRecord(new_id("file"), name, purpose)


async def write_private(
    path: Path, content: AsyncIterator[bytes], see: Callable[[bytes], object] = len
) -> int:
    """Write a new private file, all or nothing; return its size. `see` gets each block."""
    size = 0
    sink = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        async for block in content:
            size += len(block)
            see(block)
            await asyncio.to_thread(_write, sink, block)
        os.fsync(sink)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(sink)
    return size


def _write(sink: int, block: bytes) -> None:
    view = memoryview(block)
    while view:
        view = view[os.write(sink, view) :]
