"""The service over the provider in memory, and the plain `openai` client."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("openai")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from tests.memory import BASE, Service
from tests.serving import Server, serving

WAIT_S = 60.0
ENDED = ("succeeded", "failed", "cancelled")


def until(met: Callable[[], bool]) -> None:
    """Wait for what happens in the background."""
    deadline = time.monotonic() + WAIT_S
    while not met():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def client_of(server: Server) -> OpenAI:
    return OpenAI(base_url=server.openai, api_key=server.key or "none", max_retries=0)


def uploaded(client: OpenAI, path: Path) -> str:
    """Upload a training file and wait until it is judged; return its id."""
    file = client.files.create(file=path, purpose="fine-tune")
    until(lambda: client.files.retrieve(file.id).status != "uploaded")
    return file.id


def ended(client: OpenAI, job_id: str) -> FineTuningJob:
    until(lambda: client.fine_tuning.jobs.retrieve(job_id).status in ENDED)
    return client.fine_tuning.jobs.retrieve(job_id)


@pytest.fixture
def server(tmp_path: Path, memory: Service) -> Iterator[Server]:
    with serving(tmp_path, bases={"tiny": BASE}, provider="memory") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[OpenAI]:
    with client_of(server) as made:
        yield made


@pytest.fixture
def file_id(client: OpenAI, rows: Path) -> str:
    return uploaded(client, rows)
