"""The vLLM provider: asks models and adapters that vLLM servers serve. It does not train."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from vtune_client.provider import Endpoint, Provider


def provider() -> Provider:
    return Provider(
        name="vllm",
        summary="asks vLLM servers, with scores; loads adapters into them (base_url, api_key)",
        endpoint=_endpoint,
        recorded=frozenset({"base_url", "base_urls", "timeout", "concurrency", "own"}),
    )


def _endpoint(
    *,
    base_url: str | None = None,
    base_urls: Sequence[str] = (),
    api_key: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    concurrency: int = 8,
    own: bool = False,
) -> Endpoint:
    """`base_urls` are (further) replicas, which serve the same; `concurrency` counts for all of
    them together. `own`: nobody else runs the server."""
    from vtune_providers.chat.address import checked_headers, checked_url
    from vtune_providers.chat.connection import Connection
    from vtune_providers.vllm.endpoint import VllmEndpoint

    given = [base_urls] if isinstance(base_urls, str) else base_urls
    urls = [checked_url(url, "vllm") for url in (base_url, *given) if url]
    sent = checked_headers(api_key or os.environ.get("VTUNE_API_KEY"), headers or {})
    replicas = [
        Connection(url, sent, timeout_s=timeout, concurrency=concurrency)
        for url in dict.fromkeys(urls or [checked_url(None, "vllm")])
    ]
    return VllmEndpoint(replicas, concurrency=concurrency, own=own)
