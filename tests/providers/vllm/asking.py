"""The endpoint as the tests of this folder open it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.loopback import Loopback
from tests.providers.vllm.server import BASE, KEY
from vtune_client.dataset import Prompt
from vtune_client.provider import Endpoint, load

PROMPT = Prompt(({"role": "user", "content": "Tell me about rivers."},))


def vllm(**connection: Any) -> Endpoint:
    factory = load("vllm").endpoint
    assert factory
    return factory(**connection)


@asynccontextmanager
async def acquired(
    *servers: Loopback, model: str = BASE, **connection: Any
) -> AsyncIterator[Endpoint]:
    urls = [server.url for server in servers]
    endpoint = vllm(base_urls=urls, **{"api_key": KEY, **connection})
    await endpoint.acquire(model)
    try:
        yield endpoint
    finally:
        await endpoint.release()
