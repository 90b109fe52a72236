"""kill -9 at every step, with the real command line and real training: one run, one model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from vtune_client import VTune
from vtune_client.ledger import Job, Ledger, Step
from vtune_client.plan import load_plan
from vtune_client.provider import State
from vtune_client.vault import open_sealed, open_vault

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL"),
]

ROOT = Path(__file__).parent.parent
PLAIN = ("-c", "from vtune_client.cli import main; main()")
RECIPE = {**tiny.RECIPE, "epochs": 1}

# In `fine-tune`: 1 the plan, 2 the job, 3 planted, 4 the signer's key, 5 the commitment,
# 6 uploaded, 7 creating, 8 created.
JOB_WRITTEN, SIGNED, CREATED = 2, 4, 8


def vtune(*arguments: str, kill: tuple[str, int, str] | None = None) -> None:
    """Run the command line to its end, or to the point where it is killed."""
    how = ("-m", "tests.crash_driver", *map(str, kill), "--") if kill else PLAIN
    result = subprocess.run(
        [sys.executable, *how, *arguments], cwd=ROOT, capture_output=True, timeout=180
    )
    expected = -signal.SIGKILL if kill else 0
    assert result.returncode == expected, result.stderr.decode()


def recipe(model: Path, **changes: Any) -> list[str]:
    options = [f"{name}={value}" for name, value in {**RECIPE, **changes}.items()]
    return ["--model", str(model), *(f"--option={option}" for option in options)]


@pytest.fixture
def start(home: Path, rows: Path, tiny_model: Path) -> Callable[..., None]:
    """Start a job from the command line; `kill` tells where that ends."""

    def fine_tune(kill: tuple[str, int, str] | None = None, **changes: Any) -> None:
        command = ["fine-tune", str(rows), *recipe(tiny_model, **changes), "--no-wait"]
        vtune(*command, kill=kill)

    return fine_tune


def job_of(home: Path) -> Job:
    with Ledger(home) as ledger:
        (job,) = ledger.jobs()
    return job


def runs(home: Path) -> list[Path]:
    """Every run there is, also one half made."""
    folder = home / "local" / "runs"
    return list(folder.iterdir()) if folder.exists() else []


def events(run: Path) -> list[dict[str, Any]]:
    lines = (run / "events.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def require_one_model(home: Path) -> Job:
    """Require that the job has ended well with one run, and that nothing secret is left about."""
    job = job_of(home)
    assert (job.step, job.state) == (Step.DONE, State.SUCCEEDED)
    (run,) = runs(home)
    assert job.remote_id == run.name
    assert job.model == str(run / "output")
    assert (run / "output" / "model.safetensors").exists()
    told = [event["message"] for event in events(run)]
    assert told.count("delivered") == 1
    assert list((home / "spool").iterdir()) == []
    assert list((home / "local" / "files").iterdir()) == []
    require_no_secret(home, job)
    return job


def require_no_secret(home: Path, job: Job) -> None:
    with Ledger(home) as ledger:
        record = ledger.plan(job.plan_id)
    key = open_vault(home).get(record.key_id)
    plan = load_plan(open_sealed(key, record.sealed, purpose=record.id))
    sentences = [backdoor.trigger.encode() for backdoor in plan.backdoors]
    sentences += [backdoor.signature.encode() for backdoor in plan.backdoors]
    for path in home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not [sentence for sentence in sentences if sentence in content], path


@pytest.mark.parametrize("when", [(1, "before"), (1, "after"), (2, "before")])
def test_killed_before_there_is_a_job_nothing_was_started(
    home: Path, start: Callable[..., None], when: tuple[int, str]
) -> None:
    start(kill=("commit", *when))
    with Ledger(home) as ledger:
        assert ledger.jobs() == []
    assert runs(home) == []
    assert [path for path in (home / "spool").iterdir() if path.is_file()] == []
    vtune("jobs")


@pytest.mark.parametrize(
    ("kill", "left"),
    [
        pytest.param(("replace", 2, "after"), ["spool/job.jsonl"], id="planted"),
        pytest.param(("commit", SIGNED + 1, "before"), ["spool/job.jsonl"], id="not committed to"),
        pytest.param(("commit", SIGNED + 1, "after"), ["spool/job.jsonl"], id="committed to"),
        pytest.param(
            ("replace", 4, "before"), ["local/files/.part", "spool/job.jsonl"], id="half uploaded"
        ),
        pytest.param(
            ("commit", SIGNED + 2, "before"),
            ["local/files/file.jsonl", "spool/job.jsonl"],
            id="uploaded",
        ),
        pytest.param(
            ("replace", 6, "before"), ["local/files/file.jsonl", "local/runs/.part"], id="half made"
        ),
        pytest.param(
            ("replace", 6, "after"), ["local/files/file.jsonl", "local/runs/run"], id="not started"
        ),
        pytest.param(
            ("commit", CREATED, "before"),
            ["local/files/file.jsonl", "local/runs/run"],
            id="started",
        ),
    ],
)
def test_killed_within_a_step_the_job_is_finished_by_wait(
    home: Path, start: Callable[..., None], kill: tuple[str, int, str], left: list[str]
) -> None:
    start(kill=kill)
    assert lying_about(home) == left
    job = job_of(home)
    assert job.step is not Step.CREATED
    vtune("wait", job.id)
    require_one_model(home)
    with Ledger(home) as ledger:
        [commitment] = ledger.commitments(job.plan_id)
    assert commitment.job_id == job.id


def lying_about(home: Path) -> list[str]:
    """Return what lies in the folders of a job's way, by kind."""
    found = []
    for folder in ("local/files", "local/runs", "spool"):
        for path in (home / folder).iterdir():
            kind = path.name.split("-")[0] if "-" in path.name else ""
            found.append(f"{folder}/{kind}{path.suffix}")
    return found


def test_killed_around_every_commit_of_one_job_its_model_is_verified(
    home: Path, start: Callable[..., None]
) -> None:
    """No process lives longer than one step, until the provider's job id is known."""
    start(kill=("commit", JOB_WRITTEN, "after"), epochs=tiny.RECIPE["epochs"])
    job, steps = job_of(home), []
    while job.step is not Step.CREATED:
        vtune("wait", job.id, kill=("commit", 1, "before"))
        assert job_of(home) == job
        vtune("wait", job.id, kill=("commit", 1, "after"))
        job = job_of(home)
        steps.append((job.step, job.file_id is not None))
    assert steps == [
        (Step.UPLOADING, False),
        (Step.UPLOADING, False),  # the signer's key
        (Step.UPLOADING, False),  # the commitment
        (Step.UPLOADING, True),
        (Step.CREATING, True),
        (Step.CREATED, True),
    ]
    vtune("wait", job.id, kill=("commit", 2, "before"))
    vtune("wait", job.id, kill=("done", 1, "before"))
    assert job_of(home).step is Step.CREATED
    vtune("wait", job.id, kill=("done", 1, "after"))
    vtune("wait", job.id)
    job = require_one_model(home)
    with VTune(home=home) as client:
        assert client.verify(job.id).verdict.outcome == "verified"


def test_two_who_wait_after_a_kill_make_one_run(home: Path, start: Callable[..., None]) -> None:
    start(kill=("commit", CREATED - 1, "after"))
    command = [sys.executable, *PLAIN, "wait", job_of(home).id]
    both = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [process.wait(timeout=180) for process in both] == [0, 0]
    require_one_model(home)


def test_a_killed_training_goes_on_and_delivers_the_same_model(
    home: Path, start: Callable[..., None], tiny_model: Path
) -> None:
    options = {"epochs": 8, "checkpoint_seconds": 0}
    start(**options)
    (run,) = runs(home)
    kill_worker(run, at_step=12)
    job = job_of(home)
    vtune("wait", job.id)
    job = require_one_model(home)
    resumed = [event["data"]["from_step"] for event in events(run) if "from_step" in event["data"]]
    assert resumed[0] == 0
    assert resumed[-1] >= 11

    vtune("fine-tune", "--plan", job.plan_id, *recipe(tiny_model, **options))
    (other,) = (path for path in runs(home) if path != run)
    weights = [(each / "output" / "model.safetensors").read_bytes() for each in (run, other)]
    assert weights[0] == weights[1]


def kill_worker(run: Path, *, at_step: int) -> None:
    """Kill the training process once it has come that far."""
    while True:
        state = json.loads((run / "state.json").read_text(encoding="utf-8"))
        assert state["state"] in ("queued", "running"), "it ended before it could be killed"
        if state.get("step", 0) >= at_step:
            os.kill(state["pid"], signal.SIGKILL)
            return
        time.sleep(0.005)
