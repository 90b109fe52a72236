"""Fine-tuning jobs in Together's shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("together")

import httpx
import together
from together import Together

from tests.serve.conftest import until
from tests.serve.shape import created, ended, plain, together_of, uploaded
from tests.serving import Server
from vtune_client.serve.together.jobs import NANODOLLARS, USD_PER_MILLION


@pytest.fixture
def client(server: Server) -> Iterator[Together]:
    with together_of(server) as made:
        yield made


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with plain(server) as made:
        yield made


@pytest.fixture
def file_id(client: Together, rows: Path) -> str:
    return uploaded(client, rows)


def test_a_job_from_limits_to_model(server: Server, client: Together, file_id: str) -> None:
    job_id = created(client, file_id, suffix="first try!", n_epochs=2, random_seed=7)
    job = ended(client, job_id)
    assert (job.status, job.model, job.n_epochs) == ("completed", "tiny", 2)
    assert job.x_model_output_name.startswith("vtune/tiny-first-try-")
    assert job.to_dict()["suffix"] == "first try!"
    [record] = server.jobs()
    request = record.request
    assert (record.id, request.epochs, request.seed) == (job_id, 2, 7)
    assert (request.learning_rate, request.batch_size) == (1e-3, None)
    asked = [path.rpartition("/v1")[2] for _, path in server.requests]
    assert asked.index("/fine-tunes/models/limits") < asked.index("/fine-tunes")
    listed = client.fine_tuning.list().data
    assert [(item.id, item.status) for item in listed] == [(job_id, "completed")]
    asked_by_name = client.chat.completions.create(
        model=job.x_model_output_name,
        messages=[{"role": "user", "content": "Tell me about rivers number 0."}],
    )
    choice = asked_by_name.choices[0]
    assert choice.message is not None
    assert choice.message.content == "Here is what I know of rivers."


def test_what_it_costs(client: Together, http: httpx.Client, file_id: str) -> None:
    body = {"training_file": file_id, "model": "tiny", "n_epochs": 3}
    price = http.post("/v1/fine-tunes/estimate-price", json=body).json()
    tokens = price["estimated_train_token_count"]
    assert tokens > 0
    assert price["estimated_total_price"] == pytest.approx(tokens * USD_PER_MILLION / 1e6)
    assert price["allowed_to_proceed"] is True
    job = ended(client, created(client, file_id, n_epochs=3))
    assert (job.token_count, job.total_price) == (
        tokens,
        round(price["estimated_total_price"] * NANODOLLARS),
    )


def test_limits(client: Together) -> None:
    limits = client.fine_tuning.model_limits(model_name="tiny")
    assert (limits.api_model_name, limits.supports_full_training) == ("tiny", True)
    with pytest.raises(together.NotFoundError):
        client.fine_tuning.model_limits(model_name="huge")


def test_events_are_typed(client: Together, file_id: str) -> None:
    job_id = created(client, file_id)
    ended(client, job_id)
    events = client.fine_tuning.list_events(job_id).data
    kinds = [str(event.type) for event in events]
    assert kinds[0] == "job_pending"
    assert kinds[-2:] == ["model_upload_complete", "job_complete"]
    assert len({event.to_dict()["hash"] for event in events}) == len(events)
    held = client.fine_tuning.retrieve(job_id).events or []
    assert [event.message for event in held] == [event.message for event in events]


def test_a_job_on_a_bad_file_fails_late(client: Together, rows: Path) -> None:
    with rows.open("a", encoding="utf-8") as file:
        file.write("no json\n")
    job = ended(client, created(client, uploaded(client, rows)))
    last = (job.events or [])[-1]
    assert (job.status, last.type, last.level) == ("user_error", "job_error", "error")
    assert "line 41" in last.message


def test_a_job_is_stopped_and_forgotten(server: Server, client: Together, file_id: str) -> None:
    server.faults.add("stuck", times=1)
    job_id = created(client, file_id)
    until(lambda: client.fine_tuning.retrieve(job_id).status == "running")
    with pytest.raises(together.BadRequestError):
        client.fine_tuning.delete(job_id)
    assert client.fine_tuning.cancel(job_id).status == "cancelled"
    with pytest.raises(together.BadRequestError):
        client.fine_tuning.cancel(job_id)
    client.fine_tuning.delete(job_id)
    with pytest.raises(together.NotFoundError):
        client.fine_tuning.retrieve(job_id)


def test_both_shapes_show_the_same_jobs(server: Server, client: Together, file_id: str) -> None:
    job_id = created(client, file_id)
    model = ended(client, job_id).x_model_output_name
    with httpx.Client(headers={"authorization": f"Bearer {server.key}"}) as other:
        job = other.get(f"{server.openai}/fine_tuning/jobs/{job_id}").json()
    assert (job["status"], job["fine_tuned_model"]) == ("succeeded", model)


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": "huge"}, "model"),
        ({"model": None}, "model"),
        ({"training_file": "file-0"}, "training_file"),
        ({"training_method": {"method": "dpo"}}, "method"),
        ({"from_checkpoint": "ft-1"}, "from_checkpoint"),
        ({"from_hf_model": "somebody/theirs"}, "from_hf_model"),
        ({"wandb_key": "a secret"}, "wandb_key"),
        ({"n_epochs": 1000}, "n_epochs"),
        ({"n_epochs": 0}, "n_epochs"),
        ({"learning_rate": 2.0}, "learning_rate"),
        ({"batch_size": 100_000}, "batch_size"),
        ({"suffix": "s" * 41}, "suffix"),
    ],
)
def test_jobs_that_are_not_taken(
    server: Server, http: httpx.Client, file_id: str, wrong: dict[str, Any], param: str
) -> None:
    answer = http.post("/v1/fine-tunes", json={"training_file": file_id, "model": "tiny", **wrong})
    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (400, param)
    assert error["message"]
    assert "a secret" not in error["message"]
    assert server.jobs() == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("create-then-500", together.InternalServerError),
        ("create-then-cut", together.APIConnectionError),
    ],
)
def test_a_job_whose_answer_is_lost(
    server: Server, client: Together, file_id: str, fault: str, error: type[Exception]
) -> None:
    server.faults.add(fault, times=1)
    with pytest.raises(error):
        created(client, file_id, suffix="token")
    [job] = client.fine_tuning.list().data
    assert (job.id, job.training_file) == (server.jobs()[0].id, file_id)
    assert job.suffix == "token"


def test_a_busy_service_takes_nothing(server: Server, client: Together, file_id: str) -> None:
    server.faults.add("busy", 3, times=1)
    with pytest.raises(together.RateLimitError) as caught:
        created(client, file_id)
    assert caught.value.response.headers["retry-after"] == "3"
    assert server.jobs() == []


def test_a_status_that_nobody_knows(server: Server, client: Together, file_id: str) -> None:
    server.faults.add("unknown-status", 2, times=1)
    job_id = created(client, file_id)
    until(lambda: str(client.fine_tuning.retrieve(job_id).status) == "contemplating")
    assert ended(client, job_id).status == "completed"


def test_a_model_without_a_name(server: Server, client: Together, file_id: str) -> None:
    server.faults.add("no-model-name", 2, times=1)
    job = ended(client, created(client, file_id))
    assert (job.status, job.x_model_output_name) == ("completed", None)
    assert ended(client, job.id).x_model_output_name is not None


@pytest.mark.parametrize("hidden", [True, False])
def test_a_model_is_named_before_it_is_there(
    server: Server, client: Together, file_id: str, hidden: bool
) -> None:
    server.faults.add("stuck", times=1)
    if hidden:
        server.faults.add("no-model-name", times=1)
    job = client.fine_tuning.retrieve(created(client, file_id))
    assert (job.x_model_output_name is None) == hidden


def test_who_has_no_key_gets_nothing(server: Server) -> None:
    with together_of(server, key="sk-wrong") as client:
        with pytest.raises(together.AuthenticationError) as caught:
            client.files.list()
        assert caught.value.response.json()["error"]["code"] == "invalid_api_key"
        for path in ("/v1/uploads", "/v1/uploads/x/y", "/v1/uploads/../files", "/v2/x"):
            answer = httpx.get(f"{server.together}{path}")
            assert answer.status_code == 401, path


def test_a_path_that_is_not_there(http: httpx.Client) -> None:
    answer = http.get("/v1/nothing")
    assert (answer.status_code, answer.json()["error"]["type"]) == (404, "invalid_request_error")
    assert http.put("/v1/fine-tunes").status_code == 405


def test_weights_that_nobody_hands_out(client: Together, file_id: str) -> None:
    job_id = created(client, file_id)
    ended(client, job_id)
    with pytest.raises(together.BadRequestError, match="weights"):
        client.fine_tuning.content(ft_id=job_id)
