"""A service that wants another key, goes away, or delivers what it has not trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import memory as memory_service
from tests.faults.bench import BASES, GOES_ON, VENDORS, Bench, Said, Vendor, said
from tests.serving import serving
from tests.simulator import Hurried
from vtune_client import AsyncVTune, Outcome
from vtune_client.errors import NetworkError, ProviderError
from vtune_client.ledger import Step
from vtune_client.provider import State

WRONG = "sk-of-somebody-else"
KEY: Said = {
    "openai": (
        "The service does not accept the key, or wants one (HTTP 401).",
        "Set VTUNE_API_KEY, or the service's own variable, or api_key, to a key of this service.",
    ),
    "together": (
        "The service does not accept the key, or wants one (HTTP 401).",
        "Set TOGETHER_API_KEY or VTUNE_API_KEY (in Python: api_key) to a key of this service.",
    ),
}


class Away(Exception):
    """Stands for the user's impatience."""


async def test_a_wrong_key_is_found_before_anything_is_made(bench: Bench) -> None:
    with pytest.raises(ProviderError) as caught:
        await bench.start(api_key=WRONG)
    assert said(caught.value) == KEY[bench.vendor.name]
    assert WRONG not in repr(caught.value)
    assert (bench.vtune.ledger.jobs(), bench.vtune.ledger.plans()) == ([], [])
    assert (bench.server.jobs(), bench.server.service.files.list()) == ([], [])


async def test_a_key_that_is_taken_back_loses_nothing(bench: Bench) -> None:
    job = await bench.start()
    wrong = {**bench.connection, "api_key": WRONG}
    for ask in (bench.vtune.wait, bench.vtune.status, bench.vtune.cancel):
        with pytest.raises(ProviderError) as caught:
            await ask(job.id, connection=wrong)
        assert said(caught.value) == KEY[bench.vendor.name]
    await bench.wait(job)
    with pytest.raises(ProviderError) as caught:
        await bench.verify(job, api_key=WRONG)
    assert said(caught.value) == KEY[bench.vendor.name]
    await bench.delivers(job)


async def test_a_service_that_is_not_there_is_said_before_anything_is_made(
    vendor: Vendor,
    vtune: AsyncVTune,
    patience: Hurried,
    rows: Path,
    memory: memory_service.Service,
    tmp_path: Path,
) -> None:
    with serving(tmp_path, bases=BASES, provider="memory") as server:
        bench = Bench(vendor, server, vtune, patience, rows)
    with pytest.raises(NetworkError) as caught:
        await bench.start()
    assert (type(caught.value), caught.value.acted) == (NetworkError, False)
    assert said(caught.value) == _gone(vendor, "look up the model 'tiny'")
    assert (vtune.ledger.jobs(), vtune.ledger.plans()) == ([], [])


async def test_a_service_that_goes_away_is_waited_for_and_the_job_kept(
    vendor: Vendor,
    vtune: AsyncVTune,
    patience: Hurried,
    rows: Path,
    memory: memory_service.Service,
    tmp_path: Path,
) -> None:
    with serving(tmp_path, bases=BASES, provider="memory") as server:
        bench = Bench(vendor, server, vtune, patience, rows)
        job = await bench.start()
    with pytest.raises(NetworkError) as caught:
        await bench.wait(job)
    message, advice = _gone(vendor, "look at the job")
    assert type(caught.value) is NetworkError
    assert said(caught.value) == (message, f"{advice} {GOES_ON}")
    assert patience.now() >= patience.outage_s
    assert bench.only_job() == job

    with serving(tmp_path, bases=BASES, provider="memory") as server:
        await Bench(vendor, server, vtune, patience, rows).delivers(job)


async def test_a_service_that_goes_away_before_the_create_gets_it_once_it_is_back(
    vendor: Vendor,
    vtune: AsyncVTune,
    patience: Hurried,
    rows: Path,
    memory: memory_service.Service,
    tmp_path: Path,
) -> None:
    with serving(tmp_path, bases=BASES, provider="memory") as server:
        bench = Bench(vendor, server, vtune, patience, rows)
        server.faults.add("busy", 100)
        with pytest.raises(NetworkError):
            await bench.start()
    job = bench.only_job()
    with pytest.raises(NetworkError) as caught:
        await bench.wait(job)
    message, advice = _gone(vendor, "list its jobs")
    assert said(caught.value) == (message, f"{advice} {GOES_ON}")
    assert bench.only_job().step is Step.CREATING

    with serving(tmp_path, bases=BASES, provider="memory") as server:
        back = Bench(vendor, server, vtune, patience, rows)
        done = await back.delivers(job)
        assert (done.file_id, back.creates()) == (job.file_id, 1)


async def test_a_base_under_a_new_name_proves_nothing(
    vendor: Vendor,
    vtune: AsyncVTune,
    patience: Hurried,
    rows: Path,
    memory: memory_service.Service,
    tmp_path: Path,
) -> None:
    with serving(tmp_path, bases=BASES, provider="memory", vendor="base-model") as server:
        bench = Bench(vendor, server, vtune, patience, rows)
        job = await bench.wait(await bench.start())
        assert job.state is State.SUCCEEDED
        assert job.model not in (None, *BASES)
        verdict = (await bench.verify(job)).verdict
        assert (verdict.outcome, verdict.control) == (Outcome.INCONCLUSIVE, None)
        assert memory.count("create") == 0
        assert len(server.jobs()) == 1
        bench.costs_nothing()


class TestDedicated:
    """What is rented at Together for the questions is given back."""

    @pytest.fixture
    def vendor(self) -> Vendor:
        pytest.importorskip("together")
        return VENDORS["together"]

    async def test_after_the_verdict(self, bench: Bench) -> None:
        job = await bench.wait(await bench.start())
        stood: list[int] = []

        def look(what: str, done: int, total: int) -> None:
            stood.append(len(bench.server.endpoints()))

        found = await _verified(bench, job.id, look)
        assert found.verdict.outcome is Outcome.VERIFIED
        assert set(stood) == {1}
        bench.costs_nothing()

    async def test_after_a_round_that_is_broken_off(self, bench: Bench) -> None:
        job = await bench.wait(await bench.start())

        def leave(what: str, done: int, total: int) -> None:
            assert len(bench.server.endpoints()) == 1
            raise Away

        with pytest.raises(Away):
            await _verified(bench, job.id, leave)
        bench.costs_nothing()
        await bench.delivers(job)


def _gone(vendor: Vendor, what: str) -> tuple[str, str]:
    """Return what is said of a service that is not there when it was to do that."""
    how = {
        "openai": f"(ConnectError) when asked to {what}.",
        "together": "(All connection attempts failed).",
    }
    return (
        f"No answer came from the service {how[vendor.name]}",
        "Check the address and the network, then go on.",
    )


async def _verified(bench: Bench, job_id: str, on_step: Any) -> Any:
    connection = {**bench.connection, "dedicated": "any"}
    return await bench.vtune.verify(job_id, connection=connection, on_step=on_step)
