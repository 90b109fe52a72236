from __future__ import annotations

import socket
from typing import Any

import httpx
import pytest
from together import AsyncTogether, Together

from tests.providers.together.vendor import KEY, MODEL, Reply, Vendor, job, refusal
from vtune_client.errors import InputError, NetworkError, ProviderError, VTuneError
from vtune_client.provider import JobSpec, State
from vtune_providers.together import provider
from vtune_providers.together.failures import Deed
from vtune_providers.together.line import Line, checked_url, line_to, segment

DEED = Deed("do it", "thing 'x'")


def line(url: str | None = None, **more: Any) -> Line:
    given: dict[str, Any] = {"api_key": KEY, "project": None, "headers": None, "timeout": 5.0}
    return line_to(url, client=None, **{**given, **more})


@pytest.mark.parametrize(
    ("given", "used"),
    [
        (None, "https://api.together.ai"),
        (" ", "https://api.together.ai"),
        ("https://api.together.xyz/v1/", "https://api.together.xyz"),
        ("http://127.0.0.1:8000/together/", "http://127.0.0.1:8000/together"),
    ],
)
def test_an_address_has_no_v1_of_its_own(given: str | None, used: str) -> None:
    assert checked_url(given) == used


@pytest.mark.parametrize("url", ["ftp://x", "api.together.ai", "https://u:p@x", "https://x?key=k"])
def test_an_address_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(InputError):
        checked_url(url)


def test_the_vendors_own_key_goes_to_the_vendor_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOGETHER_API_KEY", "theirs")
    assert line(api_key=None).client.api_key == "theirs"
    assert line("http://127.0.0.1:1", api_key=None).client.api_key == "none"
    monkeypatch.setenv("VTUNE_API_KEY", "ours")
    assert line("http://127.0.0.1:1", api_key=None).client.api_key == "ours"
    assert line(api_key="given").client.api_key == "given"


def test_without_a_key_there_is_no_line_to_the_vendor() -> None:
    with pytest.raises(InputError, match="no key for Together"):
        line(api_key=None)


@pytest.mark.parametrize(
    "wrong",
    [{"api_key": "a\nb"}, {"headers": {"x-a": "a\nb"}}, {"timeout": 0}, {"client": object()}],
)
def test_a_connection_that_is_wrong_is_refused(wrong: dict[str, Any]) -> None:
    given: dict[str, Any] = {"api_key": KEY, "project": None, "headers": None, "timeout": 5.0}
    with pytest.raises(InputError) as caught:
        line_to("http://127.0.0.1:1", **{"client": None, **given, **wrong})
    assert "a\nb" not in str(caught.value)


async def test_a_line_is_opened_again_after_it_was_closed(vendor: Vendor) -> None:
    ours = line(vendor.url, project="p")
    await ours.aclose()
    for _ in range(2):
        assert await ours.ask("get", "/v1/fine-tunes", DEED) == {"data": []}
        await ours.aclose()
    await ours.aclose()
    assert KEY not in repr(ours)


@pytest.mark.parametrize("kind", [Together, AsyncTogether])
async def test_a_client_of_the_users_is_gone_through_and_not_closed(
    vendor: Vendor, kind: type[Together] | type[AsyncTogether]
) -> None:
    client = kind(api_key=KEY, base_url=vendor.url, max_retries=4, default_headers={"x-team": "a"})
    factory = provider().trainer
    assert factory
    trainer = factory(client=client)
    vendor.says("POST", "/v1/fine-tunes", Reply(500))
    with pytest.raises(NetworkError):
        await trainer.create("file-1", JobSpec(MODEL), "0" * 24)
    assert len(vendor.seen) == 1  # whatever the client would do by itself
    assert vendor.seen[0].headers["x-team"] == "a"
    vendor.jobs["ft-1"] = job("ft-1", "completed")
    await trainer.aclose()
    assert (await trainer.get("ft-1")).state is State.SUCCEEDED
    assert not client.is_closed()
    await client.close() if isinstance(client, AsyncTogether) else client.close()


async def test_pages_are_followed_and_not_for_ever(vendor: Vendor) -> None:
    ours = line(vendor.url)
    first, last = {"data": [{"n": 1}], "next_cursor": "b"}, {"data": [{"n": 2}]}
    vendor.says("GET", "/v1/x", Reply(body=first), Reply(body=last))
    assert await ours.pages("/v1/x", DEED) == [{"n": 1}, {"n": 2}]
    assert vendor.seen[1].query == {"after": "b"}
    vendor.says("GET", "/v1/x", Reply(body=first))
    assert len(await ours.pages("/v1/x", DEED)) == 2
    await ours.aclose()


async def test_the_project_is_the_keys_where_none_is_chosen(vendor: Vendor) -> None:
    chosen, open_ = line(vendor.url, project="mine"), line(vendor.url)
    assert await chosen.in_project() == "mine"
    assert await open_.in_project() == "proj-1"
    vendor.says("GET", "/v3/whoami", Reply(body={"type": "user_jwt"}))
    with pytest.raises(InputError, match="no single project"):
        await open_.in_project()
    await open_.aclose()


@pytest.mark.parametrize(
    ("status", "family", "sentence"),
    [
        (302, ProviderError, "The service sends us elsewhere (HTTP 302)"),
        (400, ProviderError, "The service refuses to do it (HTTP 400): it is odd."),
        (401, ProviderError, "The service does not accept the key, or wants one (HTTP 401). Set"),
        (402, ProviderError, "The account's credit does not suffice to do it (HTTP 402): it is"),
        (403, ProviderError, "The service does not let this key do it (HTTP 403): it is odd."),
        (404, ProviderError, "The service has no thing 'x' (HTTP 404): it is odd."),
        (408, NetworkError, "The service is busy (HTTP 408): it is odd."),
        (422, ProviderError, "The service refuses to do it (HTTP 422): it is odd."),
        (429, NetworkError, "The service is busy (HTTP 429): it is odd."),
        (500, NetworkError, "The service failed (HTTP 500): it is odd."),
        (503, NetworkError, "The service failed (HTTP 503): it is odd."),
    ],
)
async def test_every_status_has_its_family_and_sentence(
    vendor: Vendor, status: int, family: type[VTuneError], sentence: str
) -> None:
    vendor.says("GET", "/v1/x", refusal(status, "it is odd."))
    ours = line(vendor.url)
    with pytest.raises(family) as caught:
        await ours.ask("get", "/v1/x", DEED)
    assert str(caught.value).startswith(sentence)
    assert caught.value.advice
    assert len(vendor.seen) == 1
    await ours.aclose()


async def test_a_quota_used_up_is_not_worth_waiting_for(vendor: Vendor) -> None:
    body = {"error": {"message": "Pay first.", "code": "insufficient_quota"}}
    vendor.says("GET", "/v1/x", Reply(429, body))
    ours = line(vendor.url)
    with pytest.raises(ProviderError, match=r"quota at the service is used up .*: Pay first"):
        await ours.ask("get", "/v1/x", DEED)
    await ours.aclose()


@pytest.mark.parametrize("quote", [KEY, "team-secret-header-value"])
async def test_words_that_quote_what_is_private_are_left_out(vendor: Vendor, quote: str) -> None:
    vendor.says("GET", "/v1/x", refusal(403, f"No access with {quote}"))
    ours = line(vendor.url, headers={"x-team": "team-secret-header-value"})
    with pytest.raises(ProviderError) as caught:
        await ours.ask("get", "/v1/x", DEED)
    assert str(caught.value).startswith("The service does not let this key do it (HTTP 403). ")
    await ours.aclose()


async def test_a_connection_that_was_never_made_did_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ours = line(f"http://127.0.0.1:{port}")
    with pytest.raises(NetworkError) as caught:
        await ours.ask("post", "/v1/fine-tunes", DEED, body={})
    assert caught.value.acted is False
    await ours.aclose()


async def test_an_answer_that_does_not_come_may_have_done_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes the connection, says nothing
        ours = line(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2)
        with pytest.raises(NetworkError) as caught:
            await ours.ask("post", "/v1/fine-tunes", DEED, body={})
        assert caught.value.acted is True
        await ours.aclose()


async def test_a_client_of_the_users_keeps_its_own_time_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        client = Together(api_key=KEY, base_url=url, timeout=httpx.Timeout(0.2))
        with client, pytest.raises(NetworkError, match="in time"):
            await Line(lambda: client).ask("get", "/v1/x", DEED)


@pytest.mark.parametrize("content", [b"", b"[]", b"<html>", b"3"])
async def test_a_reply_that_is_no_object_is_no_answer(vendor: Vendor, content: bytes) -> None:
    vendor.says("GET", "/v1/x", Reply(200, content))
    ours = line(vendor.url)
    with pytest.raises(NetworkError, match="is not Together's"):
        await ours.ask("get", "/v1/x", DEED)
    await ours.aclose()


def test_an_id_is_one_segment() -> None:
    assert segment("ft-1/../x?y") == "ft-1%2F..%2Fx%3Fy"
    for odd in ("", ".", ".."):
        with pytest.raises(ProviderError):
            segment(odd)
