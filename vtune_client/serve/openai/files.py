"""/v1/files"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse
from starlette.routing import BaseRoute, Route

from vtune_client.serve.files import TRAINING
from vtune_client.serve.records import FileRecord
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.requests import blocks, file_of, form, number, page, text_of
from vtune_client.serve.service import Service

PURPOSES = frozenset({"assistants", "batch", TRAINING, "vision", "user_data", "evals"})
MOST = 10_000


def routes(service: Service) -> list[BaseRoute]:
    files = service.files

    async def create(request: Request) -> JSONResponse:
        async with form(request, files) as fields:
            purpose, given = text_of(fields, "purpose"), file_of(fields, "file")
            if purpose not in PURPOSES:
                raise Refusal(400, "This purpose is not known.", param="purpose")
            record = await files.add(blocks(given), given.filename or "", purpose)
        return JSONResponse(file_object(record))

    async def listed(request: Request) -> JSONResponse:
        found = list(files.list(request.query_params.get("purpose")))
        if request.query_params.get("order", "desc") == "desc":
            found.reverse()
        limit = number(request, "limit", MOST, MOST)
        shown, more = page(found, request.query_params.get("after"), limit, lambda item: item.id)
        return JSONResponse(
            {
                "object": "list",
                "data": [file_object(record) for record in shown],
                "first_id": shown[0].id if shown else "",
                "last_id": shown[-1].id if shown else "",
                "has_more": more,
            }
        )

    async def get(request: Request) -> JSONResponse:
        return JSONResponse(file_object(files.get(request.path_params["id"])))

    async def content(request: Request) -> FileResponse:
        path = files.path(request.path_params["id"])
        return FileResponse(path, media_type="application/octet-stream")

    async def delete(request: Request) -> JSONResponse:
        files.delete(request.path_params["id"])
        return JSONResponse({"id": request.path_params["id"], "object": "file", "deleted": True})

    return [
        Route("/files", create, methods=["POST"]),
        Route("/files", listed, methods=["GET"]),
        Route("/files/{id}", get, methods=["GET"]),
        Route("/files/{id}", delete, methods=["DELETE"]),
        Route("/files/{id}/content", content, methods=["GET"]),
    ]


def file_object(record: FileRecord) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "id": record.id,
        "object": "file",
        "bytes": record.bytes,
        "created_at": int(record.created),
        "filename": record.filename,
        "purpose": record.purpose,
        "status": record.status,
    }
    if record.detail is not None:
        shown["status_details"] = record.detail
    return shown
