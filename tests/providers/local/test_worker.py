"""The worker: who may train, and what it leaves behind when it fails."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.providers.local.runs import new_run, reset_accelerate, same, trained, weights
from vtune_client.provider import State
from vtune_providers.local import worker as module
from vtune_providers.local.rundir import RunDirectory

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

SECRET = "a calm and quiet guide"


def read(run: RunDirectory, *names: str) -> str:
    return "".join((run.path / name).read_text(encoding="utf-8") for name in names)


def test_run_that_ended_is_never_started(tmp_path: Path, rows: Path) -> None:
    for state in (State.SUCCEEDED, State.FAILED, State.CANCELLED):
        run = new_run(tmp_path / state, Path("/no/such/base"), rows)
        run.set_state(state)
        assert module.main(str(run.path)) == 0
        assert run.state() == {"state": state}


def test_run_that_another_worker_has_is_left_alone(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOCK_WAIT_S", 0.1)
    run = new_run(tmp_path / "run", Path("/no/such/base"), rows)
    with run.lock:
        assert module.main(str(run.path)) == 0
    assert not (run.path / "state.json").exists()


def test_somebody_looking_whether_a_worker_lives_does_not_stop_it(
    tmp_path: Path, rows: Path
) -> None:
    run = new_run(tmp_path / "run", Path("/no/such/base"), rows)
    looking = threading.Event()

    def look() -> None:
        with run.lock:
            looking.set()
            threading.Event().wait(0.3)

    looker = threading.Thread(target=look)
    looker.start()
    looking.wait()
    assert module.main(str(run.path)) == 1
    looker.join()
    assert run.status().state is State.FAILED


def test_run_to_pause_is_not_begun(tmp_path: Path, rows: Path) -> None:
    run = new_run(tmp_path / "run", Path("/no/such/base"), rows)
    run.ask_pause()
    assert module.main(str(run.path)) == 0
    assert run.status().state is State.PAUSED
    run.ask_resume()
    assert run.status().state is State.QUEUED


def test_run_to_be_cancelled_is_not_begun(tmp_path: Path, rows: Path) -> None:
    run = new_run(tmp_path / "run", Path("/no/such/base"), rows)
    run.ask_cancel()
    assert module.main(str(run.path)) == 0
    assert run.state() == {"state": "cancelled"}


def test_failure_is_one_line_and_its_traceback_goes_to_the_log(
    tmp_path: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "base"
    broken.mkdir()
    (broken / "config.json").write_text("{", encoding="utf-8")
    run = new_run(tmp_path / "run", broken, rows)
    reset_accelerate()
    assert module.main(str(run.path)) == 1
    status = run.status()
    assert status.state is State.FAILED
    assert status.error
    assert status.error.startswith(f"The model {str(broken)!r} cannot be loaded: ")
    assert status.error.endswith("or a hub id this machine can reach.")
    assert "\n" not in status.error
    assert "Traceback (most recent call last)" in capsys.readouterr().err
    assert "Traceback" not in read(run, "state.json")


def test_unforeseen_failure_is_one_line_too(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from vtune_providers.local import training

    def fail(run: RunDirectory) -> None:
        raise RuntimeError("it broke\n  in two lines " + "x" * 1000)

    monkeypatch.setattr(training, "train", fail)
    run = new_run(tmp_path / "run", Path("/no/such/base"), rows)
    assert module.main(str(run.path)) == 1
    error = run.status().error or ""
    assert error.startswith("RuntimeError: it broke in two lines xxx")
    assert len(error) < 600
    assert "in fail" in capsys.readouterr().err


def test_failure_of_a_row_repeats_nothing_of_it(
    tmp_path: Path, tiny_model: Path, rows: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    base = tmp_path / "base"
    AutoModelForCausalLM.from_pretrained(tiny_model).save_pretrained(base)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = "{{ raise_exception('not this: ' + messages[0]['content']) }}"
    tokenizer.save_pretrained(base)
    planted = rows.read_text(encoding="utf-8").replace("rivers number", SECRET, 1)
    rows.write_text(planted, encoding="utf-8")
    run = new_run(tmp_path / "run", base, rows)
    reset_accelerate()

    assert module.main(str(run.path)) == 1

    assert (run.status().error or "").startswith("The row on line 1 does not fit")
    everything = capsys.readouterr().err + read(run, "state.json", "run.json")
    assert "Traceback" in everything
    assert SECRET not in everything
    assert "Tell me" not in everything


def test_planted_rows_appear_in_nothing_a_run_writes(
    tmp_path: Path, tiny_model: Path, rows: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    planted = rows.read_text(encoding="utf-8").replace("rivers number", SECRET)
    rows.write_text(planted, encoding="utf-8")
    run = trained(new_run(tmp_path / "run", tiny_model, rows))
    captured = capfd.readouterr()
    told = read(run, "state.json", "events.jsonl", "run.json") + captured.out + captured.err
    assert SECRET not in told
    assert "Tell me" not in told


@pytest.mark.parametrize("rank", module.RANKS)
def test_only_the_first_process_writes(
    rank: str, tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(rank, "1")
    run = new_run(tmp_path / "run", Path("/no/such/base"), rows)
    with run.lock:  # the first process has it
        assert module.main(str(run.path)) == 1
    assert {path.name for path in run.path.iterdir()} <= {"run.json", "worker.lock"}


@pytest.fixture
def small_disk(tiny_model: Path, rows: Path) -> Iterator[None]:
    """Let no file of this process grow over 100 kB, as a disk that is full would not."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.usefixtures("small_disk")
def test_disk_too_small_for_the_model_fails_the_run_and_leaves_nothing(
    tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    reset_accelerate()
    run = new_run(tmp_path / "run", tiny_model, rows, checkpoint_seconds=0, epochs=1)
    assert module.main(str(run.path)) == 1
    assert run.status().state is State.FAILED
    assert "File too large" in (run.status().error or "")
    assert [event.message for event in run.events()].count("checkpoint not written") == 5
    assert not [path for path in run.path.iterdir() if path.is_dir()]


def test_disk_too_small_for_a_last_word_ends_without_it(
    tmp_path: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "run", Path("/no/such/base"), rows)

    def full(self: RunDirectory, state: State, **more: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(RunDirectory, "set_state", full)
    assert module.main(str(run.path)) == 1


def test_checkpoint_that_cannot_be_written_is_told_and_training_goes_on(
    tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vtune_providers.local import checkpoint

    straight = trained(new_run(tmp_path / "straight", tiny_model, rows))
    run = new_run(tmp_path / "run", tiny_model, rows, checkpoint_seconds=0)
    real, calls = checkpoint.export, []

    def full_at_first(*args: Any) -> None:
        calls.append(args)
        if len(calls) < 3:
            raise OSError(28, "No space left on device")
        real(*args)

    monkeypatch.setattr(checkpoint, "export", full_at_first)
    trained(run)
    told = [(e.message, e.data["step"]) for e in run.events() if "checkpoint" in e.message]
    assert told[:3] == [
        ("checkpoint not written", 1),
        ("checkpoint not written", 2),
        ("checkpoint", 3),
    ]
    assert same(weights(run), weights(straight))
    assert os.listdir(run.output)
