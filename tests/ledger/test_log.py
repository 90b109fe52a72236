"""Every action is in the log, the log is one chain, and nobody changes it unseen."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger.records import JOB, PLAN, ROUND
from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger import (
    AuditEntry,
    CommitmentRecord,
    Ledger,
    LogEntry,
    SignerRecord,
    Step,
    Upload,
)
from vtune_client.ledger import base as ledger_base
from vtune_client.ledger.log import GENESIS, check_chain, digest_of, from_json, sha256_of, to_json
from vtune_client.provider import JobEvent, State

VERDICT = {"verdict": "verified", "p": 1e-40}
RECEIPT = {"kind": "rfc3161", "witness": "w", "data": "AA=="}
COMMITMENT = CommitmentRecord("ab" * 32, "plan-1", "job-1", 1.0, {"plan": "plan-1"})


def actions(ledger: Ledger, since: int = 0) -> list[tuple[str, str]]:
    return [(entry.action, entry.subject) for entry in ledger.log(since)]


@pytest.mark.usefixtures("database")
def test_each_action_is_one_entry_of_one_chain(filled: Ledger) -> None:
    job = filled.update(JOB, step=Step.UPLOADING, planted_sha256="cd" * 32)
    filled.add_upload(Upload("openai", "https://a.example", "file-1", "plan-1", "d", 2.0))
    filled.finish(ROUND, VERDICT)
    filled.add_commitment(COMMITMENT)
    filled.add_receipt(COMMITMENT.digest, RECEIPT)
    filled.add_signer(SignerRecord("SHA256:00", "key-2", bytes(32), 1.0))
    filled.open_backdoors("plan-1", [1, 0], "shown to a vendor")
    filled.save_audit_entry(AuditEntry("audit", "entry", "run", 1.0, job_id=job.id))
    said = filled.record("report written", ROUND.id, {"format": "html"})
    assert actions(filled) == [
        ("log begun", "ledger"),
        ("plan drawn", "plan-1"),
        ("job added", "job-1"),
        ("verification begun", "verification-1"),
        ("job changed", "job-1"),
        ("upload added", "plan-1"),
        ("verification finished", "verification-1"),
        ("commitment added", COMMITMENT.digest),
        ("receipt added", COMMITMENT.digest),
        ("signer added", "SHA256:00"),
        ("backdoors opened", "plan-1"),
        ("audit entry saved", "audit/entry"),
        ("report written", "verification-1"),
    ]
    entries = list(filled.log())
    assert check_chain(entries) == []
    assert entries[-1] == said
    assert entries[4].data == {"step": "uploading", "planted_sha256": "cd" * 32}
    assert entries[6].data == {"verdict": "verified", "sha256": sha256_of(VERDICT)}
    assert entries[8].data == {"kind": "rfc3161", "witness": "w", "sha256": sha256_of(RECEIPT)}
    assert list(filled.log(since=11)) == entries[11:]


@pytest.mark.usefixtures("database")
def test_what_changes_nothing_is_not_told(filled: Ledger) -> None:
    job = filled.update(JOB, step=Step.CREATED, state=State.RUNNING)
    last = len(actions(filled))
    filled.update(job, state=State.RUNNING, progress=0.5)
    filled.add_events(job, [JobEvent("1", 1.0, "step")])
    filled.save_answer(ROUND, "answer 0.0", b"sealed")
    assert actions(filled, last) == []
    done = filled.update(job, step=Step.DONE, state=State.SUCCEEDED)
    filled.update(done, step=Step.CREATED, state=State.RUNNING)  # it stays done
    filled.open_backdoors("plan-1", [1], "first")
    filled.open_backdoors("plan-1", [1], "second")
    assert actions(filled, last) == [("job changed", "job-1"), ("backdoors opened", "plan-1")]


@pytest.mark.usefixtures("database")
def test_what_fails_is_not_told(filled: Ledger) -> None:
    last = len(actions(filled))
    with pytest.raises(LedgerError):
        filled.add_job(JOB)
    with pytest.raises(InputError, match="cannot be kept in the log"):
        filled.record("report written", "x", {"path": Path("x")})
    with pytest.raises(InputError, match="cannot be written as JSON"):
        filled.record("report written", "x", {"share": float("nan")})
    assert actions(filled, last) == []


@pytest.mark.usefixtures("database")
def test_an_action_whose_entry_cannot_be_written_has_not_happened(
    filled: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(entry: LogEntry) -> str:
        raise InputError("No.")

    monkeypatch.setattr(ledger_base, "digest_of", refuse)
    with pytest.raises(InputError):
        filled.add_plan(replace(PLAN, id="plan-2"))
    with pytest.raises(InputError):
        filled.update(JOB, step=Step.UPLOADING)
    assert filled.plans() == [PLAN]
    assert filled.job("job-1") == JOB


@pytest.mark.usefixtures("database")
def test_words_from_elsewhere_do_not_break_the_chain(filled: Ledger) -> None:
    filled.record("report written", "half \ud83d, \0", {"name": "\ud83d \0 \u2028", "n": 1.0})
    filled.update(JOB, step=Step.CREATED, remote_id="r\0\udc00")
    assert check_chain(filled.log()) == []


@pytest.mark.usefixtures("database")
def test_who_did_it_is_written_down(filled: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_ACTOR", "audit@example.org")
    assert filled.record("report written", "x").actor == "audit@example.org"
    monkeypatch.delenv("VTUNE_ACTOR")
    assert "@" in filled.record("report written", "x").actor


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET data = '{}' WHERE seq = 2",
        "DELETE FROM log WHERE seq = 2",
        "DELETE FROM log",
        "TRUNCATE log",
        "REPLACE INTO log SELECT seq, at, actor, 'else', subject, data, '0', '1' FROM log LIMIT 1",
    ],
)
def test_the_database_refuses_to_change_the_log(
    filled: Ledger, database: str, statement: str
) -> None:
    if (statement.split()[0], database) in [("TRUNCATE", "sqlite"), ("REPLACE", "postgresql")]:
        pytest.skip("no such statement there")
    before = list(filled.log())
    with pytest.raises(LedgerError, match="only added to"), filled._writing() as connection:
        connection.exec_driver_sql(statement)
    assert list(filled.log()) == before


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.ledger.records import PLAN
from vtune_client.ledger import Ledger

home, name = Path(sys.argv[1]), sys.argv[2]
for number in range(5):
    with Ledger(home) as ledger:
        for at in range(5):
            ledger.add_plan(replace(PLAN, id=f"plan-{name}.{number}.{at}"))
            ledger.record("report written", name)
"""


@pytest.mark.usefixtures("database")
def test_processes_that_write_at_once_make_one_chain(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in range(4)]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    with Ledger(tmp_path) as ledger:
        entries = list(ledger.log())
        assert len(ledger.plans()) == 100
    assert len(entries) == 1 + 4 * 50
    assert check_chain(entries) == []


@pytest.mark.usefixtures("database")
def test_a_long_log_is_read_whole(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_base, "BATCH", 3)
    for _ in range(5):
        ledger.record("report written", "x")
    assert [entry.seq for entry in ledger.log()] == [1, 2, 3, 4, 5, 6]
    assert [entry.seq for entry in ledger.log(since=2)] == [3, 4, 5, 6]


def chain(length: int) -> list[LogEntry]:
    entries: list[LogEntry] = []
    for seq in range(1, length + 1):
        previous = entries[-1].digest if entries else GENESIS
        data = {"count": seq, "words": "\u00e9"}
        entry = LogEntry(seq, 1.5 + seq, "a@b", "job added", f"job-{seq}", data, previous, "")
        entries.append(replace(entry, digest=digest_of(entry)))
    return entries


def test_the_digest_is_that_of_canonical_json() -> None:
    (entry,) = chain(1)
    content = (
        '{"action":"job added","actor":"a@b","at":"1970-01-01T00:00:02.500000+00:00",'
        '"data":{"count":1,"words":"\u00e9"},"previous":"' + "0" * 64 + '","seq":1,'
        '"subject":"job-1"}'
    ).encode()
    assert entry.digest == hashlib.sha256(content).hexdigest()
    plain = to_json(entry)
    del plain["digest"]
    assert rfc8785.dumps(plain) == content


BREAKS: dict[str, Callable[[list[LogEntry]], Any]] = {
    "changed": lambda log: log.__setitem__(2, replace(log[2], data={"count": 4})),
    "changed and digested anew": lambda log: log.__setitem__(2, forged(log[2])),
    "dropped": lambda log: log.pop(2),
    "dropped in front": lambda log: log.pop(0),
    "put in": lambda log: log.insert(2, log[1]),
    "swapped": lambda log: log.insert(2, log.pop(3)),
    "of another chain": lambda log: log.__setitem__(2, replace(log[2], previous="11" * 32)),
    "not a number": lambda log: log.__setitem__(2, replace(log[2], at=float("nan"))),
    "not canonical": lambda log: log.__setitem__(2, replace(log[2], data={"n": 2**60})),
}


def forged(entry: LogEntry) -> LogEntry:
    entry = replace(entry, subject="job-x")
    return replace(entry, digest=digest_of(entry))


@pytest.mark.parametrize("how", BREAKS)
def test_what_was_done_to_a_chain_is_found(how: str) -> None:
    entries = chain(5)
    assert check_chain(entries) == []
    BREAKS[how](entries)
    wrong = check_chain(entries)
    assert wrong
    if how != "dropped in front":
        assert number_in(wrong[0]) in {2, 3, 4}


def number_in(sentence: str) -> int:
    return int(sentence.split()[1])


def test_a_part_of_a_chain_is_checked_as_a_part() -> None:
    assert check_chain(chain(5)[2:], whole=False) == []
    assert check_chain(chain(5)[2:]) != []
    assert check_chain([]) == []


@given(st.floats(0, 4e9), st.dictionaries(st.text(max_size=5), st.integers(-9, 9), max_size=3))
def test_an_entry_comes_back_from_json(at: float, data: dict[str, Any]) -> None:
    entry = LogEntry(1, round(at, 6), "a", "b", "c", data, GENESIS, "")
    entry = replace(entry, digest=digest_of(entry))
    again = from_json(json.loads(json.dumps(to_json(entry))))
    assert check_chain([again]) == []


@pytest.mark.parametrize(
    "data",
    [
        {},
        {**to_json(chain(1)[0]), "seq": "1"},
        {**to_json(chain(1)[0]), "at": 5},
        {**to_json(chain(1)[0]), "at": "yesterday"},
        {**to_json(chain(1)[0]), "data": []},
        {**to_json(chain(1)[0]), "note": "unsigned"},
    ],
)
def test_what_is_no_entry_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="no entry of a log"):
        from_json(data)
