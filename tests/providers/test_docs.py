"""docs/providers.md says what there is."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

from vtune_client.provider import (
    Endpoint,
    EndpointCapabilities,
    Trainer,
    TrainerCapabilities,
    installed,
    load,
)

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"\bVTUNE_[A-Z]+(?:_[A-Z]+)*\b")


def test_every_environment_variable_is_named_and_no_other() -> None:
    sources = [*(ROOT / "vtune_client").rglob("*.py"), *(ROOT / "providers").rglob("*.py")]
    read = {name for source in sources for name in VARIABLE.findall(source.read_text("utf-8"))}
    assert set(VARIABLE.findall(PAGE)) == read


def test_every_provider_and_every_option_of_chat_is_named() -> None:
    for name in installed()[0]:
        assert f"| `{name}` |" in PAGE
    factory = load("chat").endpoint
    assert factory
    for option in inspect.signature(factory).parameters:
        assert f"| `{option}` |" in PAGE


def test_every_call_and_capability_is_named() -> None:
    calls = [name for half in (Trainer, Endpoint) for name in vars(half) if name[0] != "_"]
    assert len(calls) > 12
    for name in calls:
        assert re.search(rf"`{name}[(`]", PAGE), name
    for capabilities in (TrainerCapabilities, EndpointCapabilities):
        for field in fields(capabilities):
            assert f"`{field.name}`" in PAGE
