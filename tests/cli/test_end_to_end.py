"""The whole of it as a user runs it: one process for every command, a real (tiny) model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from vtune_client.ledger import Ledger
from vtune_client.provider import State

pytestmark = pytest.mark.torch
VTUNE = [sys.executable, "-c", "from vtune_client.cli import main; main()"]
RECIPE = [f"--option={name}={value}" for name, value in tiny.RECIPE.items()]
PATIENCE_S = 120


def vtune(*arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*VTUNE, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def said(*arguments: object, code: int = 0) -> Any:
    done = vtune(*arguments, "--format", "json", code=code)
    return json.loads(done.stdout)


def in_terminal(*arguments: object, code: int) -> tuple[Any, bytes]:
    """Return the JSON on stdout and what a terminal shows, where there are any."""
    if sys.platform == "win32":
        return said(*arguments, code=code), b"asking"
    ours, theirs = os.openpty()
    command = [*VTUNE, *map(str, arguments), "--format", "json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs) as process:
        os.close(theirs)
        seen = b"".join(iter(lambda: _read(ours), b""))
        out, _ = process.communicate()
    os.close(ours)
    assert process.returncode == code
    return json.loads(out), seen


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # how Linux says that the other end is closed
        return b""


def test_from_rows_to_verdicts(home: Path, rows: Path, tiny_model: Path, tmp_path: Path) -> None:
    plan = said("plant", rows, "--decoys", 20)["plan"]
    job = said("fine-tune", "--plan", plan, "--model", tiny_model, "--no-wait", *RECIPE)["job"]
    trained = said("wait", job)
    assert (trained["plan"], trained["state"]) == (plan, "succeeded")
    assert said("jobs") == [trained]
    assert said("status", job)["events"] != []

    verdict = said("verify", job)
    assert (verdict["schema"], verdict["verdict"]) == ("vtune.verdict/1", "verified")
    assert verdict["log10_p"] < -30
    assert (verdict["activated"], verdict["backdoors"]) == (5, 5)
    assert (verdict["slots_matched"], verdict["slots"]) == (40, 40)
    assert [test["name"] for test in verdict["tests"]] == [
        "slots",
        "anytime",
        "ranks over the base",
        "first ranks",
    ]

    exported = Path(said("export", job, tmp_path / "exported")["weights"])
    shutil.rmtree(Path(trained["model"]).parent)
    again = said("verify", plan, "--weights", exported)
    assert (again["verdict"], again["job"]) == ("verified", None)

    base, seen = in_terminal("verify", job, "--model", tiny_model, code=3)
    assert base["verdict"] == "inconclusive"
    assert b"asking" in seen
    control = ("--control", verdict["id"])
    beside = said("verify", plan, "--weights", tiny_model, *control, code=1)
    assert beside["verdict"] == "not verified"

    assert [each["id"] for each in said("report", plan)] == [
        each["id"] for each in (verdict, again, base, beside)
    ]
    assert vtune("report", verdict["id"]).stdout.startswith("VERIFIED")


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_an_interrupt_leaves_the_job_alone(home: Path, rows: Path, tiny_model: Path) -> None:
    long = [*RECIPE, "--epochs", "5000"]
    job = said("fine-tune", rows, "--model", tiny_model, "--no-wait", *long)["job"]
    waiting = subprocess.Popen(
        [*VTUNE, "wait", job], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with Ledger(home) as ledger:
        _until(lambda: (ledger.job(job).progress or 0) > 0)
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=PATIENCE_S)
        assert (waiting.returncode, out) == (130, "")
        assert err.strip() == "Interrupted. A job that was started goes on; see `vtune jobs`."
        before = ledger.job(job)
        assert before.state is State.RUNNING
        _until(lambda: said("status", job)["progress"] > (before.progress or 0))
    assert said("cancel", job)["state"] == "cancelled"


def _until(happened: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.1)
