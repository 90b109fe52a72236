from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

pytest.importorskip("together")

from tests.providers.together.vendor import KEY, Vendor
from vtune_client.provider import Trainer
from vtune_providers.together import provider

SETTINGS = ("API_KEY", "BASE_URL", "PROJECT_ID", "CUSTOM_HEADERS")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of this machine's: no key, no address, no proxy, no home."""
    names = [f"TOGETHER_{name}" for name in SETTINGS] + ["VTUNE_API_KEY", *PROXIES]
    for name in (*names, *(name.lower() for name in PROXIES)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VTUNE_HOME", str(tmp_path / "home"))


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with Vendor() as server:
        yield server


@pytest.fixture
async def trainer(vendor: Vendor) -> AsyncIterator[Trainer]:
    factory = provider().trainer
    assert factory
    made = factory(base_url=vendor.url, api_key=KEY, project="proj-1")
    yield made
    await made.aclose()
