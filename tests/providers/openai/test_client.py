"""What leaves this machine, and what comes of replies that are none."""

from __future__ import annotations

import socket
from typing import Any

import pytest

pytest.importorskip("openai")

import openai

from tests.loopback import Reply
from tests.providers.openai.made import KEY, training
from tests.providers.openai.scripted import Scripted, job, listed, scripted
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import State, trainer_of
from vtune_providers.openai.client import Service
from vtune_providers.openai.failures import Doing
from vtune_providers.openai.settings import checked

GET_JOB = "GET /v1/fine_tuning/jobs/ftjob-1"


async def got(server: Scripted, **connection: Any) -> Any:
    async with training(server, **connection) as trainer:
        return await trainer.get("ftjob-1")


async def test_only_our_headers_leave_for_a_host_that_is_not_the_vendors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai-secret")
    monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-secret")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Custom: secret\nAuthorization: Bearer secret")
    with scripted({GET_JOB: Reply(body=job())}) as server:
        await got(server, api_key=None)
        await got(server, headers={"X-Team": "blue"}, project="proj-1")
    first, second = server.seen
    assert "secret" not in str(first.headers)
    assert "authorization" not in first.headers
    assert "secret" not in str(second.headers)
    assert second.headers["authorization"] == f"Bearer {KEY}"
    assert (second.headers["x-team"], second.headers["openai-project"]) == ("blue", "proj-1")


async def test_azure_gets_its_key_header_and_api_version() -> None:
    with scripted({"GET /openai/v1/fine_tuning/jobs/ftjob-1": Reply(body=job())}) as server:
        await got(server, base_url=server.root, preset="azure", api_version="preview")
    (sent,) = server.seen
    assert sent.headers["api-key"] == KEY
    assert "authorization" not in sent.headers
    assert sent.query == {"api-version": "preview"}


async def test_redirects_are_not_followed() -> None:
    with scripted({"GET /v1/fine_tuning/jobs/ftjob-2": Reply(body=job())}) as server:
        to = {"location": f"{server.url}/fine_tuning/jobs/ftjob-2"}
        server.routes[GET_JOB] = Reply(307, headers=to)
        with pytest.raises(ProviderError, match="sends us elsewhere"):
            await got(server)
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        Reply(body=b"<html>welcome</html>", headers={"content-type": "text/html"}),
        Reply(body=b"{"),
        Reply(body=b"[1, 2]"),
        Reply(body={"object": "fine_tuning.job"}),
        Reply(body={"id": 7}),
        Reply(204),
        Reply(body=b'\xff\xfe{"id"'),
    ],
)
async def test_a_reply_that_is_no_job_is_no_usable_answer(reply: Reply) -> None:
    unusable = pytest.raises(NetworkError, match="not what an OpenAI-compatible service gives")
    with scripted({GET_JOB: reply}) as server, unusable:
        await got(server)
    assert len(server.seen) == 1


async def test_a_connection_never_made_has_done_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        trainer = trainer_of("openai", {"base_url": url, "api_key": KEY})
        with pytest.raises(NetworkError) as raised:
            await trainer.get("ftjob-1")
        await trainer.aclose()
    assert raised.value.acted is False


async def test_a_connection_cut_may_have_done_it() -> None:
    with (
        scripted({GET_JOB: Reply(hang_up=True)}) as server,
        pytest.raises(NetworkError) as raised,
    ):
        await got(server)
    assert raised.value.acted is True
    assert len(server.seen) == 1


async def test_no_answer_in_time_may_have_done_it() -> None:
    with scripted({}) as server:
        server.routes[GET_JOB] = lambda sent: server.stalled(Reply(body=job()))
        with pytest.raises(NetworkError) as raised:
            await got(server, timeout=0.2)
    assert raised.value.acted is True


@pytest.mark.parametrize("status", [429, 500, 503, 408, 409])
async def test_nothing_is_repeated(status: int) -> None:
    reply = Reply(status, {"error": {"message": "Later."}})
    with scripted({GET_JOB: reply}) as server, pytest.raises(NetworkError):
        await got(server)
    assert len(server.seen) == 1


async def test_it_goes_through_a_client_of_the_users_and_leaves_it_open() -> None:
    with scripted({GET_JOB: [Reply(500), Reply(body=job())]}) as server:
        with openai.OpenAI(base_url=server.url, api_key="sk-theirs") as client:
            with pytest.raises(NetworkError):
                await got(server, client=client, base_url=None, api_key=None)
            assert not client.is_closed()
            status = await got(server, client=client, base_url=None, api_key=None)
        async with openai.AsyncOpenAI(base_url=server.url, api_key="sk-theirs") as other:
            again = await got(server, client=other, base_url=None, api_key=None)
            assert not other.is_closed()
    assert status.state is again.state is State.RUNNING
    assert len(server.seen) == 3  # their client's own retries are off
    assert {sent.headers["authorization"] for sent in server.seen} == {"Bearer sk-theirs"}


def test_any_other_client_is_refused() -> None:
    with pytest.raises(InputError, match="not one of the openai SDK"):
        trainer_of("openai", {"client": object()})


async def test_after_closing_a_call_opens_it_anew() -> None:
    with scripted({GET_JOB: Reply(body=job())}) as server:
        trainer = trainer_of("openai", {"base_url": server.url})
        await trainer.get("ftjob-1")
        await trainer.aclose()
        await trainer.aclose()
        await trainer.get("ftjob-1")
        await trainer.aclose()


async def every_id(server: Scripted) -> list[str]:
    service = Service(checked({"base_url": server.url}))
    try:
        return [
            item["id"]
            async for page in service.pages(
                lambda sdk, which: sdk.fine_tuning.jobs.with_raw_response.list(**which),
                Doing("list its jobs"),
            )
            for item in page
        ]
    finally:
        await service.aclose()


async def test_all_pages_are_read() -> None:
    pages = [listed({"id": "a"}, {"id": "b"}, more=True), listed({"id": "c"}), listed({"id": "d"})]
    with scripted({"GET /v1/fine_tuning/jobs": pages}) as server:
        assert await every_id(server) == ["a", "b", "c"]
    assert [sent.query.get("after") for sent in server.seen] == [None, "b"]


@pytest.mark.parametrize(
    "reply",
    [
        listed({"id": "a"}, more=True),  # knows no `after`
        Reply(body={"data": [{"id": "a"}]}),  # says nothing of more
        Reply(body={"data": [{"id": "a"}, 7, None]}),
    ],
)
async def test_a_list_that_says_little_ends(reply: Reply) -> None:
    with scripted({"GET /v1/fine_tuning/jobs": reply}) as server:
        assert await every_id(server) == ["a"]
    assert len(server.seen) <= 2


@pytest.mark.parametrize("body", [{}, {"data": None}, {"data": {}}, {"data": []}])
async def test_an_empty_list_is_empty(body: Any) -> None:
    with scripted({"GET /v1/fine_tuning/jobs": Reply(body=body)}) as server:
        assert await every_id(server) == []
