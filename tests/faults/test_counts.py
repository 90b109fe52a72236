"""A hundred creates whose answers are lost: as many jobs as were asked for, and not one more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.faults.bench import BASE, Bench
from tests.serving import Server
from vtune_client.ledger import Ledger, Step

HALF = 50
TEN = 10


@pytest_asyncio.fixture
async def client(bench: Bench) -> AsyncIterator[Any]:
    """A client of the user's, with the SDK's own retries as they are: on."""
    name = bench.vendor.name
    sdk: Any = import_module(name)
    make = {"openai": "AsyncOpenAI", "together": "AsyncTogether"}[name]
    async with getattr(sdk, make)(**bench.connection) as client:
        assert client.max_retries > 0
        yield client


async def test_of_a_hundred_lost_answers_none_costs_a_second_job(bench: Bench, client: Any) -> None:
    bench.server.faults.add("create-then-500", times=HALF)
    bench.server.faults.add("create-then-cut", times=HALF)
    plan = await bench.vtune.plan(bench.rows)  # of one content, so that the token alone tells

    async def start() -> str | None:
        job = await bench.vtune.fine_tune(
            plan=plan.id, model=BASE, provider=bench.vendor.name, connection={"client": client}
        )
        assert job.step is Step.CREATED
        return job.remote_id

    started = await asyncio.gather(*(start() for _ in range(2 * HALF)))
    assert bench.creates() == 2 * HALF
    assert _faults_left(bench.server) == 0
    assert len(set(started)) == 2 * HALF
    assert sorted(filter(None, started)) == sorted(job.id for job in bench.server.jobs())


@contextmanager
def _openai(server: Server) -> Iterator[Callable[[Path], Any]]:
    from vtune_client.openai import OpenAI

    with OpenAI(base_url=server.openai, api_key=server.key) as client:

        def start(rows: Path) -> Any:
            file = client.files.create(file=rows, purpose="fine-tune")
            return client.fine_tuning.jobs.create(model=BASE, training_file=file.id)

        yield start


@contextmanager
def _together(server: Server) -> Iterator[Callable[[Path], Any]]:
    from vtune_client.together import Together

    with Together(base_url=server.together, api_key=server.key) as client:

        def start(rows: Path) -> Any:
            file = client.files.upload(rows)
            return client.fine_tuning.create(model=BASE, training_file=file.id)

        yield start


def test_nor_do_those_of_the_drop_in_clients(bench: Bench, rows: Path, home: Path) -> None:
    bench.server.faults.add("create-then-500", times=TEN)
    bench.server.faults.add("create-then-cut", times=TEN)
    client = {"openai": _openai, "together": _together}[bench.vendor.name]
    with client(bench.server) as start:
        started = [start(rows).id for _ in range(2 * TEN)]
    assert bench.creates() == 2 * TEN
    assert _faults_left(bench.server) == 0
    assert sorted(started) == sorted(job.id for job in bench.server.jobs())
    with Ledger(home) as ledger:
        assert [job.remote_id for job in ledger.jobs()] == started


def _faults_left(server: Server) -> int:
    names = ("create-then-500", "create-then-cut")
    return sum(server.faults.take(name) is not None for name in names)
