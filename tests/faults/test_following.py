"""Jobs that say odd things of themselves."""

from __future__ import annotations

import pytest

from tests.faults.bench import STARTS_ANEW, Bench, said
from vtune_client.errors import InputError, JobFailed, NotYet, ProviderError
from vtune_client.ledger import Job, Step
from vtune_client.provider import State


async def test_a_job_that_is_stuck_is_left_running_then_cancelled(bench: Bench) -> None:
    bench.server.faults.add("stuck", times=1)
    job = await bench.start()
    with pytest.raises(NotYet) as caught:
        await bench.wait(job, timeout_s=300)
    assert said(caught.value) == (
        "Job JOB has not ended within 300 s: the provider says running.",
        "It is left running, and may cost: `vtune wait JOB` waits on, `vtune cancel JOB` ends it.",
    )
    assert [each.status for each in bench.server.jobs()] == [State.RUNNING]

    cancelled = await bench.vtune.cancel(job.id, connection=bench.connection)
    assert cancelled.state is State.CANCELLED
    with pytest.raises(JobFailed) as ended:
        await bench.wait(job)
    assert said(ended.value) == (
        "Job JOB ended as cancelled.",
        STARTS_ANEW,
    )
    with pytest.raises(InputError) as undelivered:
        await bench.verify(job)
    assert said(undelivered.value) == (
        "Job JOB has not delivered a model yet.",
        "Run `vtune wait JOB` first.",
    )
    assert [each.status for each in bench.server.jobs()] == [State.CANCELLED]
    bench.costs_nothing()


async def test_a_status_that_nobody_knows_is_polled_on(bench: Bench) -> None:
    bench.server.faults.add("unknown-status", 4, times=1)
    job = await bench.start()
    seen: list[Job] = []
    await bench.wait(job, on_job=seen.append)
    assert State.UNKNOWN in {each.state for each in seen}
    assert seen[-1].state is State.SUCCEEDED
    await bench.delivers(job)


async def test_a_model_that_has_no_name_yet_is_waited_for(bench: Bench) -> None:
    bench.server.faults.add("no-model-name", 3, times=1)
    job = await bench.start()
    seen: list[Job] = []
    await bench.wait(job, on_job=seen.append)
    named = [each.model is not None for each in seen if each.state is State.SUCCEEDED]
    assert (named[0], named[-1]) == (False, True)
    await bench.delivers(job)


async def test_a_model_that_never_gets_a_name_is_no_delivery(bench: Bench) -> None:
    bench.server.faults.add("no-model-name", times=1)
    job = await bench.start()
    with pytest.raises(ProviderError) as caught:
        await bench.wait(job)
    assert type(caught.value) is ProviderError
    assert said(caught.value) == (
        "The provider says job REMOTE succeeded and names no model.",
        "Ask the provider, then run `vtune wait JOB` again.",
    )
    left = bench.only_job()
    assert (left.step, left.state, left.model) == (Step.CREATED, State.SUCCEEDED, None)
    assert len(bench.server.jobs()) == 1
    bench.costs_nothing()
