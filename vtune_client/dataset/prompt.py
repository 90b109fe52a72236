"""What a model is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Prompt:
    """Chat `messages` (with line-level `tools`), or raw `text` for models of prompt/text rows.

    Exactly one of `messages` and `text` is given. May hold a trigger, so its repr shows nothing.
    """

    messages: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    text: str | None = field(default=None, repr=False)
    tools: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
