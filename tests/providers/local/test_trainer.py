"""The local trainer as the core drives it: files, jobs, processes that die."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.providers.local.runs import SHORT, new_run, same, trained, weights
from vtune_client.dataset import check
from vtune_client.errors import DatasetError, InputError, ProviderError
from vtune_client.provider import JobSpec, JobStatus, State
from vtune_providers.local import trainer as module
from vtune_providers.local.rundir import RunDirectory
from vtune_providers.local.trainer import LocalTrainer

# Stand in for training processes: the trainer starts `launcher -m ... RUN_DIRECTORY`.
DIES = (sys.executable, "-c", "print('out of luck'); raise SystemExit(9)")
# Says that it was started, and takes its time before it takes the lock.
LINGERS = (
    sys.executable,
    "-c",
    "import sys, time; open(sys.argv[-1] + '/begun', 'a').write('x'); time.sleep(60)",
)
TELLS = (
    sys.executable,
    "-c",
    "import os, sys; open(sys.argv[-1] + '/env', 'w').write(repr(dict(os.environ)))",
)


@pytest.fixture
async def trainer(tmp_path: Path) -> AsyncIterator[LocalTrainer]:
    made = LocalTrainer(tmp_path / "local")
    yield made
    for _, process in made._started.values():
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    await made.aclose()


def spec(base: Path | str = "some/model", **options: Any) -> JobSpec:
    return JobSpec(str(base), options={**SHORT, **options})


async def job(trainer: LocalTrainer, rows: Path, wanted: JobSpec) -> JobStatus:
    return await trainer.create(await trainer.upload(rows, "rows.jsonl"), wanted, "a token")


def directory(trainer: LocalTrainer, status: JobStatus) -> RunDirectory:
    return RunDirectory(trainer._runs / status.id)


async def until(
    trainer: LocalTrainer, status: JobStatus, wanted: Callable[[JobStatus], object]
) -> JobStatus:
    for _ in range(2400):
        status = await trainer.get(status.id)
        if wanted(status):
            return status
        await asyncio.sleep(0.05)
    raise AssertionError(f"still {status}")


async def test_uploaded_file_is_a_private_copy(trainer: LocalTrainer, rows: Path) -> None:
    rows.chmod(0o644)
    file_id = await trainer.upload(rows, "rows.jsonl")
    [copy] = trainer._files.iterdir()
    assert copy.name == f"{file_id}.jsonl"
    assert copy.read_bytes() == rows.read_bytes()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert stat.S_IMODE(trainer._files.stat().st_mode) == 0o700
    await trainer.wait_for_file(file_id)


async def test_same_rows_under_the_same_name_are_the_same_file(
    trainer: LocalTrainer, rows: Path, tmp_path: Path
) -> None:
    first = await trainer.upload(rows, "one.jsonl")
    assert await trainer.upload(rows, "one.jsonl") == first
    other_rows = tiny.write_rows(tmp_path / "other.jsonl", 12)
    ids = {first, await trainer.upload(rows, "2"), await trainer.upload(other_rows, "one.jsonl")}
    assert len(ids) == len(list(trainer._files.iterdir())) == 3


async def test_upload_that_fails_leaves_nothing(trainer: LocalTrainer, rows: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be copied .*: No such file or directory"):
        await trainer.upload(rows.with_name("missing"), "rows.jsonl")
    assert list(trainer._files.iterdir()) == []
    trainer._files.rmdir()
    with pytest.raises(InputError, match=r"cannot be copied .*has room"):
        await trainer.upload(rows, "rows.jsonl")


async def test_full_disk_leaves_no_part_of_the_planted_file(
    trainer: LocalTrainer, tmp_path: Path
) -> None:
    resource = pytest.importorskip("resource")
    big = tiny.write_rows(tmp_path / "big.jsonl", 2000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(InputError, match=r"cannot be copied .*: File too large"):
            await trainer.upload(big, "big.jsonl")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(trainer._files.iterdir()) == []


async def test_upload_that_was_killed_is_swept_later(trainer: LocalTrainer, rows: Path) -> None:
    old, new = trainer._files / "0.part", trainer._files / "1.part"
    for part in (old, new):
        part.write_text("planted rows", encoding="utf-8")
    os.utime(old, (time.time() - 2 * module.STALE_S,) * 2)
    await trainer.upload(rows, "rows.jsonl")
    assert not old.exists()
    assert new.exists()


async def test_refused_file_says_which_line(trainer: LocalTrainer, tmp_path: Path) -> None:
    bad = tiny.write_rows(tmp_path / "bad.jsonl", 12)
    bad.write_bytes(bad.read_bytes() + b"[]\n")
    with pytest.raises(DatasetError, match=":13: not a JSON object"):
        await trainer.wait_for_file(await trainer.upload(bad, "bad.jsonl"))
    few = tiny.write_rows(tmp_path / "few.jsonl", 9)
    with pytest.raises(DatasetError, match="too few rows"):
        await trainer.wait_for_file(await trainer.upload(few, "few.jsonl"))


async def test_clean_up_is_done_once_or_twice(trainer: LocalTrainer, rows: Path) -> None:
    file_id = await trainer.upload(rows, "rows.jsonl")
    await trainer.clean_up(file_id)
    await trainer.clean_up(file_id)
    assert list(trainer._files.iterdir()) == []
    with pytest.raises(InputError, match="has no file"):
        await trainer.wait_for_file(file_id)


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "/etc", "run-x", "run-00\0", "a/b"])
async def test_ids_name_nothing_outside(trainer: LocalTrainer, name: str, rows: Path) -> None:
    for ask in (trainer.get, trainer.cancel, trainer.checkpoints, trainer.pause, trainer.resume):
        with pytest.raises(ProviderError, match="has no job"):
            await ask(name)
    with pytest.raises(ProviderError, match="has no job"):
        [event async for event in trainer.events(name)]
    for touch in (trainer.wait_for_file, trainer.clean_up):
        with pytest.raises(InputError, match="has no file"):
            await touch(name)
    with pytest.raises(ProviderError, match="has no job"):
        await trainer.export(name, rows.with_name("out"))
    with pytest.raises(InputError, match="has no file"):
        await trainer.create(name, spec(), "a token")
    assert list(trainer._runs.iterdir()) == []


async def test_job_that_never_was(trainer: LocalTrainer) -> None:
    with pytest.raises(ProviderError, match="has no job 'run-0123456789abcdef'"):
        await trainer.get("run-0123456789abcdef")


async def test_check_refuses_before_anything_is_spent(
    trainer: LocalTrainer, rows: Path, tmp_path: Path
) -> None:
    for wanted, reason in [
        (spec(epoch=3), "option 'epoch' is not usable"),
        (spec("/no/such/base"), "There is no directory"),
        (spec(tmp_path), "holds no model"),
        (spec(launcher=["no-such-launcher"]), "There is no program 'no-such-launcher'"),
        (replace(spec(), method="dpo"), "does not train with the method 'dpo'"),
        (replace(spec(), validation_file=str(tmp_path / "none")), "none: there is no such file"),
    ]:
        with pytest.raises(InputError, match=reason):
            await trainer.check(rows, wanted)
    assert await trainer.check(rows, spec(launcher=DIES)) == ()


async def test_created_job_is_whole_under_its_name(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=LINGERS))
    assert [path.name for path in trainer._runs.iterdir()] == [status.id]
    assert status.state is State.QUEUED
    run = directory(trainer, status)
    assert run.run()["base"] == "some/model"
    assert run.run()["recipe"]["epochs"] == 2
    assert Path(run.run()["file"]).is_absolute()


async def test_find_knows_token_and_file(trainer: LocalTrainer, rows: Path) -> None:
    file_id = await trainer.upload(rows, "rows.jsonl")
    assert await trainer.find("a token", file_id) is None
    created = await trainer.create(file_id, spec(launcher=LINGERS), "a token")
    # A create that was killed before its job stood under its name made none.
    part = trainer._runs / "run-0000000000000000.part"
    part.mkdir()
    (part / "run.json").write_text(json.dumps({"token": "b", "file_id": file_id}), encoding="utf-8")
    found = await LocalTrainer(trainer._root).find("a token", file_id)
    assert found
    assert found.id == created.id
    assert await trainer.find("another", file_id) is None
    assert await trainer.find("a token", "file-0") is None
    assert await trainer.find("b", file_id) is None


async def test_job_whose_client_died_before_it_was_started_is_started(
    trainer: LocalTrainer, rows: Path, tmp_path: Path
) -> None:
    run = new_run(trainer._runs / "run-0123456789abcdef", tmp_path, rows, launcher=LINGERS)
    status = await trainer.get(run.id)
    assert status.raw["starts"] == 1
    await until(trainer, status, lambda _: (run.path / "begun").exists())


async def test_two_clients_polling_start_one_worker(trainer: LocalTrainer, rows: Path) -> None:
    other = LocalTrainer(trainer._root)
    status = await job(trainer, rows, spec(launcher=LINGERS))
    for _ in range(20):
        await asyncio.gather(trainer.get(status.id), other.get(status.id))
    run = directory(trainer, status)
    await until(other, status, lambda _: (run.path / "begun").exists())
    assert (run.path / "begun").read_text(encoding="utf-8") == "x"
    assert run.state()["starts"] == 1
    assert other._started == {}


async def test_client_that_did_not_start_it_notices_a_dead_worker(
    trainer: LocalTrainer, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    other = LocalTrainer(trainer._root)
    assert (await other.get(status.id)).raw["starts"] == 1
    monkeypatch.setattr(module, "START_GRACE_S", 0.0)
    assert (await other.get(status.id)).raw["starts"] == 2
    # The first client does not mistake its own dead process for the other's.
    monkeypatch.setattr(module, "START_GRACE_S", 60.0)
    other._started[status.id][1].wait()
    assert (await trainer.get(status.id)).raw["starts"] == 2


async def test_worker_that_keeps_dying_fails_the_job(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    status = await until(trainer, status, lambda status: status.state.final)
    run = directory(trainer, status)
    assert status.state is State.FAILED
    assert status.error == (
        f"The training process died 5 times in a row; {run.path}/log.txt holds what it said last."
    )
    assert (run.path / "log.txt").read_text(encoding="utf-8") == "out of luck\n" * 5
    assert (await trainer.get(status.id)).state is State.FAILED


async def test_launcher_that_is_not_there_fails_the_job(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=["/no/such/launcher"]))
    assert status.state is State.FAILED
    assert "cannot be started: [Errno 2] No such file" in (status.error or "")


async def test_worker_is_given_nothing_that_opens_the_vault(
    trainer: LocalTrainer, rows: Path, home: Path
) -> None:
    assert "VTUNE_VAULT_PASSPHRASE" in os.environ
    status = await job(trainer, rows, spec(launcher=TELLS))
    trainer._started[status.id][1].wait()
    told = (directory(trainer, status).path / "env").read_text(encoding="utf-8")
    assert "VTUNE_VAULT" not in told
    assert os.environ["VTUNE_VAULT_PASSPHRASE"] not in told
    assert f"'VTUNE_HOME': {str(home)!r}" in told


async def test_queued_job_is_cancelled_at_once(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=LINGERS))
    for _ in range(2):
        assert (await trainer.cancel(status.id)).state is State.CANCELLED
    assert (await trainer.get(status.id)).state is State.CANCELLED


async def test_cancelled_job_is_not_started_again(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    directory(trainer, status).ask_cancel()
    assert (await trainer.get(status.id)).state is State.CANCELLED


async def test_cancel_does_not_wait_for_ever(
    trainer: LocalTrainer, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_WAIT_S", 0.1)
    status = await job(trainer, rows, spec(launcher=LINGERS))
    with directory(trainer, status).lock:  # a worker in a long step
        assert (await trainer.cancel(status.id)).state is State.CANCELLING
        assert (await trainer.get(status.id)).state is State.CANCELLING
    assert (await trainer.get(status.id)).state is State.CANCELLED


async def test_ended_job_cannot_be_cancelled(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=LINGERS))
    directory(trainer, status).set_state(State.SUCCEEDED)
    assert (await trainer.cancel(status.id)).state is State.SUCCEEDED
    assert not directory(trainer, status).cancel_asked


async def test_estimate_is_free_and_counts_every_epoch(trainer: LocalTrainer, rows: Path) -> None:
    one, three = [await trainer.estimate(rows, spec(epochs=epochs)) for epochs in (1, 3)]
    assert one.price == three.price == 0.0
    assert one.tokens == check(rows).tokens
    assert three.tokens == 3 * check(rows).tokens
    assert "estimate" in one.source


async def test_paused_job_is_not_started_until_it_is_resumed(
    trainer: LocalTrainer, rows: Path
) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    for _ in range(2):
        assert (await trainer.pause(status.id)).state is State.PAUSED
    other = LocalTrainer(trainer._root)
    assert (await other.get(status.id)).state is State.PAUSED
    assert (await trainer.get(status.id)).raw["starts"] == 0
    # Also by a client that did not start it, and soon after it was started.
    resumed = await other.resume(status.id)
    assert (resumed.state, resumed.raw["starts"]) == (State.QUEUED, 1)
    other._started[status.id][1].wait()
    assert (await trainer.resume(status.id)).state is State.QUEUED


async def test_pause_taken_back_while_the_worker_stops(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    run = directory(trainer, status)
    with run.lock:  # the worker, which has seen that it is to pause
        run.ask_pause()
        resumed = await trainer.resume(status.id)
        run.stop(State.PAUSED)
    assert not resumed.state.final
    assert (await trainer.get(status.id)).raw["starts"] == 1


async def test_paused_job_is_cancelled(trainer: LocalTrainer, rows: Path) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    await trainer.pause(status.id)
    assert (await trainer.cancel(status.id)).state is State.CANCELLED
    assert (await trainer.get(status.id)).state is State.CANCELLED


async def test_pause_does_not_wait_for_ever(
    trainer: LocalTrainer, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_WAIT_S", 0.1)
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    run = directory(trainer, status)
    with run.lock:  # a worker in a long step
        run.set_state(State.RUNNING)
        assert (await trainer.pause(status.id)).state is State.RUNNING
    assert (await trainer.get(status.id)).state is State.PAUSED


@pytest.mark.parametrize("state", [State.SUCCEEDED, State.FAILED, State.CANCELLED])
async def test_ended_job_is_neither_paused_nor_resumed(
    trainer: LocalTrainer, rows: Path, state: State
) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    run = directory(trainer, status)
    run.set_state(state)
    for ask in (trainer.pause, trainer.resume):
        with pytest.raises(ProviderError, match=f"has ended: it is {state}"):
            await ask(status.id)
    assert not run.pause_asked


async def test_export_copies_the_model_whole(
    trainer: LocalTrainer, rows: Path, tmp_path: Path
) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    run = directory(trainer, status)
    with pytest.raises(ProviderError, match="has delivered no model: it is queued"):
        await trainer.export(status.id, tmp_path / "out")
    run.output.mkdir()
    (run.output / "weights").write_bytes(b"of the model")
    run.set_state(State.SUCCEEDED)
    (tmp_path / "empty").mkdir()
    for folder in (tmp_path / "deep" / "out", tmp_path / "empty"):
        where = await trainer.export(status.id, folder)
        assert where == folder
        assert (where / "weights").read_bytes() == b"of the model"
        assert [path.name for path in where.parent.iterdir() if "weights" in path.name] == []
    assert (run.output / "weights").exists()


async def test_export_is_all_or_nothing(
    trainer: LocalTrainer, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    status = await job(trainer, rows, spec(launcher=DIES))
    trainer._started[status.id][1].wait()
    run = directory(trainer, status)
    run.output.mkdir()
    (run.output / "weights").write_bytes(b"of the model")
    run.set_state(State.SUCCEEDED)
    out = tmp_path / "exports"
    (out / "full").mkdir(parents=True)
    (out / "full" / "notes").write_text("mine", encoding="utf-8")
    (out / "file").write_text("mine", encoding="utf-8")
    for name in ("full", "file"):
        with pytest.raises(InputError, match="is not an empty folder"):
            await trainer.export(status.id, out / name)

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(InputError, match=r"cannot be copied to .*No space left"):
        await trainer.export(status.id, out / "new")
    assert sorted(path.name for path in out.iterdir()) == ["file", "full"]


@pytest.mark.torch
async def test_job_paused_in_its_midst_goes_on_where_it_was(
    trainer: LocalTrainer, rows: Path, tiny_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    recipe = {"method": "lora", "dropout": 0.1, "epochs": 40}
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows, **recipe))
    status = await job(trainer, rows, spec(tiny_model, **recipe, checkpoint_seconds=3600))
    run = directory(trainer, status)
    while not run.state().get("step"):
        await asyncio.sleep(0.005)
    assert (await trainer.pause(status.id)).state is State.PAUSED
    trainer._started[status.id][1].wait()
    [saved] = await trainer.checkpoints(status.id)
    assert (await trainer.get(status.id)).state is State.PAUSED
    await trainer.resume(status.id)
    status = await until(trainer, status, lambda status: status.state.final)
    assert status.state is State.SUCCEEDED
    begun = [
        e.data["from_step"] async for e in trainer.events(status.id) if e.message == "training"
    ]
    assert begun == [0, saved.step]
    assert 0 < saved.step < 200
    assert same(weights(run), weights(straight))


@pytest.mark.torch
async def test_job_cancelled_in_its_midst(
    trainer: LocalTrainer, rows: Path, tiny_model: Path
) -> None:
    pytest.importorskip("peft")
    from tests.providers.local.runs import reset_accelerate
    from vtune_providers.local import worker

    reset_accelerate()
    run = new_run(trainer._runs / "run-0123456789abcdef", tiny_model, rows, epochs=5000)
    working = asyncio.create_task(asyncio.to_thread(worker.main, str(run.path)))
    while run.state().get("step", 0) < 3:
        await asyncio.sleep(0.01)
    assert (await trainer.cancel(run.id)).state is State.CANCELLED
    assert await working == 0
    assert [event.message async for event in trainer.events(run.id)][-1] == "cancelled"
    assert not run.output.exists()


@pytest.mark.torch
async def test_killed_worker_is_resumed_and_delivers_the_same_weights(
    trainer: LocalTrainer, rows: Path, tiny_model: Path, tmp_path: Path
) -> None:
    pytest.importorskip("peft")
    recipe = {"method": "lora", "dropout": 0.1, "epochs": 40}
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows, **recipe))

    status = await job(trainer, rows, spec(tiny_model, **recipe, checkpoint_seconds=0.02))
    run = directory(trainer, status)
    # Polled without `get`: the worker is not to be started again before it is killed.
    while not run.saved():
        await asyncio.sleep(0.005)
    process = trainer._started[status.id][1]
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert run.status().state is State.RUNNING
    [saved] = await trainer.checkpoints(status.id)

    status = await until(trainer, status, lambda status: status.state.final)

    assert status.state is State.SUCCEEDED
    assert status.model == str(run.output)
    begun = [
        e.data["from_step"] async for e in trainer.events(status.id) if e.message == "training"
    ]
    assert len(begun) == 2
    assert 0 < saved.step <= begun[1] < 200
    assert same(weights(run), weights(straight))
    assert await trainer.checkpoints(status.id) == []
