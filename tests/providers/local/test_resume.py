"""A run that is killed, wherever, ends with the weights it would have had."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.providers.local.runs import new_run, same, trained, weights
from vtune_client.provider import State

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

from vtune_providers.local import checkpoint, training, worker
from vtune_providers.local.rundir import RunDirectory

RECIPES: dict[str, dict[str, Any]] = {
    "full": {"method": "full", "scheduler": "cosine", "weight_decay": 0.01},
    "lora with dropout": {"method": "lora", "dropout": 0.3, "scheduler": "linear"},
    "lora in bf16": {"method": "lora", "dtype": "bf16"},
    "full in bf16": {"method": "full", "dtype": "bf16"},
}


class Killed(BaseException):
    """What no `except Exception` stops, as nothing stops a kill."""


def interrupted(
    run: RunDirectory,
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    name: str,
    calls: int = 1,
    about: str = "",
) -> None:
    """Train until `module.name` has been called so many times, with `about` in its arguments."""
    real, left = getattr(module, name), [calls]

    def deadly(*args: Any, **more: Any) -> Any:
        result = real(*args, **more)
        left[0] -= about in str(args)
        if not left[0]:
            raise Killed
        return result

    with monkeypatch.context() as patch:
        patch.setattr(module, name, deadly)
        with pytest.raises(Killed):
            trained(run)


@pytest.mark.parametrize("name", RECIPES)
def test_resumed_weights_are_those_of_a_run_never_interrupted(
    name: str, tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows, **RECIPES[name]))
    run = new_run(tmp_path / "run", tiny_model, rows, **RECIPES[name], checkpoint_seconds=0)
    # In the first epoch, at its end, in the second: 5 steps each.
    for step, saves in ((2, 2), (5, 3), (8, 3)):
        interrupted(run, monkeypatch, checkpoint, "save", saves)
        assert [saved.step for saved in run.checkpoints()] == [step]
    trained(run)
    assert [e.data["from_step"] for e in run.events() if e.message == "training"] == [0, 2, 5, 8]
    assert same(weights(run), weights(straight))
    assert not run.saved()


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("step", [0, 3, 5])
def test_paused_run_ends_as_one_never_paused(
    name: str,
    step: int,
    tmp_path: Path,
    tiny_model: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows, **RECIPES[name]))
    run = new_run(tmp_path / "run", tiny_model, rows, **RECIPES[name])
    real = training.Loop._stop_asked

    def asked(loop: training.Loop) -> State | None:
        if loop.step == step:
            run.ask_pause()
        return real(loop)

    with monkeypatch.context() as patch:
        patch.setattr(training.Loop, "_stop_asked", asked)
        trained(run)
    assert run.status().state is State.PAUSED
    assert [saved.step for saved in run.checkpoints()] == [step] * (step > 0)
    run.ask_resume()
    trained(run)
    assert [e.data["from_step"] for e in run.events() if e.message == "training"] == [0, step]
    assert [e.message for e in run.events()].count("paused") == 1
    assert same(weights(run), weights(straight))


def test_position_alone_would_not_do(
    tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check above sees a lost optimizer."""
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows))
    run = new_run(tmp_path / "run", tiny_model, rows, checkpoint_seconds=0)
    interrupted(run, monkeypatch, checkpoint, "save", 3)
    real = checkpoint.restore
    monkeypatch.setattr(checkpoint, "restore", lambda *args: (real(*args)[0], {}))
    assert not same(weights(trained(run)), weights(straight))


@pytest.mark.parametrize(
    ("where", "step"),
    [
        ((checkpoint, "save_file", 3), 2),
        ((checkpoint, "export", 3), 2),
        ((os, "replace", 1, "checkpoint-00000003"), 3),
        ((shutil, "rmtree", 1, "checkpoint-00000002"), 3),
    ],
    ids=["half written", "whole and not in place", "beside the older one", "alone"],
)
def test_checkpoint_killed_halfway_loses_nothing(
    where: Any,
    step: int,
    tmp_path: Path,
    tiny_model: Path,
    rows: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows))
    run = new_run(tmp_path / "run", tiny_model, rows, checkpoint_seconds=0)
    interrupted(run, monkeypatch, *where)
    trained(run)
    begun = [event.data["from_step"] for event in run.events() if event.message == "training"]
    assert begun == [0, step]
    assert same(weights(run), weights(straight))
    assert not list(run.path.glob("*.part"))


def test_leavings_of_a_kill_are_not_taken_for_checkpoints(
    tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows))
    run = new_run(tmp_path / "run", tiny_model, rows, checkpoint_seconds=0)
    interrupted(run, monkeypatch, checkpoint, "save", 3)
    for name in ("checkpoint.part", "checkpoint-00000001", "output.part"):
        (run.path / name).mkdir()
        (run.path / name / "weights").write_bytes(b"half")
    assert [saved.step for saved in run.checkpoints()] == [3]
    assert same(weights(trained(run)), weights(straight))


def test_checkpoint_can_be_served(
    tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vtune_providers.local.models import load_served

    for method in ("full", "lora"):
        run = new_run(tmp_path / method, tiny_model, rows, checkpoint_seconds=0, method=method)
        interrupted(run, monkeypatch, checkpoint, "save", 3)
        model, _ = load_served(run.checkpoints()[0].model)
        assert model.config.model_type == "llama"


def test_delivery_killed_halfway_is_done_again(
    tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows))
    run = new_run(tmp_path / "run", tiny_model, rows)
    (run.path / "output.part").mkdir()
    (run.path / "output.part" / "model.safetensors").write_bytes(b"half")
    interrupted(run, monkeypatch, checkpoint, "export")
    assert not run.output.exists()
    assert run.status().state is State.FINISHING
    assert same(weights(trained(run)), weights(straight))


def test_output_in_place_is_a_run_that_succeeded(
    tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(tmp_path / "run", tiny_model, rows)
    interrupted(run, monkeypatch, os, "replace", 1, "output.part")
    assert run.output.is_dir()
    assert run.status().state is State.FINISHING
    monkeypatch.setattr(training, "train", lambda run: pytest.fail("trained again"))
    assert worker.main(str(run.path)) == 0
    assert weights(run)
