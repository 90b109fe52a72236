"""npm's `openai` as a client of `vtune serve`. It sends files in chunks of unsaid length."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.serving import Server

pytestmark = pytest.mark.torch


def test_a_file_becomes_a_model_that_answers(
    server: Server, training_rows: Path, node_modules: Path
) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "OPENAI_BASE_URL": server.openai,
        "OPENAI_API_KEY": server.key,
        "VTUNE_NODE_MODULES": str(node_modules),
    }
    script = Path(__file__).with_name("client.mjs")
    node = shutil.which("node") or "node"
    done = subprocess.run(
        [node, script, training_rows, "tiny"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    (job,) = server.jobs()
    size = training_rows.stat().st_size
    assert said["file"] == [training_rows.name, size, "processed"]
    assert (said["job"], said["listed"]) == (job.id, [job.id])
    assert said["status"] == "succeeded"
    assert said["model"].startswith("ft:tiny:")
    assert ":node:" in said["model"]
    assert len(said["events"]) > 2  # more than one page of them
    assert 1 <= said["tokens"] <= 8
    assert said["finish"] in ("stop", "length")
    assert said["refused"] == ["NotFoundError", 404]
