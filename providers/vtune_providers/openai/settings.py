"""The connection as the user gave it, checked; and the key, found without sending it elsewhere."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtune_client.errors import InputError
from vtune_providers.chat.address import checked_headers, checked_url
from vtune_providers.openai.presets import OPENAI, PRESETS, Preset, preset_of

VARIABLE = "VTUNE_API_KEY"


class Given(BaseModel):
    """The keywords, of which all are optional; times in seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    preset: str | None = None
    base_url: str | None = None
    api_key: str | None = Field(None, repr=False)
    organization: str | None = None
    project: str | None = None
    api_version: str | None = None
    headers: dict[str, str] | None = Field(None, repr=False)
    timeout: float = Field(120.0, gt=0)
    concurrency: int = Field(8, ge=1)
    file_timeout_s: float = Field(1800.0, gt=0)
    price_per_million: float | None = Field(None, ge=0)
    client: Any = Field(None, repr=False)
    arm_token: str | None = Field(None, repr=False)
    resource_id: str | None = None
    sku: str = "developertier"
    arm_url: str = "https://management.azure.com"


@dataclass(frozen=True)
class Settings:
    """Where to send what. `headers` hold the key; `own` says that the address is the vendor's."""

    given: Given
    preset: Preset
    base_url: str
    own: bool
    headers: Mapping[str, str] = field(repr=False)


def checked(connection: Mapping[str, Any]) -> Settings:
    """Return what the keywords mean; `InputError` for one that is wrong or missing."""
    try:
        given = Given.model_validate(dict(connection))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        raise InputError(
            f"The connection's {'.'.join(map(str, first['loc']))} will not do: {first['msg']}.",
            "Mend it and try again.",
        ) from None
    if given.preset is not None and given.preset not in PRESETS:
        raise InputError(
            f"There is no preset {given.preset!r}.", f"Choose one of {', '.join(PRESETS)}."
        )
    if given.client is not None:
        return _through(given)
    url = _url(given)
    preset = PRESETS[given.preset] if given.preset else preset_of(url)
    own = preset.owns(url)
    return Settings(given, preset, url, own, _headers(given, preset, own=own))


def _through(given: Given) -> Settings:
    """Return the settings of a client that the user made, which has its own address and key."""
    url = str(getattr(given.client, "base_url", "")).rstrip("/")
    preset = PRESETS[given.preset] if given.preset else preset_of(url)
    return Settings(given, preset, url, preset.owns(url), {})


def _url(given: Given) -> str:
    preset = PRESETS[given.preset] if given.preset else None
    wanted = given.base_url or (preset or OPENAI).base_url
    if not wanted:
        raise InputError(
            f"The preset {given.preset!r} needs the base URL of a service.",
            "Give one such as https://NAME.openai.azure.com/openai/v1 as base_url.",
        )
    url = checked_url(wanted)
    preset = preset or preset_of(url)
    if not urlsplit(wanted.strip()).path.strip("/"):
        url = url.removesuffix("/v1") + preset.path
    return url


def _headers(given: Given, preset: Preset, *, own: bool) -> dict[str, str]:
    """Return the headers that say who we are; the user's own win."""
    key = given.api_key or os.environ.get(VARIABLE)
    if not key and own and preset.key_variable:
        key = os.environ.get(preset.key_variable)
    sent = checked_headers(key, {})
    if preset.key_header != "authorization" and "authorization" in sent:
        sent = {preset.key_header: sent["authorization"].removeprefix("Bearer ")}
    names = {"openai-organization": given.organization, "openai-project": given.project}
    more = {name: value for name, value in names.items() if value}
    return {**sent, **checked_headers(None, more), **checked_headers(None, given.headers or {})}
