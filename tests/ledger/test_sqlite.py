"""The ledger as a SQLite file: private, on disk before it is acted on, and never silently lost."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ledger.records import JOB, PLAN, ROUND
from tests.written import plain, write
from vtune_client.dataset import check
from vtune_client.errors import LedgerError
from vtune_client.ledger import Ledger, Step
from vtune_client.ledger.database import FILE_NAME
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import PlanSpec, draw_plan, dump_plan
from vtune_client.vault import RootKey, open_sealed, seal

PAGES = 200_000  # bytes from where on no table is described any more


def pragma(ledger: Ledger, text: str) -> Any:
    """Return what SQLite answers on the ledger's own connection."""
    with ledger._database.engine.connect() as connection:
        result = connection.exec_driver_sql(f"PRAGMA {text}")
        return result.scalar() if result.returns_rows else None


def test_writes_are_on_disk_before_they_are_acted_on(filled: Ledger, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    assert pragma(filled, "secure_delete") == 1
    assert pragma(filled, "synchronous") == 2  # FULL


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
    content[PAGES:] = b"\xa5" * (len(content) - PAGES)
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
    pragma(filled, "query_only = ON")
    with pytest.raises(LedgerError, match="cannot be written: attempt to write a readonly"):
        filled.update(JOB, step=Step.UPLOADING)
    assert filled.job("job-1").step is Step.PLANTING


def test_a_full_disk_is_an_error_and_takes_nothing_back(filled: Ledger) -> None:
    pragma(filled, f"max_page_count = {pragma(filled, 'page_count')}")
    with pytest.raises(LedgerError, match="cannot be written: database or disk is full") as caught:
        filled.save_answer(ROUND, "answer 0.0", bytes(100_000))
    assert "Free the disk" in caught.value.advice
    assert filled.answers(ROUND) == {}
    assert filled.update(JOB, step=Step.UPLOADING).step is Step.UPLOADING


def test_one_that_another_program_holds_is_an_error(filled: Ledger, tmp_path: Path) -> None:
    pragma(filled, "busy_timeout = 0")
    with sqlite3.connect(tmp_path / FILE_NAME) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LedgerError, match="cannot be written: database is locked"):
            filled.update(JOB, step=Step.UPLOADING)
    other.close()
