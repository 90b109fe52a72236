from __future__ import annotations

import openai
import pytest
from openai import OpenAI

from tests.serve.conftest import ended, until
from tests.serving import Server
from vtune_client.errors import InputError
from vtune_client.serve.faults import Fault, Faults, parse_fault


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("create-then-500", Fault("create-then-500")),
        ("busy=2.5", Fault("busy", 2.5)),
        ("busy=1*3", Fault("busy", 1, 3)),
        ("stuck*1", Fault("stuck", 0, 1)),
        ("no-model-name", Fault("no-model-name", -1)),
    ],
)
def test_a_fault_is_read(text: str, fault: Fault) -> None:
    assert parse_fault(text) == fault


@pytest.mark.parametrize("text", ["", "unheard-of", "busy", "busy=soon", "busy=1.2.3", "stuck*"])
def test_what_is_no_fault_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_fault(text)


def test_a_fault_happens_as_often_as_was_said() -> None:
    faults = Faults([Fault("stuck", times=2)])
    assert [faults.take("stuck") is not None for _ in range(3)] == [True, True, False]
    faults.add("stuck")
    assert all(faults.take("stuck") for _ in range(5))
    assert faults.take("busy") is None
    faults.clear()
    assert faults.take("stuck") is None


def test_create_then_500(server: Server, client: OpenAI, file_id: str) -> None:
    server.faults.add("create-then-500", times=1)
    with pytest.raises(openai.InternalServerError):
        client.fine_tuning.jobs.create(model="tiny", training_file=file_id)
    [job] = server.jobs()
    assert ended(client, job.id).status == "succeeded"


def test_create_then_cut(server: Server, client: OpenAI, file_id: str) -> None:
    server.faults.add("create-then-cut", times=1)
    with pytest.raises(openai.APIConnectionError) as lost:
        client.fine_tuning.jobs.create(model="tiny", training_file=file_id)
    assert not isinstance(lost.value, openai.APITimeoutError)
    [job] = server.jobs()
    assert ended(client, job.id).status == "succeeded"


def test_busy(server: Server, client: OpenAI, file_id: str) -> None:
    server.faults.add("busy", 7, times=1)
    with pytest.raises(openai.RateLimitError) as refused:
        client.fine_tuning.jobs.create(model="tiny", training_file=file_id)
    assert refused.value.response.headers["retry-after"] == "7"
    assert server.jobs() == []
    client.fine_tuning.jobs.create(model="tiny", training_file=file_id)


def test_stuck(server: Server, client: OpenAI, file_id: str) -> None:
    server.faults.add("stuck", times=1)
    jobs = client.fine_tuning.jobs
    stuck = jobs.create(model="tiny", training_file=file_id).id
    after = jobs.create(model="tiny", training_file=file_id).id
    assert ended(client, after).status == "succeeded"
    assert jobs.retrieve(stuck).status == "running"
    assert jobs.cancel(stuck).status == "cancelled"


def test_unknown_status(server: Server, client: OpenAI, file_id: str) -> None:
    server.faults.add("unknown-status", 2, times=1)
    job_id = client.fine_tuning.jobs.create(model="tiny", training_file=file_id).id
    until(lambda: server.jobs()[0].status.final)
    seen = [client.fine_tuning.jobs.retrieve(job_id) for _ in range(3)]
    assert [str(job.status) for job in seen] == ["contemplating", "contemplating", "succeeded"]
    assert [job.fine_tuned_model is None for job in seen] == [True, True, False]


@pytest.mark.parametrize(("value", "named"), [(2, [False, False, True]), (None, [False] * 3)])
def test_no_model_name(
    server: Server, client: OpenAI, file_id: str, value: float | None, named: list[bool]
) -> None:
    server.faults.add("no-model-name", value, times=1)
    job_id = client.fine_tuning.jobs.create(model="tiny", training_file=file_id).id
    until(lambda: server.jobs()[0].status.final)
    seen = [client.fine_tuning.jobs.retrieve(job_id) for _ in named]
    assert {job.status for job in seen} == {"succeeded"}
    assert [job.fine_tuned_model is not None for job in seen] == named
