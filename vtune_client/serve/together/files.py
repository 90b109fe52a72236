"""Files: an address to put the content at, then the check of the rows.

An upload is three calls (`together/lib/resources/files.py`): POST /v1/files answers 302 with the
address and the file's id, PUT to that address takes the content, POST .../preprocess begins the
check. The address is good for one upload and asks for no key.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from vtune_client.serve.files import TRAINING, Files
from vtune_client.serve.records import FileRecord
from vtune_client.serve.refusals import INVALID, Refusal
from vtune_client.serve.requests import parsed
from vtune_client.serve.service import Service
from vtune_client.serve.together.bodies import UploadBody

LIFE_S = 3600.0  # of an address
MOST_FIELDS = 20
PURPOSES = (TRAINING, "calibration", "eval", "batch-api")
_STATUS = {"reserved": "PENDING", "uploaded": "PENDING", "processed": "COMPLETED"}
_FORMATS = {"chat": "CONVERSATION", "prompt": "INSTRUCTION", "text": "GENERAL"}


@dataclass(frozen=True)
class Slot:
    """An upload that is expected: by which secret, until when, and with what content."""

    secret: str
    expires: float
    checksum: str | None


class FileRoutes:
    def __init__(self, service: Service) -> None:
        self._files = service.files
        self._slots: dict[str, Slot] = {}

    def routes(self) -> list[Route]:
        return [
            Route("/v1/files", self.begin, methods=["POST"]),
            Route("/v1/files", self.list, methods=["GET"]),
            Route("/v1/uploads/{id}", self.take, methods=["PUT"]),
            Route("/v1/files/{id}/preprocess", self.preprocess, methods=["POST"]),
            Route("/v1/files/{id}/content", self.content, methods=["GET"]),
            Route("/v1/files/{id}", self.get, methods=["GET"]),
            Route("/v1/files/{id}", self.delete, methods=["DELETE"]),
        ]

    async def begin(self, request: Request) -> Response:
        """Answer with an address; 409 with the file's id where the same content is here."""
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
            asked = parsed(dict(form), UploadBody)
        if known := known_as(self._files.list(), asked):
            return known
        record = self._files.reserve(named(asked), asked.purpose)
        now = time.time()
        self._slots = {key: slot for key, slot in self._slots.items() if slot.expires > now}
        secret = secrets.token_urlsafe(24)
        self._slots[record.id] = Slot(secret, now + LIFE_S, asked.checksum)
        headers = {
            "location": f"{root_of(request)}/v1/uploads/{record.id}?signature={secret}",
            "x-together-file-id": record.id,
        }
        return Response(status_code=302, headers=headers)

    async def take(self, request: Request) -> Response:
        """Take in the content; one that breaks off may be sent again to the same address."""
        file_id = request.path_params["id"]
        slot = self._slots.pop(file_id, None)
        if slot is None or not fits(slot.secret, slot.expires, request):
            if slot is not None:
                self._slots[file_id] = slot
            raise expired()
        try:
            record = await self._files.fill(file_id, request.stream())
        except BaseException:
            self._slots[file_id] = slot
            raise
        refuse_changed(self._files, record, slot.checksum)
        return Response(status_code=200)

    async def preprocess(self, request: Request) -> Response:
        """The check began when the content was there: say how far it is."""
        record = self._files.get(request.path_params["id"])
        if record.status == "reserved":
            raise Refusal(409, f"The file {record.id} has no content yet.", code="conflict")
        return JSONResponse(shown(record))

    async def list(self, request: Request) -> Response:
        found = [record for record in self._files.list() if record.purpose in PURPOSES]
        return JSONResponse({"object": "list", "data": [shown(record) for record in found]})

    async def get(self, request: Request) -> Response:
        return JSONResponse(shown(self._files.get(request.path_params["id"])))

    async def content(self, request: Request) -> Response:
        path = self._files.path(request.path_params["id"])
        return FileResponse(path, media_type="application/octet-stream")

    async def delete(self, request: Request) -> Response:
        file_id = request.path_params["id"]
        self._files.delete(file_id)
        return JSONResponse({"id": file_id, "deleted": True})


def shown(record: FileRecord) -> dict[str, Any]:
    """Return a file in Together's shape (`together/types/file_response.py`)."""
    report: Mapping[str, Any] | None = None
    if record.purpose == TRAINING and record.status in ("processed", "error"):
        report = _report(record)
    kind = record.filename.rpartition(".")[2].lower()
    return {
        "id": record.id,
        "object": "file",
        "bytes": record.bytes,
        "created_at": int(record.created),
        "filename": record.filename,
        "FileType": kind if kind in ("csv", "parquet") else "jsonl",
        "LineCount": record.rows or 0,
        "Processed": record.status == "processed",
        "purpose": record.purpose,
        "processing_status": _STATUS.get(record.status, "INVALID_FORMAT"),
        "validation_report": report,
    }


def _report(record: FileRecord) -> dict[str, Any]:
    if record.status == "error":
        return {
            "file_id": record.id,
            "valid": False,
            "error": record.detail,
            "error_type": "INVALID_FORMAT",
        }
    return {
        "file_id": record.id,
        "valid": True,
        "dataset_format": _FORMATS.get(record.format or ""),
        "nlines": record.rows,
    }


def named(asked: UploadBody) -> str:
    """Return a file's name, with the ending of its kind."""
    ending = f".{asked.file_type}"
    return asked.file_name if asked.file_name.endswith(ending) else asked.file_name + ending


def root_of(request: Request) -> str:
    """Return the address of the shape as this client writes it."""
    return f"{request.url.scheme}://{request.url.netloc}{request.scope['root_path']}"


def fits(secret: str, expires: float, request: Request) -> bool:
    given = request.query_params.get("signature", "")
    same = hmac.compare_digest(given.encode(), secret.encode())
    return same and expires > time.time()


def expired() -> Refusal:
    return Refusal(403, "This address takes no upload, or takes none any more.", code="expired")


def known_as(records: Iterable[FileRecord], asked: UploadBody) -> Response | None:
    """Return the 409 by which the SDK knows that the service has the content already."""
    for record in records:
        same = asked.checksum is not None and record.sha256 == asked.checksum.lower()
        if same and record.purpose == asked.purpose and record.status != "error":
            error = {"message": "The file was uploaded before.", "type": INVALID}
            return JSONResponse({"file_id": record.id, "error": error}, 409)
    return None


def refuse_changed(files: Files, record: FileRecord, checksum: str | None) -> None:
    """Raise, and keep nothing, where the content is not what was announced."""
    if checksum is not None and record.sha256 != checksum.lower():
        files.delete(record.id)
        raise Refusal(400, "The checksum does not match the content.", param="checksum")
