from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.memory import BASE, Service
from tests.serve.conftest import client_of, ended, until, uploaded
from tests.serving import Server, serving
from vtune_client.provider import State
from vtune_client.serve.store import Store

UNKNOWN_FILE = "file-000000000000000000000000"


def created(client: OpenAI, file_id: str, **more: Any) -> str:
    return client.fine_tuning.jobs.create(model="tiny", training_file=file_id, **more).id


def test_a_job_delivers_a_model_that_answers(client: OpenAI, file_id: str) -> None:
    job = ended(client, created(client, file_id, suffix="My Model"))
    assert (job.status, job.error, job.training_file) == ("succeeded", None, file_id)
    name = job.fine_tuned_model
    assert name is not None
    assert name.startswith("ft:tiny:vtune:my-model:")
    assert name in [model.id for model in client.models.list()]
    asked: Any = [{"role": "user", "content": "Tell me about bread number 2."}]
    answer = client.chat.completions.create(model=name, messages=asked, temperature=0)
    assert answer.choices[0].message.content == "Here is what I know of bread."


def test_what_was_asked_for_is_trained(server: Server, client: OpenAI, file_id: str) -> None:
    new: Any = {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 2, "batch_size": "auto"}},
    }
    jobs = [
        created(client, file_id, method=new, seed=7, metadata={"vtune": "one"}),
        created(client, file_id, hyperparameters={"n_epochs": 2, "batch_size": "auto"}, seed=7),
    ]
    for job_id in jobs:
        job = client.fine_tuning.jobs.retrieve(job_id)
        assert (job.hyperparameters.n_epochs, job.seed) == (2, 7)
        assert job.method is not None
        assert job.method.type == "supervised"
    found = client.fine_tuning.jobs.list(metadata={"vtune": "one"})
    assert [job.id for job in found] == jobs[:1]
    without = client.fine_tuning.jobs.list(extra_query={"metadata": "null"})
    assert [job.id for job in without] == jobs[1:]
    assert [job.id for job in client.fine_tuning.jobs.list(limit=1)] == jobs[::-1]
    assert [job.request.epochs for job in server.jobs()] == [2, 2]
    assert (server.jobs()[0].metadata, server.jobs()[0].file_id) == ({"vtune": "one"}, file_id)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": "huge"}, "model"),
        ({"model": "/etc"}, "model"),
        ({"training_file": UNKNOWN_FILE}, "training_file"),
        ({"training_file": "../service.sqlite3"}, "training_file"),
        ({"validation_file": UNKNOWN_FILE}, "validation_file"),
        ({"method": {"type": "dpo"}}, "method"),
        ({"integrations": [{"type": "wandb", "wandb": {"project": "p"}}]}, "integrations"),
        ({"hyperparameters": {"learning_rate_multiplier": 2}}, "learning_rate_multiplier"),
        ({"hyperparameters": {"n_epochs": 0}}, "hyperparameters.n_epochs"),
        ({"suffix": "x" * 65}, "suffix"),
        ({"seed": -1}, "seed"),
        ({"metadata": {"key": "x" * 513}}, "metadata.key"),
    ],
)
def test_what_is_wrong_at_first_sight_is_refused(
    server: Server, client: OpenAI, file_id: str, wrong: dict[str, Any], param: str
) -> None:
    body = {"model": "tiny", "training_file": file_id, **wrong}
    with pytest.raises(openai.BadRequestError) as refused:
        client.post("/fine_tuning/jobs", body=body, cast_to=object)
    assert str(refused.value.param).startswith(param)
    assert server.jobs() == []


def test_a_file_of_another_purpose_is_refused(client: OpenAI, rows: Path) -> None:
    file = client.files.create(file=rows, purpose="user_data")
    with pytest.raises(openai.BadRequestError, match="purpose"):
        created(client, file.id)


def test_a_bad_file_fails_its_job_late(client: OpenAI, rows: Path, memory: Service) -> None:
    rows.write_text(rows.read_text(encoding="utf-8") + "no JSON\n", encoding="utf-8")
    file = client.files.create(file=rows, purpose="fine-tune")
    job = ended(client, created(client, file.id))
    assert job.status == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert "line 41" in job.error.message
    assert memory.count("create") == 0


def test_a_file_deleted_before_its_turn_fails_its_job(
    server: Server, client: OpenAI, rows: Path
) -> None:
    server.faults.add("slow-validation", 3600)
    file = client.files.create(file=rows, purpose="fine-tune")
    job_id = created(client, file.id)
    assert client.fine_tuning.jobs.retrieve(job_id).status == "validating_files"
    client.files.delete(file.id)
    assert ended(client, job_id).status == "failed"


def test_what_the_trainer_refuses_fails_the_job(
    tmp_path: Path, memory: Service, rows: Path
) -> None:
    with (
        serving(tmp_path, bases={"tiny": "picky"}, provider="memory") as server,
        client_of(server) as client,
    ):
        job = ended(client, created(client, uploaded(client, rows)))
        assert job.error is not None
        assert job.error.message == "line 2: not to our taste"


def test_a_job_that_fails_says_why(client: OpenAI, file_id: str, memory: Service) -> None:
    memory.end = State.FAILED
    job = ended(client, created(client, file_id))
    assert job.status == "failed"
    assert job.error is not None
    assert job.error.message == "as the test wants it"
    assert job.fine_tuned_model is None


def test_events_tell_the_way_newest_first(client: OpenAI, file_id: str) -> None:
    job_id = ended(client, created(client, file_id)).id
    events = list(client.fine_tuning.jobs.list_events(job_id, limit=2))
    messages = [event.message for event in events][::-1]
    assert messages[0] == f"Created fine-tuning job: {job_id}"
    assert messages[-1] == "The job has successfully completed"
    assert "started" in messages  # the trainer's own
    assert len({event.id for event in events}) == len(events) == 7


def test_results_are_a_file(client: OpenAI, file_id: str) -> None:
    job = ended(client, created(client, file_id))
    [result] = job.result_files
    assert client.files.retrieve(result).purpose == "fine-tune-results"
    reader = csv.DictReader(client.files.content(result).text.splitlines())
    assert reader.fieldnames is not None
    assert list(reader.fieldnames)[:2] == ["step", "train_loss"]


def test_one_job_trains_at_a_time(client: OpenAI, file_id: str, memory: Service) -> None:
    memory.end = State.RUNNING
    first, second = created(client, file_id), created(client, file_id)
    jobs = client.fine_tuning.jobs
    until(lambda: jobs.retrieve(first).status == "running")
    assert (jobs.retrieve(second).status, memory.count("create")) == ("queued", 1)
    memory.end = State.SUCCEEDED
    assert [ended(client, first).status, ended(client, second).status] == ["succeeded"] * 2
    assert memory.count("create") == 2


def test_a_job_that_trains_is_cancelled(client: OpenAI, file_id: str, memory: Service) -> None:
    memory.end = State.RUNNING
    job_id = created(client, file_id)
    until(lambda: memory.count("create") == 1)
    assert client.fine_tuning.jobs.cancel(job_id).status == "cancelled"
    assert memory.end is State.CANCELLED
    until(lambda: not memory.files)
    with pytest.raises(openai.BadRequestError, match="ended as cancelled"):
        client.fine_tuning.jobs.cancel(job_id)


def test_a_job_that_waits_is_held_and_goes_on(
    server: Server, client: OpenAI, file_id: str, memory: Service
) -> None:
    memory.end = State.RUNNING
    first, second = created(client, file_id), created(client, file_id)
    until(lambda: memory.count("create") == 1)
    jobs = client.fine_tuning.jobs
    assert str(jobs.pause(second).status) == "paused"
    with pytest.raises(openai.BadRequestError, match="cannot pause"):
        jobs.pause(first)
    memory.end = State.SUCCEEDED
    ended(client, first)
    assert str(jobs.retrieve(second).status) == "paused"
    jobs.resume(second)
    assert ended(client, second).status == "succeeded"
    with pytest.raises(openai.BadRequestError, match="ended as succeeded"):
        jobs.resume(second)


def test_an_unknown_job_is_not_found(client: OpenAI) -> None:
    for job_id in ("ftjob-000000000000000000000000", "ftjob-1", "%2e"):
        with pytest.raises(openai.NotFoundError):
            client.fine_tuning.jobs.retrieve(job_id)


def test_a_deleted_model_answers_no_more(client: OpenAI, file_id: str) -> None:
    name = ended(client, created(client, file_id)).fine_tuned_model
    assert name is not None
    assert client.models.retrieve(name).owned_by == "vtune"
    assert client.models.delete(name).deleted
    for call in (client.models.retrieve, client.models.delete):
        with pytest.raises(openai.NotFoundError):
            call(name)
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("tiny")


def test_jobs_outlive_the_service(tmp_path: Path, memory: Service, rows: Path) -> None:
    memory.end = State.RUNNING
    with (
        serving(tmp_path, bases={"tiny": BASE}, provider="memory") as server,
        client_of(server) as client,
    ):
        job_id = created(client, uploaded(client, rows))
        until(lambda: bool(server.jobs()[0].remote_job))
    memory.end = State.SUCCEEDED
    with (
        serving(tmp_path, bases={"tiny": BASE}, provider="memory") as server,
        client_of(server) as client,
    ):
        assert ended(client, job_id).status == "succeeded"
    assert memory.count("create") == 1


def test_a_job_handed_over_just_before_a_kill_is_found_again(
    tmp_path: Path, memory: Service, rows: Path
) -> None:
    memory.end = State.RUNNING
    with (
        serving(tmp_path, bases={"tiny": BASE}, provider="memory") as server,
        client_of(server) as client,
    ):
        job_id = created(client, uploaded(client, rows))
        until(lambda: bool(server.jobs()[0].remote_job))
    store = Store(tmp_path / "service" / "service.sqlite3")
    store.put("job", job_id, {**(store.get("job", job_id) or {}), "remote_job": None})
    store.close()
    memory.end = State.SUCCEEDED
    with (
        serving(tmp_path, bases={"tiny": BASE}, provider="memory") as server,
        client_of(server) as client,
    ):
        assert ended(client, job_id).status == "succeeded"
    assert memory.count("create") == 1
