from __future__ import annotations

import importlib.util
import inspect
import subprocess
import sys

import pytest

from vtune_client.errors import MissingExtra
from vtune_client.provider import load
from vtune_providers.together import provider

HEAVY = """
import sys
from vtune_client.provider import load
load("together")
print("together" in sys.modules)
"""


def test_it_is_found_by_its_entry_point() -> None:
    found = load("together")
    assert found.trainer
    assert found.endpoint


def test_what_is_recorded_are_keywords_of_both_halves_and_no_secret() -> None:
    found = provider()
    assert found.trainer
    assert found.endpoint
    trains = set(inspect.signature(found.trainer).parameters)
    serves = set(inspect.signature(found.endpoint).parameters)
    assert trains == serves
    assert found.recorded == trains - {"api_key", "headers", "client"}


def test_looking_for_providers_does_not_load_the_sdk() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HEAVY], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "False\n"


def test_a_missing_sdk_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(name: str, package: str | None = None) -> None: ...

    monkeypatch.setattr(importlib.util, "find_spec", without)
    monkeypatch.setattr("vtune_providers.together.find_spec", without)
    for factory in (provider().trainer, provider().endpoint):
        assert factory
        with pytest.raises(MissingExtra, match=r"vtune-client\[together\]"):
            factory(api_key="k")
