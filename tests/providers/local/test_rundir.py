"""What client and worker tell each other through a directory."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from filelock import Timeout

from vtune_client.provider import State
from vtune_providers.local.rundir import RunDirectory, one_line, write_json


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path)


def test_run_that_has_not_said_anything_is_queued(run: RunDirectory) -> None:
    status = run.status()
    assert (status.state, status.progress, status.model) == (State.QUEUED, None, None)
    assert list(run.events()) == []
    assert run.checkpoints() == []


def test_state_keeps_what_was_said_before(run: RunDirectory) -> None:
    run.set_state(State.QUEUED, starts=2)
    run.set_state(State.RUNNING, step=3, steps=12)
    assert run.state() == {"state": "running", "starts": 2, "step": 3, "steps": 12}
    assert run.status().progress == 0.25
    run.set_state(State.SUCCEEDED)
    assert run.status().model == str(run.output)


def test_run_asked_to_stop_is_cancelling_until_it_has_ended(run: RunDirectory) -> None:
    run.set_state(State.RUNNING)
    run.ask_cancel()
    run.ask_cancel()
    assert run.status().state is State.CANCELLING
    run.set_state(State.SUCCEEDED)
    assert run.status().state is State.SUCCEEDED


def test_run_is_paused_as_long_as_it_is_asked_to(run: RunDirectory) -> None:
    run.set_state(State.RUNNING, starts=4)
    assert run.stop_asked is None
    run.ask_pause()
    assert run.status().state is State.RUNNING  # until its worker has noticed
    assert run.stop_asked is State.PAUSED
    run.stop(State.PAUSED)
    assert run.status().state is State.PAUSED
    assert run.state()["starts"] == 0
    run.ask_resume()
    run.ask_resume()
    assert run.status().state is State.QUEUED
    run.ask_pause()
    run.ask_cancel()
    assert run.stop_asked is State.CANCELLED
    assert run.status().state is State.CANCELLING


def test_readers_see_whole_states_only(run: RunDirectory) -> None:
    run.set_state(State.RUNNING, filler="x" * 100_000)
    done = threading.Event()

    def write() -> None:
        for step in range(200):
            run.set_state(State.RUNNING, step=step)
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        assert run.state()["state"] == "running"
    writer.join()
    assert [path.name for path in run.path.iterdir()] == ["state.json"]


def test_half_an_event_is_not_read_and_spoils_no_other(run: RunDirectory) -> None:
    run.add_event("one", step=1)
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"at": 1, "mess')
    assert [event.message for event in run.events()] == ["one"]
    run.add_event("two")
    run.add_event("three")
    events = list(run.events())
    assert [event.message for event in events] == ["one", "two", "three"]
    assert [event.id for event in events] == ["0", "2", "3"]
    assert events[0].data == {"step": 1}


def test_newest_checkpoint_counts(run: RunDirectory) -> None:
    for name in ("checkpoint-00000009", "checkpoint-00000010", "checkpoint.part"):
        (run.path / name).mkdir()
    saved = run.checkpoints()
    assert [checkpoint.step for checkpoint in saved] == [10]
    assert saved[0].model == str(run.path / "checkpoint-00000010" / "model")


def _held(run: RunDirectory) -> bool:
    try:
        with run.lock:
            return False
    except Timeout:
        return True


def test_lock_tells_whether_a_worker_lives(run: RunDirectory) -> None:
    assert not _held(run)
    with run.lock:
        assert _held(run)
    assert not _held(run)


def test_failed_write_leaves_the_old_value(run: RunDirectory) -> None:
    path = run.path / "state.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert run.state() == {"a": 1}


def test_one_line_of_an_error() -> None:
    assert one_line(ValueError("two\n lines")) == "two lines"
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 9999))) == 500
