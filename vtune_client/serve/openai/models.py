"""/v1/models"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from vtune_client.serve.models import ModelRecord
from vtune_client.serve.service import Service


def routes(service: Service) -> list[BaseRoute]:
    def shown(model: ModelRecord) -> dict[str, Any]:
        return {
            "id": model.name,
            "object": "model",
            "created": int(model.created),
            "owned_by": "system" if model.job is None else service.config.organization,
        }

    async def listed(request: Request) -> JSONResponse:
        models = [shown(model) for model in service.models.list()]
        return JSONResponse({"object": "list", "data": models})

    async def get(request: Request) -> JSONResponse:
        return JSONResponse(shown(service.models.get(request.path_params["name"])))

    async def delete(request: Request) -> JSONResponse:
        name = request.path_params["name"]
        await service.models.delete(name)
        return JSONResponse({"id": name, "object": "model", "deleted": True})

    return [
        Route("/models", listed, methods=["GET"]),
        Route("/models/{name:path}", get, methods=["GET"]),
        Route("/models/{name:path}", delete, methods=["DELETE"]),
    ]
