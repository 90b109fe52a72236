"""The service in OpenAI's shape, under /v1 (platform.openai.com/docs/api-reference)."""

from __future__ import annotations

from typing import Any

from starlette.routing import BaseRoute

from vtune_client.serve.openai import chat, files, jobs, models, uploads
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.service import Service


def routes(service: Service) -> list[BaseRoute]:
    return [
        *files.routes(service),
        *uploads.routes(service),
        *jobs.routes(service),
        *models.routes(service),
        *chat.routes(service),
    ]


def is_open(path: str) -> bool:
    """Return whether a path is served without a key: none is."""
    return False


def error_body(refusal: Refusal) -> dict[str, Any]:
    return {
        "error": {
            "message": refusal.message,
            "type": refusal.kind,
            "param": refusal.param,
            "code": refusal.code,
        }
    }
