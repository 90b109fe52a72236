"""The two halves, reached at a scripted service."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.providers.openai.scripted import Scripted
from vtune_client.provider import Endpoint, Trainer, endpoint_of, trainer_of

KEY = "sk-test-0123456789abcdef"


@asynccontextmanager
async def training(server: Scripted, **connection: Any) -> AsyncIterator[Trainer]:
    trainer = trainer_of("openai", {"base_url": server.url, "api_key": KEY, **connection})
    try:
        yield trainer
    finally:
        await trainer.aclose()


@asynccontextmanager
async def serving(
    server: Scripted, model: str = "tuned", **connection: Any
) -> AsyncIterator[Endpoint]:
    endpoint = endpoint_of("openai", {"base_url": server.url, "api_key": KEY, **connection})
    try:
        await endpoint.acquire(model)
        yield endpoint
    finally:
        await endpoint.release()
