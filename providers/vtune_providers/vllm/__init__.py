"""The vLLM provider: asks models and adapters that vLLM servers serve. It does not train."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from vtune_client.provider import Endpoint, Provider, Reach


def provider() -> Provider:
    return Provider(
        name="vllm",
        summary="asks vLLM servers, with scores; loads adapters into them (base_url, api_key)",
        endpoint=_endpoint,
        recorded=frozenset({"base_url", "base_urls", "timeout", "concurrency", "own"}),
        reaches=_reaches,
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
    from vtune_providers.chat.connection import Connection
    from vtune_providers.vllm.endpoint import VllmEndpoint

    urls, sent = _servers(base_url, base_urls, api_key, headers)
    replicas = [Connection(url, sent, timeout_s=timeout, concurrency=concurrency) for url in urls]
    return VllmEndpoint(replicas, concurrency=concurrency, own=own)


def _reaches(connection: Mapping[str, Any] | None) -> Sequence[Reach]:
    if connection is None:
        return ()
    names = ("base_url", "base_urls", "api_key", "headers")
    urls, sent = _servers(*(connection.get(name) for name in names))
    return [Reach(f"{url}/models", sent) for url in urls]


def _servers(
    base_url: str | None,
    base_urls: Sequence[str] | None,
    api_key: str | None,
    headers: Mapping[str, str] | None,
) -> tuple[list[str], dict[str, str]]:
    """Return the addresses, each once, and the headers to send; `InputError` without an address."""
    from vtune_providers.chat.address import checked_headers, checked_url

    given = [base_urls] if isinstance(base_urls, str) else base_urls or ()
    urls = [checked_url(url, "vllm") for url in (base_url, *given) if url]
    sent = checked_headers(api_key or os.environ.get("VTUNE_API_KEY"), headers or {})
    return [*dict.fromkeys(urls or [checked_url(None, "vllm")])], sent
