"""The Together provider: trains and serves through the `together` SDK."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from vtune_client.errors import MissingExtra
from vtune_client.provider import Endpoint, Provider, Reach, Trainer

RECORDED = frozenset({"base_url", "project", "timeout", "concurrency", "dedicated", "idle_minutes"})


def provider() -> Provider:
    return Provider(
        name="together",
        summary="trains and serves at Together, or at a service of its shape (api_key)",
        trainer=_trainer,
        endpoint=_endpoint,
        recorded=RECORDED,
        reaches=_reaches,
    )


def _trainer(
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    project: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    concurrency: int = 8,
    dedicated: str | None = None,
    idle_minutes: int = 30,
    client: Any = None,
) -> Trainer:
    """Training takes one call after another, on hardware of the service's choice: `concurrency`,
    `dedicated` and `idle_minutes` are there because a connection serves both halves."""
    _require_extra()
    from vtune_providers.together.line import line_to
    from vtune_providers.together.trainer import TogetherTrainer

    return TogetherTrainer(line_to(base_url, api_key, project, headers, timeout, client))


def _endpoint(
    *,
    base_url: str | None = None,
    api_key: str | None = None,
    project: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    concurrency: int = 8,
    dedicated: str | None = None,
    idle_minutes: int = 30,
    client: Any = None,
) -> Endpoint:
    _require_extra()
    from vtune_providers.together.dedicated import Wanted
    from vtune_providers.together.endpoint import TogetherEndpoint
    from vtune_providers.together.line import line_to

    return TogetherEndpoint(
        line_to(base_url, api_key, project, headers, timeout, client),
        concurrency=concurrency,
        wanted=Wanted(dedicated, idle_minutes) if dedicated else None,
    )


def _reaches(connection: Mapping[str, Any] | None) -> Sequence[Reach]:
    from vtune_providers.chat.address import checked_headers
    from vtune_providers.together.line import OWN_KEY, checked_url, key_for

    if connection is None and not os.environ.get(OWN_KEY):
        return ()
    given = connection or {}
    address = checked_url(given.get("base_url"))
    key = key_for(given.get("api_key"), address)
    headers = checked_headers(key if key != "none" else None, given.get("headers") or {})
    return (Reach(f"{address}/v1/models", headers),)


def _require_extra() -> None:
    # Looked for, not imported: the SDK is heavy, and `vtune providers` does without it.
    if find_spec("together") is None:
        raise MissingExtra("The together SDK", "together")
