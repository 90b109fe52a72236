"""The one call that must not be repeated blindly."""

from __future__ import annotations

import pytest

from tests.faults.bench import GOES_ON, Bench, Said, said
from vtune_client.errors import NetworkError
from vtune_client.ledger import Step
from vtune_client.provider import State

BUSY: Said = {
    "openai": (
        "The service is busy (HTTP 429) when asked to start the job: Rate limit reached for "
        "fine-tuning jobs. Please try again later.",
        f"Try again later; nothing done so far is lost. {GOES_ON}",
    ),
    "together": (
        "The service is busy (HTTP 429): Rate limit reached for fine-tuning jobs. "
        "Please try again later.",
        f"Try again later. {GOES_ON}",
    ),
}


async def test_without_a_fault(bench: Bench) -> None:
    await bench.delivers(await bench.start())
    assert bench.creates() == 1


@pytest.mark.parametrize("fault", ["create-then-500", "create-then-cut"])
async def test_a_lost_answer_is_looked_for_and_the_job_is_not_started_again(
    bench: Bench, fault: str
) -> None:
    bench.server.faults.add(fault, times=1)
    job = await bench.start()
    assert (job.step, job.remote_id) == (Step.CREATED, bench.server.jobs()[0].id)
    await bench.delivers(job)
    assert bench.creates() == 1


async def test_a_busy_service_is_given_the_time_that_it_asks_for(bench: Bench) -> None:
    bench.server.faults.add("busy", 123, times=1)
    job = await bench.start()
    assert bench.patience.now() >= 123
    await bench.delivers(job)
    assert bench.creates() == 2


async def test_a_service_that_stays_busy_is_given_up_on_and_the_job_kept(bench: Bench) -> None:
    bench.server.faults.add("busy", 100)
    with pytest.raises(NetworkError) as caught:
        await bench.start()
    assert type(caught.value) is NetworkError
    assert said(caught.value) == BUSY[bench.vendor.name]
    assert bench.patience.now() >= bench.patience.outage_s
    job = bench.only_job()
    assert (job.step, bench.server.jobs()) == (Step.CREATING, [])

    bench.server.faults.clear()
    done = await bench.delivers(job)
    assert (done.id, done.file_id, done.state) == (job.id, job.file_id, State.SUCCEEDED)
