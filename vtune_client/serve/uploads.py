"""Files that come in parts (platform.openai.com/docs/api-reference/uploads)."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from vtune_client.serve.files import Files, write_private
from vtune_client.serve.records import ID, FileRecord, UploadRecord, new_id
from vtune_client.serve.refusals import Refusal, not_found
from vtune_client.serve.store import Shelf, Store

LIFE_S = 3600.0
PART_BYTES = 64 << 20
BLOCK = 1 << 20


class Uploads:
    """Parts lie apart until the upload is complete; then they are one file, and gone."""

    def __init__(self, folder: Path, store: Store, files: Files) -> None:
        folder.mkdir(exist_ok=True, mode=0o700)
        self._folder, self._files = folder, files
        self._shelf: Shelf[UploadRecord] = Shelf(store, "upload", _upload)

    def create(self, filename: str, purpose: str, size: int) -> UploadRecord:
        if size > self._files.max_bytes:
            raise self._files.too_large()
        self._sweep()
        expires = time.time() + LIFE_S
        return self._shelf.put(UploadRecord(new_id("upload"), filename, purpose, size, expires))

    def get(self, upload_id: str) -> UploadRecord:
        record = self._shelf.get(upload_id) if ID.fullmatch(upload_id) else None
        if record is None:
            raise not_found("upload", upload_id)
        if record.status == "pending" and record.expires < time.time():
            self._drop(record)
            return self._shelf.update(upload_id, status="expired")
        return record

    async def add_part(self, upload_id: str, content: AsyncIterator[bytes]) -> str:
        """Take in one part; return its id."""
        self._pending(upload_id)
        part_id = new_id("part")
        size = await write_private(self._folder / part_id, self._files.arriving(content))
        record = self._pending(upload_id)  # cancelled meanwhile, perhaps
        taken = sum((self._folder / part).stat().st_size for part in record.parts)
        if size > PART_BYTES or taken + size > record.bytes:
            (self._folder / part_id).unlink()
            raise Refusal(400, "The part is larger than what was announced.", param="data")
        self._shelf.update(upload_id, parts=(*record.parts, part_id))
        return part_id

    async def complete(
        self, upload_id: str, part_ids: Sequence[str], md5: str | None
    ) -> tuple[UploadRecord, FileRecord]:
        """Join the parts in the order given; `Refusal` where they are not what was announced."""
        record = self._pending(upload_id)
        if sorted(part_ids) != sorted(record.parts):
            raise Refusal(400, "These are not the parts of this upload.", param="part_ids")
        paths = [self._folder / part for part in part_ids]
        if sum(path.stat().st_size for path in paths) != record.bytes:
            raise Refusal(400, "The parts together are not of the size announced.", param="bytes")
        if md5 is not None and await asyncio.to_thread(_md5, paths) != md5.lower():
            raise Refusal(400, "The checksum does not match the parts.", param="md5")
        file = await self._files.add(_blocks(paths), record.filename, record.purpose)
        self._drop(record)
        return self._shelf.update(upload_id, status="completed", file_id=file.id), file

    def cancel(self, upload_id: str) -> UploadRecord:
        self._drop(self._pending(upload_id))
        return self._shelf.update(upload_id, status="cancelled")

    def _pending(self, upload_id: str) -> UploadRecord:
        record = self.get(upload_id)
        if record.status != "pending":
            raise Refusal(400, f"The upload {upload_id} is {record.status}.", code="invalid_state")
        return record

    def _drop(self, record: UploadRecord) -> None:
        for part in record.parts:
            (self._folder / part).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete the parts of uploads that nobody completed."""
        for record in self._shelf.all():
            self.get(record.id)


def _upload(**body: object) -> UploadRecord:
    return UploadRecord(**{**body, "parts": tuple(body["parts"])})  # type: ignore[arg-type]


def _md5(paths: Sequence[Path]) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    for path in paths:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()


async def _blocks(paths: Sequence[Path]) -> AsyncIterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while block := await asyncio.to_thread(file.read, BLOCK):
                yield block
