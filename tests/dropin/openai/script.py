"""What a script does with OpenAI's client."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from vtune_client.openai import OpenAI

JOBS = "/v1/fine_tuning/jobs"


def eager(client: Any) -> Any:
    """Let the client take the service's list of jobs at its word."""
    client._companion.find_lag_s = 0.0
    return client


def held(client: OpenAI, file_id: str) -> bytes:
    """Return what the service holds under that id."""
    return client.files.content(file_id).read()


def upload(client: OpenAI, rows: Path) -> str:
    return client.files.create(file=rows, purpose="fine-tune").id


def start(client: OpenAI, file_id: str, **more: Any) -> Any:
    return client.fine_tuning.jobs.create(training_file=file_id, model="base", **more)


def finish(client: OpenAI, job_id: str) -> None:
    """Poll as a script does, with shorter pauses."""
    while client.fine_tuning.jobs.retrieve(job_id).status not in ("succeeded", "failed"):
        time.sleep(0.02)


def supervised(**hyperparameters: Any) -> Any:
    return {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}}
