"""The `tg` command line of the `together` package, as somebody types it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("together")

from tests.serve.conftest import until
from tests.serve.shape import PROJECT
from tests.serving import Server
from vtune_client.provider import State

Tg = Callable[..., str]


@pytest.fixture
def tg(server: Server, tmp_path: Path) -> Tg:
    """Run one command; return what it says. It must succeed."""
    program = shutil.which("tg", path=sysconfig.get_path("scripts"))
    if program is None:
        pytest.skip("the command tg is not installed")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TOGETHER_BASE_URL": server.together,
        "TOGETHER_API_KEY": server.key,
        "TOGETHER_PROJECT_ID": PROJECT,
        "TOGETHER_TELEMETRY_DISABLED": "1",
        "COLUMNS": "200",
    }

    def run(*words: str) -> str:
        done = subprocess.run(
            [program, *words, "--non-interactive"],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def told(text: str) -> Any:
    return json.loads(text)


def test_files_and_jobs(server: Server, tg: Tg, rows: Path) -> None:
    [file_id] = (word for word in tg("files", "upload", str(rows)).split() if "file-" in word)
    [listed] = told(tg("files", "list", "--json"))
    assert (listed["id"], listed["filename"]) == (file_id, "rows.jsonl")
    assert told(tg("files", "retrieve", file_id, "--json"))["bytes"] == rows.stat().st_size
    server.faults.add("stuck", times=1)
    asked = ("--training-file", file_id, "--model", "tiny", "--suffix", "typed", "--n-epochs", "2")
    said = tg("fine-tuning", "create", *asked, "--confirm")
    [job] = server.jobs()
    assert job.id in said
    assert (job.suffix, job.request.epochs) == ("typed", 2)
    [found] = told(tg("fine-tuning", "list", "--json"))
    assert (found["id"], found["training_file"]) == (job.id, file_id)
    until(lambda: server.jobs()[0].status is State.RUNNING)
    assert told(tg("fine-tuning", "retrieve", job.id, "--json"))["status"] == "running"
    assert "Price" in tg("fine-tuning", "retrieve", job.id)
    events = told(tg("fine-tuning", "list-events", job.id, "--json"))
    assert events[0]["type"] == "job_pending"
    tg("fine-tuning", "cancel", job.id)
    assert server.jobs()[0].status is State.CANCELLED


def test_endpoints(server: Server, tg: Tg) -> None:
    limits = ("--inactive-timeout", "30", "--traffic-weight", "1")
    made = told(tg("endpoints", "deploy", "tiny", "--endpoint", "mine", *limits, "--json"))
    [running] = server.endpoints()
    assert running["id"] == made["endpoint"]["id"]
    assert made["deployment"]["inactiveTimeout"] == 30
    assert running["id"] in tg("endpoints", "list", "--json")
    assert "mine" in tg("endpoints", "retrieve", "mine")
    tg("endpoints", "delete", running["id"], "--force")
    assert server.endpoints() == []
    assert told(tg("endpoints", "list", "--json"))["data"] == []
