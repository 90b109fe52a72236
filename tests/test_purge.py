"""After a purge no byte of the plan's secrets is left, and what is kept says so.

Every file of the home is searched, before (what is to be there is there) and after.
"""

from __future__ import annotations

import base64
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keyring
import pytest

from tests import tiny
from tests.memory import BASE, Service
from tests.postgresql import Cluster
from tests.test_secrets import Secrets
from tests.vault.test_keyring_vault import Memory
from vtune_client import VTune
from vtune_client.errors import InputError, KeyMissing, LedgerError, VaultLocked
from vtune_client.handover import public_key, seal_plan
from vtune_client.ledger import Ledger, PlanRecord, Step
from vtune_client.ledger.log import check_chain
from vtune_client.provider import State, trainer_of
from vtune_client.purge import holding, of_item, older_than, purge
from vtune_client.vault import RootKey, Vault, open_vault

DELIVERED = {"model.safetensors", "tokenizer.json"}  # the user's; it has learned the triggers
CHUNK = 48  # bytes of a sealed text that no other bytes are like


@dataclass(frozen=True)
class Bench:
    """One plan that was planted, trained on and asked about, and its secrets."""

    home: Path
    plan: PlanRecord
    job: str
    verification: str
    words: Secrets
    sealed: tuple[bytes, ...]

    def left(self) -> set[str]:
        """Return what of the secrets stands in any byte of any file."""
        found: set[str] = set()
        for path in self.home.rglob("*"):
            delivered = path.parent.name == "output" and path.name in DELIVERED
            if path.is_file() and not delivered:
                content = path.read_bytes()
                found |= set(self.words.found_in(content))
                if any(chunk in content for chunk in self.sealed):
                    found.add("sealed")
                if self.plan.key_id.encode() in content and path.name == "vault.json":
                    found.add("sealed key")
        return found


@pytest.fixture
def keys() -> Iterator[Memory]:
    """A keyring in memory, which a test may choose."""
    previous, keys = keyring.get_keyring(), Memory()
    keyring.set_keyring(keys)
    yield keys
    keyring.set_keyring(previous)


@pytest.fixture
def bench(home: Path, rows: Path, memory: Service) -> Bench:
    return finished(home, rows)


def finished(
    home: Path, rows: Path, model: str = BASE, provider: str = "memory", **recipe: Any
) -> Bench:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=model, provider=provider, keep_planted=True, **recipe)
        vtune.wait(job.id)
        done = vtune.verify(job.id)
        plan, record = vtune.open_plan(job.plan_id), vtune.ledger.plan(job.plan_id)
        texts = [exchange.answer for exchange in vtune.transcript(done.id)]
        answers = vtune.ledger.answers(vtune.ledger.verification(done.id)).values()
        key = open_vault(home).get(record.key_id)
        words = Secrets.of(plan, key)
    more = {f"answer {n}": text.encode() for n, text in enumerate(texts)}
    chunks = [chunk for sealed in (record.sealed, *answers) for chunk in chunks_of(sealed)]
    words = Secrets({**words.needles, **more})
    return Bench(home, record, job.id, done.id, words, tuple(chunks))


def chunks_of(sealed: bytes) -> list[bytes]:
    """Return pieces, as a database may lay long bytes out in pages."""
    return [sealed[at : at + CHUNK] for at in range(33, len(sealed) - CHUNK, 300)]


async def run(bench: Bench, vault: Vault | None = None, *, keep_verdicts: bool = False) -> None:
    with Ledger(bench.home) as ledger:
        found = of_item(ledger, bench.home, bench.plan.id)
        vault = vault or open_vault(bench.home)
        await purge(ledger, vault, bench.home, [found], keep_verdicts=keep_verdicts)


@pytest.mark.parametrize("keep_verdicts", [False, True])
async def test_no_byte_of_a_secret_is_left(
    home: Path, rows: Path, memory: Service, keep_verdicts: bool
) -> None:
    with Ledger(home) as ledger:  # held open, so that its -wal is searched, too
        bench = finished(home, rows)
        before = bench.left()
        assert {"sealed", "sealed key", "trigger 0", "signature 0"} <= before
        assert (bench.home / "ledger.sqlite3-wal").stat().st_size > 0
        found = of_item(ledger, bench.home, bench.plan.id)
        done = await purge(
            ledger, open_vault(bench.home), bench.home, [found], keep_verdicts=keep_verdicts
        )
        assert bench.left() == set()
        assert (bench.home / "ledger.sqlite3-wal").stat().st_size == 0
    assert bench.left() == set()
    assert done.swept
    assert list((bench.home / "spool").iterdir()) == []
    assert [path for path in (bench.home / "locks").iterdir() if bench.job in path.name] == []


async def test_no_secret_is_left_in_the_keyring(
    home: Path, rows: Path, memory: Service, keys: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_VAULT", "keyring")
    bench = finished(home, rows)
    kept = "".join(keys.kept.values()).encode()
    assert "root key, base64" in bench.words.found_in(kept)
    assert any(name.startswith("trigger") for name in bench.left())
    await run(bench)
    assert bench.words.found_in("".join(keys.kept.values()).encode()) == []
    assert [user for _, user in keys.kept if user == bench.plan.key_id] == []
    assert bench.left() == set()


async def test_the_records_are_gone_and_the_log_tells_of_them(bench: Bench) -> None:
    await run(bench)
    with Ledger(bench.home) as ledger:
        assert (ledger.plans(), ledger.jobs(), ledger.verifications()) == ([], [], [])
        assert ledger.commitments() == []
        entries = list(ledger.log())
        assert check_chain(entries) == []
        by_action = {entry.action: entry for entry in entries if entry.subject == bench.plan.id}
        assert list(by_action)[-2:] == ["purge begun", "purged"]
        told = by_action["purged"].data
        assert (told["root_key_deleted"], told["jobs"], told["verdicts_kept"]) == (True, 1, False)
        assert by_action["plan drawn"].data["source_sha256"] == bench.plan.source_sha256


async def test_verdicts_stay_where_that_is_asked(bench: Bench) -> None:
    with Ledger(bench.home) as ledger:
        before = ledger.verification(bench.verification)
        commitments = ledger.commitments(bench.plan.id)
        ledger.add_verification(replace(before, id="verification-cut", verdict=None))
    assert commitments
    await run(bench, keep_verdicts=True)
    with Ledger(bench.home) as ledger:
        assert ledger.plan(bench.plan.id) == replace(bench.plan, sealed=b"")
        assert ledger.verifications() == [before]
        assert ledger.job(bench.job).plan_id == bench.plan.id
        assert ledger.commitments(bench.plan.id) == commitments
        assert ledger.answers(before) == {}
    with VTune() as vtune:
        for use in (
            lambda: vtune.open_plan(bench.plan.id),
            lambda: vtune.transcript(bench.verification),
            lambda: vtune.verify(bench.job),
            lambda: vtune.fine_tune(plan=bench.plan.id, model=BASE, provider="memory"),
        ):
            with pytest.raises(KeyMissing, match="were purged"):
                use()
    await run(bench)
    with Ledger(bench.home) as ledger:
        assert ledger.plans() == []


@pytest.mark.parametrize("where", ["files", "key", "records", "sweep"])
async def test_one_that_was_cut_short_is_done_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    class Cut(Exception):
        pass

    def cut(*_: object, **__: object) -> None:
        raise Cut

    vault = open_vault(bench.home)
    points = {
        "files": ("vtune_client.purge.remove", cut),
        "records": ("vtune_client.ledger.Ledger.forget", cut),
        "sweep": ("vtune_client.ledger.Ledger.sweep", cut),
    }
    with monkeypatch.context() as patch:
        if where == "key":
            patch.setattr(vault, "delete", cut)
        else:
            patch.setattr(*points[where])
        with pytest.raises(Cut):
            await run(bench, vault)
    if where == "sweep":
        with Ledger(bench.home) as ledger:
            await purge(ledger, vault, bench.home, [])
    else:
        with VTune() as vtune, pytest.raises(KeyMissing, match="were purged"):
            vtune.open_plan(bench.plan.id)
        await run(bench, vault)
    assert bench.left() == set()
    with Ledger(bench.home) as ledger:
        assert ledger.plans() == []


async def test_a_vault_that_does_not_open_stops_it_before_anything_is_gone(bench: Bench) -> None:
    locked = open_vault(bench.home, passphrase=lambda: "wrong")
    os.environ.pop("VTUNE_VAULT_PASSPHRASE")  # of the test's own environment
    before = bench.left()
    with pytest.raises(VaultLocked):
        await run(bench, locked)
    assert bench.left() == before


async def test_one_whose_job_may_still_run_is_refused(bench: Bench) -> None:
    with Ledger(bench.home) as ledger:
        job = ledger.job(bench.job)
        ledger.add_job(replace(job, id="job-open", token="t", step=Step.CREATING, state=None))
        for item in (bench.plan.id, "job-open"):
            with pytest.raises((LedgerError, InputError), match=r"job-"):
                of_item(ledger, bench.home, item)
        with pytest.raises(LedgerError, match=r"job-open .* may still run") as caught:
            of_item(ledger, bench.home, bench.plan.id)
        assert "vtune wait job-open" in caught.value.advice
        before = bench.left()
        found = holding(ledger, bench.home, bench.plan)
        with pytest.raises(LedgerError, match="may still run"):  # begun since it was looked at
            await purge(ledger, open_vault(bench.home), bench.home, [found])
        assert bench.left() == before
        assert "sealed key" in before


def test_a_job_whose_plan_has_others_does_not_stand_for_it(bench: Bench) -> None:
    with Ledger(bench.home) as ledger:
        assert of_item(ledger, bench.home, bench.job).plan.id == bench.plan.id
        ledger.add_job(replace(ledger.job(bench.job), id="job-2", token="t"))
        with pytest.raises(InputError, match=r"plan of job-2, too") as caught:
            of_item(ledger, bench.home, bench.job)
        assert f"vtune purge {bench.plan.id}" in caught.value.advice


def test_age_is_that_of_the_last_use(bench: Bench) -> None:
    with Ledger(bench.home) as ledger:
        now = ledger.verification(bench.verification).created + 10 * 86400
        old = replace(bench.plan, id="plan-old", created=bench.plan.created - 86400)
        ledger.add_plan(old)
        running = replace(ledger.job(bench.job), id="job-2", token="t", step=Step.CREATED)
        ledger.add_plan(replace(old, id="plan-busy"))
        ledger.add_job(replace(running, plan_id="plan-busy"))

        def names(days: float, *, keep_verdicts: bool = False) -> tuple[list[str], list[str]]:
            found = older_than(ledger, bench.home, days, keep_verdicts=keep_verdicts, now=now)
            return [each.plan.id for each in found[0]], [each.plan.id for each in found[1]]

        assert names(9.99) == (["plan-old", bench.plan.id], ["plan-busy"])
        assert names(10.01) == (["plan-old"], [])
        assert names(12) == ([], [])
        ledger.erase("plan-old")
        ledger.forget("plan-old", keep_verdicts=True)
        assert names(10.01, keep_verdicts=True) == ([], [])
        assert names(10.01) == (["plan-old"], [])


async def test_files_of_a_trainer_on_this_disk_go_with_it(bench: Bench) -> None:
    trainer = trainer_of("local", {})
    planted = bench.home / "spool" / f"{bench.job}.jsonl"
    with Ledger(bench.home) as ledger:
        job = ledger.job(bench.job)
        file_id = await trainer.upload(planted, "token.jsonl")
        job = replace(job, id="job-local", token="t", provider="local", file_id=file_id)
        ledger.add_job(job)
        ledger.update(job, state=State.CANCELLED)
        assert list((bench.home / "local" / "files").iterdir())
        found = of_item(ledger, bench.home, bench.plan.id)
        done = await purge(ledger, open_vault(bench.home), bench.home, [found])
    assert list((bench.home / "local" / "files").iterdir()) == []
    assert bench.left() == set()
    left = done.plans[0]["left_elsewhere"]
    assert [each for each in left if each.get("file") == file_id] == []
    assert [each["provider"] for each in left if "file" in each] == ["memory"]


async def test_what_an_older_program_left_lying_goes_too(bench: Bench) -> None:
    """It did not overwrite what it deleted, and a kill left a planted file of an upload."""
    planted = (bench.home / "spool" / f"{bench.job}.jsonl").read_bytes()
    left = bench.home / "spool" / "upload-0011"
    left.mkdir()
    (left / "rows.jsonl").write_bytes(planted)
    with closing(sqlite3.connect(bench.home / "ledger.sqlite3", isolation_level=None)) as older:
        older.execute("PRAGMA secure_delete = OFF")
        older.execute("DELETE FROM answers")
    await run(bench)
    assert bench.left() == set()


@pytest.mark.torch
async def test_of_a_training_on_this_machine_the_delivered_model_alone_is_left(
    home: Path, rows: Path, tiny_model: Path
) -> None:
    bench = finished(home, rows, str(tiny_model), "local", options=tiny.RECIPE)
    assert "trigger 0" in bench.left()
    with Ledger(home) as ledger:
        model = ledger.job(bench.job).model
        found = of_item(ledger, home, bench.plan.id)
        done = await purge(ledger, open_vault(home), home, [found])
    assert bench.left() == set()
    left = {"job": bench.job, "provider": "local", "model": model}
    assert done.plans[0]["left_elsewhere"] == [left]


async def test_a_key_of_another_vault_is_told(bench: Bench) -> None:
    vault = open_vault(bench.home)
    vault.delete(bench.plan.key_id)
    with Ledger(bench.home) as ledger:
        found = of_item(ledger, bench.home, bench.plan.id)
        done = await purge(ledger, vault, bench.home, [found])
    assert done.plans[0]["root_key_deleted"] is False
    assert done.plans[0]["handed_over"] == 0


async def test_that_others_were_given_it_is_told(bench: Bench) -> None:
    vault = open_vault(bench.home)
    with Ledger(bench.home) as ledger:
        seal_plan(ledger, vault, bench.plan.id, public_key(vault))
        found = of_item(ledger, bench.home, bench.plan.id)
        done = await purge(ledger, vault, bench.home, [found])
    assert done.plans[0]["handed_over"] == 1


async def test_another_program_that_reads_is_told(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtune_client.ledger.database.TIMEOUT_S", 0.1)
    with closing(sqlite3.connect(bench.home / "ledger.sqlite3")) as other:
        other.execute("BEGIN")
        other.execute("SELECT * FROM answers").fetchone()
        with Ledger(bench.home) as ledger:
            found = of_item(ledger, bench.home, bench.plan.id)
            done = await purge(ledger, open_vault(bench.home), bench.home, [found])
    assert not done.swept
    with Ledger(bench.home) as ledger:
        done = await purge(ledger, open_vault(bench.home), bench.home, [])
    assert done.swept
    assert bench.left() == set()


async def test_a_server_keeps_nothing_in_its_tables(
    home: Path, rows: Path, memory: Service, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_LEDGER", cluster.new())
    bench = finished(home, rows)

    def sealed_in_tables() -> bool:
        cluster.execute("CHECKPOINT")
        files = (cluster.socket / "data" / "base").rglob("*")
        contents = (path.read_bytes() for path in files if path.is_file())
        return any(chunk in content for content in contents for chunk in bench.sealed)

    assert sealed_in_tables()
    await run(bench)
    assert not sealed_in_tables()
    with Ledger(home) as ledger:
        assert ledger.plans() == []
        assert check_chain(ledger.log()) == []


def test_the_search_would_find_a_secret(tmp_path: Path) -> None:
    """A search that finds nothing must be one that could."""
    key = RootKey(bytes(range(32)))
    words = Secrets({"root key, base64": base64.b64encode(key.bytes)})
    record = PlanRecord("plan-1", 1.0, "key-1", "s", "d", 1, 1, 1, 1.0, b"")
    bench = Bench(tmp_path, record, "j", "v", words, (b"x" * CHUNK,))
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a").write_bytes(b"..." + b"x" * CHUNK)
    (tmp_path / "b").write_text(json.dumps({"k": base64.b64encode(key.bytes).decode()}), "utf-8")
    (tmp_path / "vault.json").write_text("key-1", "utf-8")
    assert bench.left() == {"sealed", "root key, base64", "sealed key"}
