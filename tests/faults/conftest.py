"""A service over the trainer in memory, spoken to in both shapes by the adapters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests import memory as memory_service
from tests.faults.bench import BASES, VENDORS, Bench, Vendor
from tests.serving import Server, serving
from tests.simulator import Hurried
from vtune_client import AsyncVTune


@pytest.fixture(params=sorted(VENDORS))
def vendor(request: pytest.FixtureRequest) -> Vendor:
    pytest.importorskip(request.param)
    return VENDORS[request.param]


@pytest.fixture
def server(tmp_path: Path, memory: memory_service.Service) -> Iterator[Server]:
    with serving(tmp_path, bases=BASES, provider="memory") as server:
        yield server


@pytest_asyncio.fixture
async def vtune(home: Path, patience: Hurried) -> AsyncIterator[AsyncVTune]:
    async with AsyncVTune(patience=patience) as vtune:
        yield vtune


@pytest.fixture
def patience() -> Hurried:
    return Hurried(outage_s=600)


@pytest.fixture
def bench(
    vendor: Vendor, server: Server, vtune: AsyncVTune, patience: Hurried, rows: Path
) -> Bench:
    return Bench(vendor, server, vtune, patience, rows)
