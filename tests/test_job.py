"""A job is created once and never lost, whatever the line, the service and the machine do."""

from __future__ import annotations

import asyncio
import hashlib
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from sqlalchemy import Connection

from tests import tiny
from tests.simulator import Hurried, Killed, Once, Service, Simulator, Weather, When
from vtune_client.dataset import check
from vtune_client.errors import (
    BudgetError,
    InputError,
    JobFailed,
    LedgerError,
    NetworkError,
    ProviderError,
)
from vtune_client.job import JobRunner
from vtune_client.ledger import Job, Ledger, PlanRecord, Step
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Estimate, JobEvent, JobSpec, JobStatus, State
from vtune_client.vault import RootKey

KEY = RootKey(bytes(range(32)))
LOST = NetworkError("The line broke.")
DOWN = 10**9  # times


class Mortal(Ledger):
    """A ledger whose process may end right before or right after a commit.

    Only the process: the power stays on, so that the disk need not be waited for."""

    weather: Weather | None = None

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        connection = self._database.engine.raw_connection()
        connection.cursor().execute("PRAGMA synchronous = OFF")
        connection.close()  # back to the pool, where it stays as it is

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with super()._writing() as connection:
            yield connection
            self._disturb("before")
        self._disturb("after")

    def _disturb(self, when: When) -> None:
        if self.weather:
            self.weather("commit", when)


@dataclass
class Bench:
    """One plan, and as many jobs of it as a test likes."""

    home: Path
    rows: Path
    ledger: Mortal
    plan: Plan

    def job(self, name: str = "job-1", *, validation_file: str | None = None, **more: Any) -> Job:
        spec = JobSpec("base", epochs=2, options={"rank": 4}, validation_file=validation_file)
        token = f"token of {name}"
        job = Job(name, "plan-1", 1.0, "simulated", spec, token, Step.PLANTING, **more)
        self.ledger.add_job(job)
        return job

    def runner(self, patience: Hurried | None = None) -> JobRunner:
        return JobRunner(self.ledger, self.home, lambda _: self.plan, patience or Hurried())

    def spool(self) -> list[Path]:
        return list((self.home / "spool").iterdir())


@pytest.fixture(scope="module")
def plan_of_rows(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Plan]:
    path = tiny.write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
    return path, draw_plan("plan-1", check(path), PlanSpec(), KEY, BuiltinSource())


@pytest.fixture
def bench(tmp_path: Path, plan_of_rows: tuple[Path, Plan]) -> Iterator[Bench]:
    path, plan = plan_of_rows
    with Mortal(tmp_path) as ledger:
        source = (str(path), plan.source_sha256, plan.rows, 5, 20, plan.bits)
        ledger.add_plan(PlanRecord("plan-1", 1.0, "key", *source, b"sealed"))
        yield Bench(tmp_path, path, ledger, plan)


async def test_a_job_goes_from_the_file_to_the_delivered_model(bench: Bench) -> None:
    service, job = Service(), bench.job()
    seen: list[Job] = []
    job = await bench.runner().submit(job, Simulator(service))
    assert (job.step, job.remote_id) == (Step.CREATED, "remote-1")
    job = await bench.runner().wait(job, Simulator(service), seen.append)

    assert (job.step, job.state, job.model) == (Step.DONE, State.SUCCEEDED, "tuned")
    assert job == bench.ledger.job(job.id)
    assert [each.state for each in seen] == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
    (uploaded,) = service.files.values()
    assert hashlib.sha256(uploaded).hexdigest() == job.planted_sha256
    assert plant(bench.rows, bench.plan, bench.home / "again").sha256 == job.planted_sha256
    (started,) = service.jobs.values()
    assert (started.spec, started.token) == (job.spec, job.token)
    assert bench.spool() == []
    assert service.deleted == []  # the file is the customer's to keep at a service


async def test_a_file_on_this_disk_is_deleted_with_the_end_of_the_job(bench: Bench) -> None:
    service, job = Service(), bench.job()
    trainer = Simulator(service, on_this_disk=True)
    job = await bench.runner().submit(job, trainer)
    assert service.deleted == []
    await bench.runner().wait(job, trainer)
    assert service.deleted == ["file-1"]


async def test_a_file_that_cannot_be_deleted_does_not_keep_the_job_from_ending(
    bench: Bench,
) -> None:
    refused = Once("clean_up", "before", ProviderError("No."), times=DOWN)
    trainer = Simulator(Service(), refused, on_this_disk=True)
    job = await bench.runner().submit(bench.job(), trainer)
    assert (await bench.runner().wait(job, trainer)).step is Step.DONE


async def test_the_planted_file_is_kept_where_that_was_asked_for(bench: Bench) -> None:
    job = await bench.runner().submit(bench.job(keep_planted=True), Simulator(Service()))
    (kept,) = bench.spool()
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == job.planted_sha256
    if sys.platform != "win32":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600


async def test_one_job_is_created_under_a_hundred_schedules_of_faults(bench: Bench) -> None:
    """Calls and answers get lost and the process ends at any commit, until the job is done."""
    for seed in range(100):
        service, patience = Service(lag_s=4.0), Hurried()
        service.clock = patience.clock
        job = bench.job(f"job-{seed}")
        bench.ledger.weather = weather = Weather(seed)
        trainer = Simulator(service, weather, find_lag_s=4.0)
        for _ in range(30):  # lives of the process
            try:
                stands = bench.ledger.job(job.id)
                stands = await bench.runner(patience).submit(stands, trainer)
                stands = await bench.runner(patience).wait(stands, trainer)
                break
            except (NetworkError, Killed):
                continue
        bench.ledger.weather = None
        assert (seed, len(service.jobs)) == (seed, 1)
        assert (seed, stands.state, stands.model) == (seed, State.SUCCEEDED, "tuned")
        assert (seed, bench.spool()) == (seed, [])


@pytest.mark.parametrize("error", [LOST, Killed()], ids=["answer lost", "killed"])
async def test_a_created_job_that_cannot_be_found_at_once_is_waited_for(
    bench: Bench, error: BaseException
) -> None:
    service, patience = Service(lag_s=9.0), Hurried()
    service.clock = patience.clock
    trainer = Simulator(service, Once("create", "after", error), find_lag_s=10.0)
    job = bench.job()
    try:
        job = await bench.runner(patience).submit(job, trainer)
    except Killed:
        assert bench.ledger.job(job.id).step is Step.CREATING
        job = await bench.runner(patience).submit(job, trainer)
    assert (job.remote_id, len(service.jobs)) == ("remote-1", 1)


async def test_a_create_that_never_arrived_is_made_by_the_next_try(bench: Bench) -> None:
    service, job = Service(), bench.job()
    trainer = Simulator(service, Once("create", "before", LOST))
    with pytest.raises(NetworkError):
        await bench.runner().submit(job, trainer)
    assert (bench.ledger.job(job.id).step, len(service.jobs)) == (Step.CREATING, 0)
    assert bench.spool() == []  # uploaded, so no copy of the secrets lies here
    await bench.runner().submit(job, trainer)
    assert (len(service.jobs), service.uploads) == (1, 1)


async def test_a_failed_upload_is_made_again(bench: Bench) -> None:
    service, job = Service(), bench.job()
    trainer = Simulator(service, Once("upload", "before", LOST, times=3))
    assert (await bench.runner().submit(job, trainer)).step is Step.CREATED
    assert service.uploads == 1


async def test_an_upload_that_never_succeeds_is_an_error_and_loses_nothing(bench: Bench) -> None:
    service, job = Service(), bench.job()
    with pytest.raises(NetworkError):
        await bench.runner().submit(
            job, Simulator(service, Once("upload", "before", LOST, times=DOWN))
        )
    assert bench.ledger.job(job.id).step is Step.UPLOADING
    assert (await bench.runner().submit(job, Simulator(service))).step is Step.CREATED
    assert service.uploads == 1


async def test_a_busy_service_is_asked_to_create_again_when_it_said(bench: Bench) -> None:
    """It did nothing, so there is nothing to look for; its own wish is the pause."""
    service, job, patience = Service(), bench.job(), Hurried()
    busy = NetworkError("Busy.", "Wait.", retry_after=900.0, acted=False)
    finds = Once("find", "before", AssertionError("asked to find"))
    create = Once("create", "before", busy, times=2)

    def disturb(call: str, when: When) -> None:
        create(call, when)
        finds(call, when)

    job = await bench.runner(patience).submit(job, Simulator(service, disturb))
    assert (job.step, len(service.jobs)) == (Step.CREATED, 1)
    assert patience.now() == 1800.0


async def test_a_service_that_stays_busy_is_an_error_and_the_job_can_go_on(bench: Bench) -> None:
    service, job = Service(), bench.job()
    busy = NetworkError("Busy.", "Wait.", retry_after=900.0, acted=False)
    with pytest.raises(NetworkError, match="Busy"):
        await bench.runner().submit(
            job, Simulator(service, Once("create", "before", busy, times=9))
        )
    assert bench.ledger.job(job.id).step is Step.CREATING
    assert (await bench.runner().submit(job, Simulator(service))).step is Step.CREATED
    assert (len(service.jobs), service.uploads) == (1, 1)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize(
    ("estimate", "quote", "uploads", "sentence"),
    [
        (Estimate(12.5, source="our count"), None, 0, "would cost 12.50 USD .our count., and the"),
        (Estimate(), Estimate(11.0, "EUR", source="theirs"), 1, "cost 11.00 EUR .theirs."),
        (Estimate(9.0), Estimate(10.01, source="theirs"), 1, "and the budget is 10.00"),
        (Estimate(), None, 1, "Nobody says what training would cost"),
    ],
    ids=["before the upload", "by the service", "by both", "by nobody"],
)
async def test_a_job_over_its_budget_is_never_created(
    bench: Bench,
    estimate: Estimate,
    quote: Estimate | None,
    uploads: int,
    sentence: str,
    keep: bool,
) -> None:
    service = Service(estimate=estimate, quote=quote)
    job = bench.job(budget=10.0, keep_planted=keep)
    with pytest.raises(BudgetError, match=sentence):
        await bench.runner().submit(job, Simulator(service))
    assert (service.jobs, service.files, service.uploads) == ({}, {}, uploads)
    assert len(bench.spool()) == keep
    closed = bench.ledger.job(job.id)
    assert (closed.step, closed.state) == (Step.DONE, State.CANCELLED)
    assert closed.error


async def test_a_price_within_the_budget_is_kept_with_the_job(bench: Bench) -> None:
    service = Service(estimate=Estimate(11.0), quote=Estimate(9.5, source="theirs"))
    service.estimate = Estimate(9.9)
    job = await bench.runner().submit(bench.job(budget=10.0), Simulator(service))
    assert job.step is Step.CREATED
    (event,) = bench.ledger.events(job)
    assert event.data == {"price": 9.5, "currency": "USD", "source": "theirs"}


async def test_without_a_budget_no_price_stops_a_job(bench: Bench) -> None:
    service = Service(estimate=Estimate(1e6), quote=Estimate(2e6))
    assert (await bench.runner().submit(bench.job(), Simulator(service))).step is Step.CREATED


async def test_a_validation_file_is_sent_as_it_stands(bench: Bench, tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    held.write_bytes(b'{"messages": []}\n')
    service, job = Service(), bench.job(validation_file=str(held))
    trainer = Simulator(service, Once("wait_for_file", "before", Killed()))
    with pytest.raises(Killed):
        await bench.runner().submit(job, trainer)
    job = await bench.runner().submit(job, trainer)
    assert (service.uploads, job.validation_id) == (2, "file-2")
    assert service.files["file-2"] == held.read_bytes()
    assert service.jobs["remote-1"].validation_id == "file-2"


async def test_waiting_has_an_end_where_one_is_named(bench: Bench) -> None:
    service = Service(script=[JobStatus("", State.RUNNING)])
    job = await bench.runner().submit(bench.job(), Simulator(service))
    with pytest.raises(ProviderError, match="has not ended within 60 s: the provider says running"):
        await bench.runner().wait(job, Simulator(service), timeout_s=60.0)
    assert bench.ledger.job(job.id).step is Step.CREATED
    job = await bench.runner().cancel(job, Simulator(service))
    assert job.state is State.CANCELLED


async def test_a_job_is_paused_and_goes_on(bench: Bench) -> None:
    service, runner = Service(), bench.runner()
    with pytest.raises(InputError, match="is not running: it stands at planting"):
        await runner.pause(bench.job("job-0"), Simulator(service))
    job = await runner.submit(bench.job(), Simulator(service))
    assert (await runner.pause(job, Simulator(service))).state is State.PAUSED
    assert (await runner.refresh(job, Simulator(service))).state is State.PAUSED
    assert (await runner.resume(job, Simulator(service))).state is State.QUEUED
    job = await runner.wait(job, Simulator(service))
    with pytest.raises(InputError, match="stands at succeeded"):
        await runner.resume(job, Simulator(service))


@pytest.mark.parametrize("refusal", [ProviderError("Bad file."), InputError("Bad file.")])
async def test_a_refused_file_is_deleted_and_sent_anew(bench: Bench, refusal: Exception) -> None:
    service, job = Service(), bench.job()
    trainer = Simulator(service, Once("wait_for_file", "before", refusal))
    with pytest.raises(type(refusal), match="Bad file"):
        await bench.runner().submit(job, trainer)
    assert service.deleted == ["file-1"]
    stands = bench.ledger.job(job.id)
    assert (stands.step, stands.file_id) == (Step.UPLOADING, None)
    assert (await bench.runner().submit(job, trainer)).file_id == "file-2"


@pytest.mark.parametrize("error", [LOST, Killed()], ids=["line broken", "killed"])
async def test_a_file_is_sent_once_while_it_is_being_looked_at(
    bench: Bench, error: BaseException
) -> None:
    service, job = Service(), bench.job()
    trainer = Simulator(service, Once("wait_for_file", "before", error))
    try:
        job = await bench.runner().submit(job, trainer)
    except Killed:
        job = await bench.runner().submit(job, trainer)
    assert (job.step, service.uploads) == (Step.CREATED, 1)


async def test_a_refused_create_is_tried_again_or_closed(bench: Bench) -> None:
    service = Service()
    refused = Once("create", "before", ProviderError("No credit."), times=2)
    trainer = Simulator(service, refused)
    mended, closed = bench.job("job-mended"), bench.job("job-closed")
    for job in (mended, closed):
        with pytest.raises(ProviderError, match="No credit"):
            await bench.runner().submit(job, trainer)
    assert (await bench.runner().submit(mended, trainer)).step is Step.CREATED
    job = await bench.runner().cancel(closed, trainer)
    assert (job.step, job.state) == (Step.DONE, State.CANCELLED)
    assert (len(service.jobs), service.deleted) == (1, ["file-2"])


async def test_a_source_that_changed_stops_the_job_before_anything_is_sent(bench: Bench) -> None:
    other = bench.home / "other.jsonl"
    other.write_bytes(bench.rows.read_bytes() + b"\n")
    record = PlanRecord(**{**vars(bench.ledger.plan("plan-1")), "id": "plan-2"})
    bench.ledger.add_plan(PlanRecord(**{**vars(record), "source": str(other)}))
    job = Job(**{**vars(bench.job()), "id": "job-2", "plan_id": "plan-2", "token": "another"})
    bench.ledger.add_job(job)
    service = Service()
    with pytest.raises(InputError, match="has changed"):
        await bench.runner().submit(job, Simulator(service))
    assert (service.uploads, bench.spool()) == (0, [])
    assert bench.ledger.job("job-2").step is Step.PLANTING


async def test_a_status_nobody_knows_means_keep_polling(bench: Bench) -> None:
    said = [JobStatus("", State.UNKNOWN)] * 5 + [JobStatus("", State.SUCCEEDED, "tuned")]
    trainer = Simulator(Service(script=said))
    job = await bench.runner().submit(bench.job(), trainer)
    assert (await bench.runner().wait(job, trainer)).model == "tuned"


async def test_a_model_may_be_named_after_the_success(bench: Bench) -> None:
    said = [JobStatus("", State.SUCCEEDED)] * 3 + [JobStatus("", State.SUCCEEDED, "tuned")]
    trainer = Simulator(Service(script=said))
    job = await bench.runner().submit(bench.job(), trainer)
    assert (await bench.runner().wait(job, trainer)).model == "tuned"


async def test_a_model_that_is_never_named_is_an_error_and_the_job_stays_open(
    bench: Bench,
) -> None:
    service, patience = Service(script=[JobStatus("", State.SUCCEEDED)]), Hurried()
    trainer = Simulator(service)
    job = await bench.runner().submit(bench.job(), trainer)
    with pytest.raises(ProviderError, match="names no model"):
        await bench.runner(patience).wait(job, trainer)
    assert patience.clock.seconds >= patience.model_grace_s
    assert bench.ledger.job(job.id).step is Step.CREATED
    service.script = [JobStatus("", State.SUCCEEDED, "tuned")]
    assert (await bench.runner().wait(job, trainer)).model == "tuned"


@pytest.mark.parametrize("state", [State.FAILED, State.CANCELLED])
async def test_a_job_that_failed_says_why(bench: Bench, state: State) -> None:
    reason = "line 7 has half a pair \ud83d"
    service = Service(script=[JobStatus("", state, error=reason)])
    trainer = Simulator(service, on_this_disk=True)
    job = await bench.runner().submit(bench.job(), trainer)
    for _ in range(2):  # also when asked again
        with pytest.raises(JobFailed, match=rf"ended as {state}: line 7 has half a pair \?"):
            await bench.runner().wait(bench.ledger.job(job.id), trainer)
    assert service.files == {}


async def test_events_are_kept_once_whatever_is_in_them(bench: Bench) -> None:
    odd = JobEvent("2", 2.0, "half a pair \ud83d", {"loss": 0.5, "text": "\ud83d"})
    service = Service(events=[JobEvent("1", 1.0, "training"), odd])
    broken = Once("events", "after", LOST)
    job = await bench.runner().submit(bench.job(), Simulator(service))
    job = await bench.runner().wait(job, Simulator(service, broken))
    kept = bench.ledger.events(job)
    assert [event.message for event in kept] == ["training", "half a pair ?"]
    assert kept[1].data["loss"] == 0.5


async def test_an_outage_is_waited_out(bench: Bench) -> None:
    trainer = Simulator(Service(), Once("get", "before", LOST, times=40))
    patience = Hurried()
    job = await bench.runner().submit(bench.job(), trainer)
    assert (await bench.runner(patience).wait(job, trainer)).model == "tuned"
    assert patience.clock.seconds > 600


async def test_an_outage_without_end_is_an_error_and_loses_nothing(bench: Bench) -> None:
    service, patience = Service(), Hurried()
    job = await bench.runner().submit(bench.job(), Simulator(service))
    down = Simulator(service, Once("get", "before", LOST, times=DOWN))
    with pytest.raises(NetworkError):
        await bench.runner(patience).wait(job, down)
    assert patience.outage_s <= patience.clock.seconds < patience.outage_s + 120
    assert (await bench.runner().wait(job, Simulator(service))).model == "tuned"


async def test_a_job_cancelled_before_its_creation_is_closed(bench: Bench) -> None:
    service, job = Service(), bench.job()
    job = await bench.runner().cancel(job, Simulator(service))
    assert (job.step, job.state) == (Step.DONE, State.CANCELLED)
    job = await bench.runner().submit(job, Simulator(service))
    with pytest.raises(JobFailed, match="ended as cancelled"):
        await bench.runner().wait(job, Simulator(service))
    assert (service.uploads, len(service.jobs)) == (0, 0)


async def test_a_job_cancelled_after_a_kill_leaves_no_planted_file(bench: Bench) -> None:
    trainer = Simulator(Service(), Once("upload", "before", Killed()))
    with pytest.raises(Killed):
        await bench.runner().submit(bench.job(), trainer)
    (planted,) = bench.spool()
    planted.with_name(f".{planted.name}.part").write_bytes(b"killed while writing")
    await bench.runner().cancel(bench.ledger.job("job-1"), trainer)
    assert bench.spool() == []


@pytest.mark.parametrize("error", [LOST, Killed()], ids=["answer lost", "killed"])
async def test_a_job_cancelled_while_its_creation_is_in_doubt_is_cancelled_there(
    bench: Bench, error: BaseException
) -> None:
    service, patience = Service(lag_s=3.0), Hurried()
    service.clock = patience.clock

    def disturb(call: str, when: When) -> None:
        if call == "create" and when == "after":
            raise error
        if call == "find" and isinstance(error, NetworkError) and not patience.clock.seconds:
            raise Killed

    trainer = Simulator(service, disturb, find_lag_s=5.0)
    with pytest.raises(Killed):
        await bench.runner(patience).submit(bench.job(), trainer)
    patience.clock.seconds = 1.0
    job = await bench.runner(patience).cancel(bench.ledger.job("job-1"), trainer)
    assert (job.step, job.state, job.remote_id) == (Step.DONE, State.CANCELLED, "remote-1")
    assert service.jobs["remote-1"].cancelled


async def test_a_file_that_another_job_needs_is_left_with_the_service(bench: Bench) -> None:
    """Some services give the same content the same id."""
    service = Service()
    one = await bench.runner().submit(bench.job("job-1"), Simulator(service))
    other = bench.ledger.update(bench.job("job-2"), step=Step.UPLOADING, file_id=one.file_id)
    assert (await bench.runner().cancel(other, Simulator(service))).state is State.CANCELLED
    assert service.deleted == []
    await bench.runner().wait(one, Simulator(service))
    last = bench.ledger.update(bench.job("job-3"), step=Step.UPLOADING, file_id=one.file_id)
    await bench.runner().cancel(last, Simulator(service))
    assert service.deleted == [one.file_id]


async def test_a_running_job_is_cancelled_at_the_service(bench: Bench) -> None:
    service = Service()
    trainer = Simulator(service, Once("cancel", "before", LOST))
    job = await bench.runner().submit(bench.job(), trainer)
    with pytest.raises(NetworkError):
        await bench.runner().cancel(job, trainer)
    assert bench.ledger.job(job.id).step is Step.CREATED
    job = await bench.runner().cancel(job, trainer)
    assert (job.step, job.state) == (Step.DONE, State.CANCELLED)


async def test_a_job_that_has_ended_stays_as_it_is(bench: Bench) -> None:
    service = Service()
    job = await bench.runner().submit(bench.job(), Simulator(service))
    job = await bench.runner().wait(job, Simulator(service))
    silent = Simulator(service, Once("get", "before", AssertionError("asked"), times=DOWN))
    for again in (
        await bench.runner().cancel(job, silent),
        await bench.runner().submit(job, silent),
        await bench.runner().refresh(job, silent),
        await bench.runner().wait(job, silent),
    ):
        assert again == job
    assert not service.jobs["remote-1"].cancelled


async def test_one_who_saw_less_does_not_reopen_a_job_that_is_done(bench: Bench) -> None:
    service = Service(script=[JobStatus("", State.RUNNING), JobStatus("", State.SUCCEEDED, "m")])
    stale = await bench.runner().submit(bench.job(), Simulator(service))
    done = await bench.runner().wait(stale, Simulator(service))
    service.jobs["remote-1"].asked = 0  # an older answer that was long under way
    assert await bench.runner().refresh(stale, Simulator(service)) == done


async def test_two_who_submit_at_once_create_one_job(bench: Bench) -> None:
    service, job = Service(), bench.job()
    with Mortal(bench.home) as other:
        runners = (
            bench.runner(),
            JobRunner(other, bench.home, lambda _: bench.plan, Hurried()),
        )
        jobs = await asyncio.gather(*(runner.submit(job, Simulator(service)) for runner in runners))
    assert (len(service.jobs), service.uploads) == (1, 1)
    assert jobs[0] == jobs[1]


async def test_a_job_that_another_process_holds_for_too_long_is_an_error(bench: Bench) -> None:
    job, runner = bench.job(), bench.runner()
    with (
        FileLock(bench.home / "locks" / f"{job.id}.lock"),
        pytest.raises(LedgerError, match="Another process"),
    ):
        await runner.submit(job, Simulator(Service()))
    assert (await runner.submit(job, Simulator(Service()))).step is Step.CREATED
