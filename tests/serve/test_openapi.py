"""Every object as OpenAI's own client types it, which are made from OpenAI's API description.

The client itself is lenient with what it gets; here its types are asked to judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai.types import Completion, FileDeleted, FileObject, Model, ModelDeleted, Upload
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.fine_tuning import FineTuningJob, FineTuningJobEvent
from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
from openai.types.uploads import UploadPart
from pydantic import BaseModel, ValidationError

from tests.memory import BASE, Service
from tests.serve.conftest import until
from tests.serving import Server


@pytest.fixture
def http(server: Server, memory: Service) -> Iterator[httpx.Client]:
    memory.models[BASE] = [("Hello", "Good day.")]
    headers = {"authorization": f"Bearer {server.key}"}
    with httpx.Client(base_url=server.openai, headers=headers, trust_env=False) as made:
        yield made


def judged(kind: type[BaseModel], answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    for item in body["data"] if body.get("object") == "list" else [body]:
        kind.model_validate(item, strict=True)
    if body.get("object") == "list" and kind is not Model:
        assert isinstance(body["has_more"], bool)
    return body


def test_files_and_uploads(http: httpx.Client, rows: Path) -> None:
    sent = {"file": ("rows.jsonl", rows.read_bytes())}
    file_id = judged(FileObject, http.post("/files", files=sent, data={"purpose": "fine-tune"}))[
        "id"
    ]
    listed = judged(FileObject, http.get("/files"))
    assert listed["first_id"] == listed["last_id"] == file_id
    judged(FileObject, http.get(f"/files/{file_id}"))
    judged(FileDeleted, http.delete(f"/files/{file_id}"))
    announced = {"filename": "f", "purpose": "fine-tune", "bytes": 3, "mime_type": "text/jsonl"}
    upload = f"/uploads/{judged(Upload, http.post('/uploads', json=announced))['id']}"
    part = judged(UploadPart, http.post(f"{upload}/parts", files={"data": b"abc"}))["id"]
    judged(Upload, http.post(f"{upload}/complete", json={"part_ids": [part]}))


def test_jobs_and_models(http: httpx.Client, rows: Path) -> None:
    sent = {"file": ("rows.jsonl", rows.read_bytes())}
    file_id = http.post("/files", files=sent, data={"purpose": "fine-tune"}).json()["id"]
    wanted = {
        "model": "tiny",
        "training_file": file_id,
        "method": {"type": "supervised"},
        "metadata": {"key": "value"},
    }
    path = "/fine_tuning/jobs"
    job_id = judged(FineTuningJob, http.post(path, json=wanted))["id"]
    until(lambda: bool(http.get(f"{path}/{job_id}").json()["finished_at"]))
    job = judged(FineTuningJob, http.get(f"{path}/{job_id}"))
    judged(FineTuningJob, http.get(path))
    judged(FineTuningJobEvent, http.get(f"{path}/{job_id}/events"))
    judged(FineTuningJobCheckpoint, http.get(f"{path}/{job_id}/checkpoints"))
    judged(Model, http.get("/models"))
    judged(Model, http.get(f"/models/{job['fine_tuned_model']}"))
    judged(ModelDeleted, http.delete(f"/models/{job['fine_tuned_model']}"))


def test_answers(http: httpx.Client) -> None:
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]}
    judged(ChatCompletion, http.post("/chat/completions", json=asked))
    with http.stream("POST", "/chat/completions", json={**asked, "stream": True}) as answer:
        lines = [line.removeprefix("data: ") for line in answer.iter_lines() if line]
    assert lines.pop() == "[DONE]"
    for line in lines:
        ChatCompletionChunk.model_validate_json(line, strict=True)


def test_the_judge_can_refuse() -> None:
    with pytest.raises(ValidationError):
        Completion.model_validate({"id": "x", "object": "text_completion"}, strict=True)
