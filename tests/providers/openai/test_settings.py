"""Whom the connection means, and where which key goes."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("openai")

from vtune_client.errors import InputError
from vtune_client.provider import load, recordable
from vtune_providers.openai.presets import PRESETS, base_name, preset_of
from vtune_providers.openai.settings import checked

AZURE = "https://acme.openai.azure.com"


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1", "openai"),
        ("http://api.openai.com/v1", "generic"),
        ("https://api.openai.com.evil.example/v1", "generic"),
        ("https://xapi.openai.com/v1", "generic"),
        (f"{AZURE}/openai/v1", "azure"),
        ("https://acme.services.ai.azure.com/openai/v1", "azure"),
        ("https://api.tokenfactory.nebius.com/v1", "nebius"),
        ("http://127.0.0.1:8000/v1", "generic"),
    ],
)
def test_the_preset_follows_from_the_address(url: str, name: str) -> None:
    assert preset_of(url).name == name
    assert checked({"base_url": url}).preset.name == name


def test_without_anything_it_is_openai() -> None:
    assert checked({}).base_url == "https://api.openai.com/v1"


@pytest.mark.parametrize(
    ("given", "url"),
    [
        ({"base_url": AZURE}, f"{AZURE}/openai/v1"),
        ({"base_url": f"{AZURE}/openai/v1/"}, f"{AZURE}/openai/v1"),
        ({"base_url": "https://gate.example", "preset": "azure"}, "https://gate.example/openai/v1"),
        ({"base_url": "https://gate.example"}, "https://gate.example/v1"),
        ({"base_url": "https://gate.example/api"}, "https://gate.example/api"),
        ({"preset": "nebius"}, "https://api.tokenfactory.nebius.com/v1"),
    ],
)
def test_the_path_is_put_behind(given: dict[str, Any], url: str) -> None:
    assert checked(given).base_url == url


def test_the_vendors_own_key_goes_to_the_vendor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-key")
    assert checked({}).headers == {"authorization": "Bearer sk-openai"}
    assert checked({"base_url": AZURE}).headers == {"api-key": "az-key"}
    elsewhere = [
        {"base_url": "https://gate.example/v1"},
        {"base_url": "https://gate.example/v1", "preset": "openai"},
        {"base_url": "http://api.openai.com/v1", "preset": "openai"},
        {"preset": "nebius"},
    ]
    for given in elsewhere:
        assert checked(given).headers == {}


def test_our_own_variable_goes_anywhere_and_a_keyword_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    monkeypatch.setenv("VTUNE_API_KEY", "vt-key")
    assert checked({}).headers == {"authorization": "Bearer vt-key"}
    given = {"base_url": "https://gate.example/v1", "api_key": "given", "organization": "org-1"}
    assert checked(given).headers == {
        "authorization": "Bearer given",
        "openai-organization": "org-1",
    }


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"timeout": 0}, "timeout will not do"),
        ({"concurrency": 0}, "concurrency will not do"),
        ({"price_per_million": -1}, "price_per_million will not do"),
        ({"preset": "acme"}, "no preset 'acme'"),
        ({"preset": "azure"}, "needs the base URL"),
        ({"preset": "generic"}, "needs the base URL"),
        ({"base_url": "ftp://x"}, "http"),
    ],
)
def test_what_will_not_do_is_refused(given: dict[str, Any], why: str) -> None:
    with pytest.raises(InputError, match=why):
        checked(given)


def test_no_secret_is_shown_or_recorded() -> None:
    secret = "sk-0123456789"
    given = {"api_key": secret, "headers": {"x-key": secret}, "arm_token": secret}
    assert secret not in repr(checked(given))
    with pytest.raises(InputError) as raised:
        checked({"api_key": secret, "timeout": secret})
    assert secret not in str(raised.value)
    kept = recordable("openai", {**given, "base_url": AZURE, "client": object()})
    assert kept == {"base_url": AZURE}


def test_both_halves_are_offered() -> None:
    provider = load("openai")
    assert provider.trainer
    assert provider.endpoint
    assert provider.trainer(base_url="http://127.0.0.1").capabilities.methods == {
        "supervised",
        "dpo",
    }
    assert set(PRESETS) == {"openai", "azure", "nebius", "generic"}


def test_the_base_of_a_tuned_model() -> None:
    assert base_name("ft:gpt-4o-mini-2024-07-18:acme::abc") == "gpt-4o-mini-2024-07-18"
    assert base_name("gpt-4o-mini") == "gpt-4o-mini"
    assert base_name("org/model:7b") == "org/model:7b"
