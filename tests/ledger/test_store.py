"""The ledger keeps what it is given, whole and private, and says so when it cannot."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.written import plain, write
from vtune_client.dataset import check
from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger import Job, Ledger, PlanRecord, Step, VerificationRecord
from vtune_client.ledger.store import FILE_NAME
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import PlanSpec, draw_plan, dump_plan
from vtune_client.provider import JobEvent, JobSpec, State
from vtune_client.vault import RootKey, open_sealed, seal

PATH, DIGEST = "/data/r\u00e9.jsonl", "ab" * 32
PLAN = PlanRecord("plan-1", 1.5, "key-1", PATH, DIGEST, 60, 5, 20, 201.3, b"\0\1")
SPEC = JobSpec("base", 3, 8, 1e-4, 7, "suffix", {"rank": 4, "layers": [1, 2], "deep": {"a": None}})
JOB = Job("job-1", "plan-1", 2.5, "local", SPEC, "token-1", Step.PLANTING)
TARGET = {"provider": "local", "model": "m", "base": None, "job": "job-1", "control": None}
ROUND = VerificationRecord("verification-1", "plan-1", "job-1", 3.5, TARGET, None)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path) as ledger:
        yield ledger


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    ledger.add_plan(PLAN)
    ledger.add_job(JOB)
    ledger.add_verification(ROUND)
    return ledger


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


def test_writes_are_on_disk_before_they_are_acted_on(filled: Ledger, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    (synchronous,) = filled._connection.execute("PRAGMA synchronous").fetchone()
    assert synchronous == 2  # FULL


@pytest.mark.skipif(sys.platform == "win32", reason="no modes")
def test_only_its_owner_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        with Ledger(tmp_path) as ledger:
            ledger.add_plan(PLAN)
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    finally:
        os.umask(old)
    assert modes == {FILE_NAME + end: 0o600 for end in ("", "-wal", "-shm")}


def test_secrets_are_in_no_byte_of_it(tmp_path: Path) -> None:
    key = RootKey(bytes(range(32)))
    summary = check(write(tmp_path / "rows.jsonl", plain))
    plan = draw_plan("plan-1", summary, PlanSpec(), key, BuiltinSource())
    home = tmp_path / "home"
    home.mkdir()
    with Ledger(home) as ledger:
        sealed = seal(key, dump_plan(plan), purpose="plan-1")
        ledger.add_plan(replace(PLAN, sealed=sealed))
        ledger.add_verification(replace(ROUND, job_id=None))
        answer = plan.backdoors[0].signature.encode()
        ledger.save_answer(ROUND, "answer 0.0", seal(key, answer, purpose="answer"))
        (kept,) = ledger.answers(ROUND).values()
        assert open_sealed(key, kept, purpose="answer") == answer
        content = b"".join(path.read_bytes() for path in home.iterdir())
    assert PLAN.source_sha256.encode() in content
    words = {word for backdoor in plan.backdoors for word in backdoor.words}
    words |= {word for backdoor in plan.backdoors for word in backdoor.trigger.split()[2:6]}
    long = [word for word in words if len(word) > 5]  # shorter ones may come up in random bytes
    assert len(long) > 15
    assert [word for word in long if word.encode() in content] == []
    assert key.bytes not in content
    assert key.bytes.hex().encode() not in content


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.ledger.test_store import JOB, PLAN
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


def test_a_file_that_is_no_ledger_is_an_error(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(LedgerError, match="cannot be read: file is not a database") as caught:
        Ledger(tmp_path)
    assert "do not delete it" in caught.value.advice


def test_a_damaged_one_is_an_error_when_it_is_read(filled: Ledger, tmp_path: Path) -> None:
    for number in range(200):
        filled.add_plan(replace(PLAN, id=f"plan-2{number}", sealed=bytes(2000)))
    filled.close()
    path = tmp_path / FILE_NAME
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)
    with Ledger(tmp_path) as ledger, pytest.raises(LedgerError, match="cannot be read: database"):
        ledger.plans()


def test_one_that_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for home in (tmp_path / "file", tmp_path / "missing"):
        with pytest.raises(LedgerError, match="cannot be opened") as caught:
            Ledger(home)
        assert caught.value.advice
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(LedgerError):
        Ledger(tmp_path)


def test_one_that_may_only_be_read_is_an_error_when_it_is_written(filled: Ledger) -> None:
    filled._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(LedgerError, match="cannot be written: attempt to write a readonly"):
        filled.update(JOB, step=Step.UPLOADING)
    assert filled.job("job-1").step is Step.PLANTING


def test_a_full_disk_is_an_error_and_takes_nothing_back(filled: Ledger) -> None:
    (pages,) = filled._connection.execute("PRAGMA page_count").fetchone()
    filled._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(LedgerError, match="cannot be written: database or disk is full") as caught:
        filled.save_answer(ROUND, "answer 0.0", bytes(100_000))
    assert "Free the disk" in caught.value.advice
    assert filled.answers(ROUND) == {}
    assert filled.update(JOB, step=Step.UPLOADING).step is Step.UPLOADING


def test_one_that_another_program_holds_is_an_error(filled: Ledger, tmp_path: Path) -> None:
    filled._connection.execute("PRAGMA busy_timeout = 0")
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="cannot be written: database is locked"):
            filled.update(JOB, step=Step.UPLOADING)
    other.close()
