"""What differs between the services that speak OpenAI's fine-tuning API.

Sources: https://platform.openai.com/docs/guides/supervised-fine-tuning and .../pricing;
https://learn.microsoft.com/azure/ai-foundry/openai/how-to/fine-tuning;
https://docs.tokenfactory.nebius.com/post-training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MIB = 2**20


@dataclass(frozen=True)
class Preset:
    """One kind of service.

    `hosts` are the vendor's own, where the key of `key_variable` may go; `path` is put behind a
    base URL without one. Files above `parts_above` bytes are uploaded in parts (None: never).
    `row_tokens` and `prices` (USD per million training tokens) go by the beginning of a model's
    name, the longest that fits; the empty one fits all. `nested`: hyperparameters belong inside
    `method`, else beside it. `lists_models`: a model that `/models` does not know cannot be
    trained.
    """

    name: str
    base_url: str | None = None
    hosts: tuple[str, ...] = ()
    path: str = "/v1"
    key_variable: str | None = None
    key_header: str = "authorization"
    formats: frozenset[str] = frozenset({"chat", "preference"})
    methods: frozenset[str] = frozenset({"supervised", "dpo"})
    max_bytes: int | None = None
    parts_above: int | None = None
    suffix_length: int = 64
    row_tokens: Mapping[str, int] = field(default_factory=dict)
    prices: Mapping[str, float] = field(default_factory=dict)
    price_source: str = ""
    nested: bool = True
    lists_models: bool = False
    can_pause: bool = True

    def owns(self, url: str) -> bool:
        """Return whether the vendor's key may be sent to this address."""
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        ours = any(host == name or host.endswith(f".{name}") for name in self.hosts)
        return parts.scheme == "https" and ours


# Tokens of a row beyond which it is cut in silence.
_ROW_TOKENS = {"": 65_536, "gpt-3.5-turbo": 16_385, "gpt-35-turbo": 16_385}

OPENAI = Preset(
    name="openai",
    base_url="https://api.openai.com/v1",
    hosts=("api.openai.com",),
    key_variable="OPENAI_API_KEY",
    max_bytes=8 * 1024 * MIB,
    parts_above=100 * MIB,
    row_tokens=_ROW_TOKENS,
    prices={
        "gpt-4.1": 25.0,
        "gpt-4.1-mini": 5.0,
        "gpt-4.1-nano": 1.5,
        "gpt-4o": 25.0,
        "gpt-4o-mini": 3.0,
        "gpt-3.5-turbo": 8.0,
    },
    price_source="OpenAI's list price of 2025",
    lists_models=True,
)
AZURE = Preset(
    name="azure",
    hosts=("openai.azure.com", "services.ai.azure.com", "cognitiveservices.azure.com"),
    path="/openai/v1",
    key_variable="AZURE_OPENAI_API_KEY",
    key_header="api-key",
    max_bytes=512 * MIB,
    suffix_length=40,
    row_tokens=_ROW_TOKENS,
)
NEBIUS = Preset(
    name="nebius",
    base_url="https://api.tokenfactory.nebius.com/v1",
    hosts=("tokenfactory.nebius.com", "studio.nebius.com", "studio.nebius.ai"),
    key_variable="NEBIUS_API_KEY",
    formats=frozenset({"chat", "prompt", "text", "preference"}),
    max_bytes=5 * 1024 * MIB,
    nested=False,
    can_pause=False,
)
GENERIC = Preset(name="generic", formats=frozenset({"chat", "prompt", "text", "preference"}))

PRESETS = {preset.name: preset for preset in (OPENAI, AZURE, NEBIUS, GENERIC)}


def preset_of(url: str) -> Preset:
    """Return the preset of the vendor whose address this is, `GENERIC` where it is nobody's."""
    return next((preset for preset in PRESETS.values() if preset.owns(url)), GENERIC)


def base_name(model: str) -> str:
    """Return the base of a fine-tuned model's name ("ft:gpt-4o-mini:..."), else the name."""
    return model.split(":")[1] if model.startswith("ft:") and model.count(":") > 1 else model
