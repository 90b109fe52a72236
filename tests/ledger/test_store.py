"""The ledger keeps what it is given, whole, and says so when it cannot; on either database."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ledger.records import JOB, PLAN, ROUND, TARGET
from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger import Job, Ledger, Step
from vtune_client.provider import JobEvent, JobSpec, State

pytestmark = pytest.mark.usefixtures("database")


def test_every_record_comes_back_as_it_was(filled: Ledger, tmp_path: Path) -> None:
    full = Job(
        "job-2",
        "plan-1",
        9.0,
        "other",
        JobSpec("base"),
        "token-2",
        Step.CREATED,
        keep_planted=True,
        planted_sha256="cd" * 32,
        file_id="file-1",
        remote_id="remote-1",
        state=State.RUNNING,
        progress=0.25,
        model="m",
        error="e",
    )
    filled.add_job(full)
    filled.save_answer(ROUND, "answer 0.0", b"\0sealed")
    events = [JobEvent("b", 2.0, "two", {"loss": 0.5}), JobEvent("a", 1.0, "one")]
    filled.add_events(full, events)
    with Ledger(tmp_path) as again:
        assert again.plan("plan-1") == PLAN
        assert again.plans() == [PLAN]
        assert again.jobs() == [JOB, full]
        assert again.job("job-2") == full
        assert again.verification("verification-1") == ROUND
        assert again.verifications() == [ROUND]
        assert again.answers(ROUND) == {"answer 0.0": b"\0sealed"}
        assert again.events(full) == events[::-1]  # by time


def test_what_changes_of_a_job_is_written_and_the_rest_stays(filled: Ledger) -> None:
    job = filled.update(JOB, step=Step.CREATING, file_id="file-1")
    assert job == filled.job("job-1") == replace(JOB, step=Step.CREATING, file_id="file-1")
    done = filled.update(job, step=Step.DONE, state=State.SUCCEEDED, model="m")
    assert filled.update(job, step=Step.CREATED, state=State.RUNNING, model=None) == done


def test_an_event_is_kept_once_as_it_was_first_told(filled: Ledger) -> None:
    filled.add_events(JOB, [JobEvent("1", 1.0, "first")])
    filled.add_events(JOB, [JobEvent("1", 1.0, "again"), JobEvent("2", 2.0, "second")])
    assert [event.message for event in filled.events(JOB)] == ["first", "second"]


def test_a_round_is_unfinished_until_it_has_a_verdict(filled: Ledger) -> None:
    assert filled.unfinished("plan-1", dict(reversed(TARGET.items()))) == ROUND
    assert filled.unfinished("plan-1", {**TARGET, "model": "other"}) is None
    assert filled.unfinished("plan-2", TARGET) is None
    filled.finish(ROUND, {"verdict": "verified"})
    assert filled.unfinished("plan-1", TARGET) is None
    assert filled.verification("verification-1").verdict == {"verdict": "verified"}


def test_an_answer_given_again_takes_the_place_of_the_first(filled: Ledger) -> None:
    filled.save_answer(ROUND, "answer 0.0", b"one")
    filled.save_answer(ROUND, "answer 0.0", b"two")
    assert filled.answers(ROUND) == {"answer 0.0": b"two"}


def test_an_id_may_be_cut_short_where_that_leaves_one(filled: Ledger) -> None:
    filled.add_job(replace(JOB, id="job-12", token="token-2"))
    filled.add_job(replace(JOB, id="job-2", token="token-3"))
    assert filled.job("job-2").id == "job-2"
    assert filled.job("job-12").id == "job-12"
    assert filled.job("job-1").id == "job-1"  # itself, though another begins so
    assert filled.plan("plan").id == "plan-1"
    with pytest.raises(LedgerError, match="more than one job 'job-'"):
        filled.job("job-")


@pytest.mark.parametrize("item", ["", "%", "job_1", "job-1%", "_", "\\", "OB-1", "job-\ud83d", "'"])
def test_an_id_of_nothing_is_an_error(filled: Ledger, item: str) -> None:
    with pytest.raises(LedgerError, match="The ledger holds no job"):
        filled.job(item)


def test_a_job_belongs_to_a_plan_and_has_a_token_of_its_own(filled: Ledger) -> None:
    for wrong in (
        replace(JOB, id="job-2", plan_id="plan-2", token="token-2"),
        replace(JOB, id="job-2"),  # the token of job-1
        replace(JOB, token="token-2"),  # the id of job-1
    ):
        with pytest.raises(LedgerError, match="cannot be written"):
            filled.add_job(wrong)
    assert filled.jobs() == [JOB]


def test_options_that_cannot_be_written_down_are_refused(ledger: Ledger) -> None:
    ledger.add_plan(PLAN)
    with pytest.raises(InputError, match="options of the job cannot be kept"):
        ledger.add_job(replace(JOB, spec=JobSpec("base", options={"path": Path("x")})))


def test_a_path_that_is_not_utf_8_is_refused(ledger: Ledger) -> None:
    with pytest.raises(InputError, match="is not text in UTF-8") as caught:
        ledger.add_plan(replace(PLAN, source="/data/\udcff.jsonl"))
    str(caught.value).encode()


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.ledger.records import JOB, PLAN
from vtune_client.ledger import Ledger, Step
from vtune_client.provider import JobEvent

name = sys.argv[2]
with Ledger(Path(sys.argv[1])) as ledger:
    ledger.add_plan(replace(PLAN, id=f"plan-{name}"))
    job = replace(JOB, id=f"job-{name}", plan_id=f"plan-{name}", token=name)
    ledger.add_job(job)
    for number in range(20):
        ledger.add_events(job, [JobEvent(str(number), float(number), "step")])
        ledger.update(job, progress=number / 20)
"""


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    """Also the tables are made by all of them at once."""
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(4)]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    with Ledger(tmp_path) as ledger:
        jobs = ledger.jobs()
        assert sorted(job.id for job in jobs) == [f"job-{number}" for number in range(4)]
        assert [len(ledger.events(job)) for job in jobs] == [20] * 4
        assert {job.progress for job in jobs} == {19 / 20}
