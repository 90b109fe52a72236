"""A client of OpenAI's shape, with a wire that can be broken."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.dropin.wires import Wire
from tests.serving import Server


@pytest.fixture
def wire() -> Wire:
    return Wire(pytest.importorskip("httpx2"))


@pytest.fixture
def client(server: Server, home: Path, wire: Wire) -> Iterator[Any]:
    pytest.importorskip("openai")
    from tests.dropin.openai.script import eager
    from vtune_client.openai import OpenAI

    with OpenAI(base_url=server.openai, api_key=server.key, http_client=wire.client()) as client:
        yield eager(client)
