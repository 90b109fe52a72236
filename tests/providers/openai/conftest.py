from __future__ import annotations

import pytest

VARIABLES = (
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("VTUNE_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY", "NEBIUS_API_KEY"),
    *("OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_ADMIN_KEY", "OPENAI_CUSTOM_HEADERS"),
)


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reach the loopback directly and with no key, whatever the machine's environment names."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
