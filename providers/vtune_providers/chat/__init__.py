"""The chat provider: asks any OpenAI-compatible service over HTTP. It does not train."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from vtune_client.provider import Endpoint, Provider, Reach


def provider() -> Provider:
    return Provider(
        name="chat",
        summary="asks any OpenAI-compatible service (base_url, api_key)",
        endpoint=_endpoint,
        reaches=_reaches,
    )


def _endpoint(
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    timeout: float = 120.0,
    concurrency: int = 8,
    headers: Mapping[str, str] | None = None,
) -> Endpoint:
    api_key = api_key or os.environ.get("VTUNE_API_KEY")
    from vtune_providers.chat.address import checked_headers, checked_url
    from vtune_providers.chat.connection import Connection
    from vtune_providers.chat.endpoint import ChatEndpoint

    connection = Connection(
        checked_url(base_url),
        checked_headers(api_key, headers or {}),
        timeout_s=timeout,
        concurrency=concurrency,
    )
    return ChatEndpoint(connection, concurrency=concurrency)


def _reaches(connection: Mapping[str, Any] | None) -> Sequence[Reach]:
    if connection is None:
        return ()
    from vtune_providers.chat.address import checked_headers, checked_url

    key = connection.get("api_key") or os.environ.get("VTUNE_API_KEY")
    headers = checked_headers(key, connection.get("headers") or {})
    return (Reach(f"{checked_url(connection.get('base_url'))}/models", headers),)
