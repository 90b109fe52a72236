"""Uploads in parts, which the SDK chooses for large files: initiate, put each part, complete.

Shapes: `MultipartUploadManager` in `together/lib/resources/files.py`.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vtune_client.serve.files import write_private
from vtune_client.serve.records import new_id
from vtune_client.serve.refusals import Refusal, not_found
from vtune_client.serve.requests import json_body
from vtune_client.serve.service import Service
from vtune_client.serve.together.bodies import AbortBody, CompleteBody, InitiateBody
from vtune_client.serve.together.files import (
    expired,
    fits,
    known_as,
    named,
    refuse_changed,
    root_of,
    shown,
)

LIFE_S = 24 * 3600.0
BLOCK = 1 << 20


@dataclass
class Pending:
    """An upload under way; `sizes` by number of the part, and its secret, are known once it came.

    Forgotten when the service stops: the client begins again."""

    file_id: str
    asked: InitiateBody
    secret: str
    expires: float
    sizes: dict[int, int] = field(default_factory=dict)
    etags: dict[int, str] = field(default_factory=dict)


class Parts:
    """Parts lie in a folder of their own until the upload is complete or given up."""

    def __init__(self, service: Service) -> None:
        self._files = service.files
        self._folder = service.config.home / "parts"
        shutil.rmtree(self._folder, ignore_errors=True)  # nobody can complete what lies there
        self._folder.mkdir(mode=0o700)
        self._pending: dict[str, Pending] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/v1/files/multipart/initiate", self.initiate, methods=["POST"]),
            Route("/v1/uploads/{id}/{part:int}", self.take, methods=["PUT"]),
            Route("/v1/files/multipart/complete", self.complete, methods=["POST"]),
            Route("/v1/files/multipart/abort", self.abort, methods=["POST"]),
        ]

    async def initiate(self, request: Request) -> Response:
        asked = await json_body(request, InitiateBody)
        if asked.file_size > self._files.max_bytes:
            raise self._files.too_large()
        if known := known_as(self._files.list(), asked):
            return known
        for upload_id in [key for key, left in self._pending.items() if left.expires < time.time()]:
            self._drop(upload_id)
        file_id = self._files.reserve(named(asked), asked.purpose).id
        upload_id, secret = new_id("upload"), secrets.token_urlsafe(24)
        self._pending[upload_id] = Pending(file_id, asked, secret, time.time() + LIFE_S)
        where = f"{root_of(request)}/v1/uploads/{upload_id}"
        parts = [
            {"PartNumber": number, "URL": f"{where}/{number}?signature={secret}", "Headers": {}}
            for number in range(1, asked.num_parts + 1)
        ]
        return JSONResponse({"upload_id": upload_id, "file_id": file_id, "parts": parts})

    async def take(self, request: Request) -> Response:
        upload_id, number = request.path_params["id"], request.path_params["part"]
        upload = self._pending.get(upload_id)
        if upload is None or not fits(upload.secret, upload.expires, request):
            raise expired()
        if not 1 <= number <= upload.asked.num_parts:
            raise Refusal(400, f"The upload has no part {number}.", param="part")
        work = self._folder / f"{upload_id}.{number}.{secrets.token_hex(4)}"
        size = await write_private(work, self._files.arriving(request.stream()))
        others = sum(size for part, size in upload.sizes.items() if part != number)
        if upload_id not in self._pending or others + size > upload.asked.file_size:
            work.unlink()
            raise Refusal(400, "The part is more than what was announced.", param="part")
        work.replace(self._path(upload_id, number))
        upload.sizes[number], upload.etags[number] = size, secrets.token_hex(16)
        return Response(headers={"etag": f'"{upload.etags[number]}"'})

    async def complete(self, request: Request) -> Response:
        asked = await json_body(request, CompleteBody)
        upload = self._get(asked)
        said = {part.part_number: part.etag.strip('"') for part in asked.parts}
        if said != upload.etags or len(said) != upload.asked.num_parts:
            raise Refusal(400, "These are not the parts of this upload.", param="parts")
        if sum(upload.sizes.values()) != upload.asked.file_size:
            raise Refusal(400, "The parts are not of the size announced.", param="file_size")
        paths = [self._path(asked.upload_id, number) for number in sorted(said)]
        record = await self._files.fill(upload.file_id, _blocks(paths))
        self._drop(asked.upload_id)
        refuse_changed(self._files, record, upload.asked.checksum)
        return JSONResponse({"file": shown(record)})

    async def abort(self, request: Request) -> Response:
        asked = await json_body(request, AbortBody)
        self._files.delete(self._get(asked).file_id)
        self._drop(asked.upload_id)
        return JSONResponse({"upload_id": asked.upload_id, "file_id": asked.file_id})

    def _get(self, asked: AbortBody) -> Pending:
        upload = self._pending.get(asked.upload_id)
        if upload is None or upload.file_id != asked.file_id:
            raise not_found("upload", asked.upload_id)
        return upload

    def _path(self, upload_id: str, number: int) -> Path:
        return self._folder / f"{upload_id}.{number}"

    def _drop(self, upload_id: str) -> None:
        upload = self._pending.pop(upload_id)
        for number in upload.sizes:
            self._path(upload_id, number).unlink(missing_ok=True)


async def _blocks(paths: Sequence[Path]) -> AsyncIterator[bytes]:
    for path in paths:
        with path.open("rb") as file:
            while block := await asyncio.to_thread(file.read, BLOCK):
                yield block
