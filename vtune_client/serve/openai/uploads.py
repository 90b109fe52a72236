"""/v1/uploads"""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from vtune_client.serve.openai.files import file_object
from vtune_client.serve.records import FileRecord, UploadRecord
from vtune_client.serve.requests import blocks, file_of, form, json_body
from vtune_client.serve.service import Service


class Announced(BaseModel):
    filename: Annotated[str, Field(min_length=1)]
    purpose: Literal["assistants", "batch", "fine-tune", "vision", "user_data"]
    bytes: Annotated[int, Field(gt=0)]
    mime_type: str


class Completed(BaseModel):
    part_ids: list[str]
    md5: Annotated[str, Field(pattern="^[0-9a-fA-F]{32}$")] | None = None


def routes(service: Service) -> list[BaseRoute]:
    uploads = service.uploads

    async def create(request: Request) -> JSONResponse:
        body = await json_body(request, Announced)
        return JSONResponse(_object(uploads.create(body.filename, body.purpose, body.bytes)))

    async def add_part(request: Request) -> JSONResponse:
        upload_id = request.path_params["id"]
        async with form(request, service.files) as fields:
            part_id = await uploads.add_part(upload_id, blocks(file_of(fields, "data")))
        return JSONResponse(
            {
                "id": part_id,
                "object": "upload.part",
                "created_at": int(time.time()),
                "upload_id": upload_id,
            }
        )

    async def complete(request: Request) -> JSONResponse:
        body = await json_body(request, Completed)
        record, file = await uploads.complete(request.path_params["id"], body.part_ids, body.md5)
        return JSONResponse(_object(record, file))

    async def cancel(request: Request) -> JSONResponse:
        return JSONResponse(_object(uploads.cancel(request.path_params["id"])))

    return [
        Route("/uploads", create, methods=["POST"]),
        Route("/uploads/{id}/parts", add_part, methods=["POST"]),
        Route("/uploads/{id}/complete", complete, methods=["POST"]),
        Route("/uploads/{id}/cancel", cancel, methods=["POST"]),
    ]


def _object(record: UploadRecord, file: FileRecord | None = None) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": record.id,
        "object": "upload",
        "bytes": record.bytes,
        "created_at": int(record.created),
        "expires_at": int(record.expires),
        "filename": record.filename,
        "purpose": record.purpose,
        "status": record.status,
    }
    if file is not None:
        shown["file"] = file_object(file)
    return shown
