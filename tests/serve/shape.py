"""The `together` client against a service of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
from together import Together

from tests.serve.conftest import until
from tests.serving import Server

PROJECT = "project-1"
ENDED = ("completed", "error", "user_error", "cancelled")


def together_of(server: Server, key: str | None = None) -> Together:
    return Together(
        api_key=key or server.key, base_url=server.together, project_id=PROJECT, max_retries=0
    )


def plain(server: Server) -> httpx.Client:
    """Return a client that shows what the service says as it stands."""
    headers = {"authorization": f"Bearer {server.key}"}
    return httpx.Client(base_url=server.together, headers=headers)


def uploaded(client: Together, path: Path) -> str:
    """Upload a training file and wait until it is judged; return its id."""
    file = client.files.upload(path, check=False)
    until(lambda: client.files.retrieve(file.id).processing_status != "PENDING")
    return file.id


def created(client: Together, file_id: str, model: str = "tiny", **more: Any) -> str:
    asked: dict[str, Any] = {"learning_rate": 1e-3, "train_on_inputs": "auto", **more}
    job = client.fine_tuning.create(training_file=file_id, model=model, **asked)
    return job.id


def ended(client: Together, job_id: str) -> Any:
    until(lambda: client.fine_tuning.retrieve(job_id).status in ENDED)
    return client.fine_tuning.retrieve(job_id)
