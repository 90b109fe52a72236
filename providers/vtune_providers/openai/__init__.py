"""The openai provider: trains and serves with whatever speaks OpenAI's fine-tuning API.

That is OpenAI itself, Azure, Nebius, gateways, and `vtune serve`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

from vtune_client.errors import MissingExtra
from vtune_client.provider import Endpoint, Provider, Reach, Trainer

RECORDED = frozenset(
    {
        "preset",
        "base_url",
        "organization",
        "project",
        "api_version",
        "timeout",
        "concurrency",
        "file_timeout_s",
        "price_per_million",
        "resource_id",
        "sku",
        "arm_url",
    }
)


def provider() -> Provider:
    return Provider(
        name="openai",
        summary="trains and serves over OpenAI's API: OpenAI, Azure, Nebius, or any base_url",
        trainer=_trainer,
        endpoint=_endpoint,
        recorded=RECORDED,
        reaches=_reaches,
    )


def _trainer(
    *,
    preset: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    organization: str | None = None,
    project: str | None = None,
    api_version: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    concurrency: int = 8,
    file_timeout_s: float = 1800.0,
    price_per_million: float | None = None,
    client: Any = None,
) -> Trainer:
    given = dict(locals())
    _require_extra()
    from vtune_providers.openai.settings import checked
    from vtune_providers.openai.trainer import OpenAITrainer

    return OpenAITrainer(checked(given))


def _endpoint(
    *,
    preset: str | None = None,
    base_url: str | None = None,
    api_key: str | None = None,
    organization: str | None = None,
    project: str | None = None,
    api_version: str | None = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 120.0,
    concurrency: int = 8,
    client: Any = None,
    arm_token: str | None = None,
    resource_id: str | None = None,
    sku: str = "developertier",
    arm_url: str = "https://management.azure.com",
) -> Endpoint:
    given = dict(locals())
    _require_extra()
    from vtune_providers.openai.endpoint import OpenAIEndpoint
    from vtune_providers.openai.settings import checked

    return OpenAIEndpoint(checked(given))


def _reaches(connection: Mapping[str, Any] | None) -> Sequence[Reach]:
    from vtune_providers.openai.presets import PRESETS
    from vtune_providers.openai.settings import checked

    found = (
        [connection]
        if connection is not None
        else [
            {"preset": preset.name}
            for preset in PRESETS.values()
            if preset.base_url and os.environ.get(preset.key_variable or "")
        ]
    )
    reached = []
    for settings in map(checked, found):
        version = settings.given.api_version
        query = f"?api-version={version}" if version else ""
        reached.append(Reach(f"{settings.base_url}/models{query}", settings.headers))
    return reached


def _require_extra() -> None:
    # Looked for, not imported: the import takes a while, and listing providers does not need it.
    if find_spec("openai") is None:
        raise MissingExtra("The openai SDK", "openai")
