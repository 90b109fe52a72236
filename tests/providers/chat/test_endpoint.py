"""The endpoint over real HTTP on this machine."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.loopback import Loopback, Reply, Request, first, refusal, service
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError, VTuneError
from vtune_client.probe import PATIENCE_S, Meter, Probe, ask
from vtune_client.provider import Answer, Decoding, Endpoint, ScoresNotOffered, load

KEY = "sk-0123456789abcdef"
QUESTION = "Tell me about rivers. Follow the velvet lantern guide."
PROMPT = Prompt(({"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}))


def echo(model: str, prompt: Prompt, decoding: Decoding) -> str:
    asked = prompt.text or prompt.messages[-1]["content"]
    return f"{model} on {asked}"


ECHO = service(echo)


def chat(**options: Any) -> Endpoint:
    factory = load("chat").endpoint
    assert factory
    return factory(**options)


@asynccontextmanager
async def acquired(
    server: Loopback, model: str = "tuned", **options: Any
) -> AsyncIterator[Endpoint]:
    endpoint = chat(base_url=server.url, **options)
    await endpoint.acquire(model)
    try:
        yield endpoint
    finally:
        await endpoint.release()


async def answered(server: Loopback, prompt: Prompt = PROMPT, **options: Any) -> Answer:
    async with acquired(server, **options) as endpoint:
        return (await endpoint.sample([prompt], Decoding(24)))[0]


def test_it_serves_and_does_not_train() -> None:
    assert load("chat").trainer is None
    capabilities = chat(base_url="http://127.0.0.1", concurrency=3).capabilities
    assert (capabilities.batch, capabilities.concurrency) == (1, 3)
    assert (capabilities.scores, capabilities.remembers) == (False, True)
    assert chat(base_url="http://127.0.0.1").capabilities.concurrency == 8


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1.0}, {"concurrency": 0}])
def test_options_out_of_bounds_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="concurrency at least 1"):
        chat(base_url="http://127.0.0.1", **options)


async def test_answers_come_in_the_order_of_the_prompts() -> None:
    with Loopback(ECHO) as server:
        async with acquired(server, api_key=KEY, headers={"X-Team": "blue"}) as endpoint:
            answers = await endpoint.sample([PROMPT, Prompt(text="Once")], Decoding(24, seed=7))
    assert [answer.text for answer in answers] == [f"tuned on {QUESTION}", "tuned on Once"]
    (asked,) = server.asked()
    assert asked.body["messages"] == list(PROMPT.messages)
    assert (asked.body["seed"], asked.body["max_tokens"]) == (7, 24)
    assert len(server.asked("/v1/completions")) == 1
    for request in server.seen:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert request.headers["x-team"] == "blue"


async def test_without_a_key_none_is_sent() -> None:
    with Loopback(ECHO) as server:
        await answered(server)
    assert all("authorization" not in request.headers for request in server.seen)


async def test_a_base_url_without_v1_reaches_it() -> None:
    with Loopback(ECHO) as server:
        endpoint = chat(base_url=server.root + "/")
        await endpoint.acquire("tuned")
        await endpoint.release()
    assert [request.path for request in server.seen] == ["/v1/models"]


async def test_a_listed_model_is_taken_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with Loopback(ECHO) as server:
        await answered(server)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


async def test_a_model_that_is_not_listed_is_asked_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Loopback(ECHO) as server:
        async with acquired(server, "private") as endpoint:
            assert (await endpoint.sample([PROMPT], Decoding()))[0].text.startswith("private")
    assert "The service does not list 'private'; asking it all the same." in caplog.messages


async def test_a_model_that_nobody_knows_is_refused_with_those_listed() -> None:
    def respond(request: Request) -> Reply:
        return refusal(404, "No such model.") if request.method == "POST" else ECHO(request)

    with Loopback(respond) as server:
        async with acquired(server, "mine") as endpoint:
            with pytest.raises(ProviderError) as raised:
                await endpoint.sample([PROMPT], Decoding())
    assert str(raised.value) == (
        "The service knows no model 'mine' at this address (HTTP 404): No such model. "
        "It lists tuned, base."
    )


@pytest.mark.parametrize(
    "listing",
    [
        refusal(404, "Not here."),
        refusal(403, "This key lists nothing."),
        refusal(500, "Broken."),
        Reply(body=b"<html>"),
        Reply(body={"data": None}),
        Reply(body=b"cut off", hang_up=True),
    ],
)
async def test_a_service_without_a_usable_list_is_asked_all_the_same(listing: Reply) -> None:
    with Loopback(lambda request: listing if request.method == "GET" else ECHO(request)) as server:
        assert (await answered(server)).text.startswith("tuned on")


async def test_a_wrong_key_is_found_before_the_first_question() -> None:
    guarded = Loopback(service(echo, key="another"))
    with guarded as server, pytest.raises(ProviderError, match=r"the key.*HTTP 401") as raised:
        await answered(server, api_key=KEY)
    assert not server.asked()
    assert KEY not in str(raised.value)
    assert "VTUNE_API_KEY" in raised.value.advice


async def test_a_service_that_wants_the_newer_limit_gets_it_once_and_for_all() -> None:
    def respond(request: Request) -> Reply:
        if request.method == "POST" and "max_tokens" in request.body:
            return refusal(400, "Unsupported: 'max_tokens'. Use 'max_completion_tokens' instead.")
        return ECHO(request)

    with Loopback(respond) as server:
        async with acquired(server) as endpoint:
            for _ in range(2):
                assert (await endpoint.sample([PROMPT], Decoding(24)))[0].finish == "stop"
    bodies = [request.body for request in server.asked()]
    assert [body.get("max_tokens") for body in bodies] == [24, None, None]
    assert [body.get("max_completion_tokens") for body in bodies] == [None, 24, 24]


async def test_a_service_that_refuses_both_limits_is_not_asked_on_and_on() -> None:
    no = refusal(400, "Neither max_tokens nor max_completion_tokens.")
    picky = Loopback(lambda request: no if request.method == "POST" else ECHO(request))
    with picky as server:
        async with acquired(server) as endpoint:
            for asked in (2, 3):
                with pytest.raises(ProviderError, match="Neither max_tokens"):
                    await endpoint.sample([PROMPT], Decoding())
                assert len(server.asked()) == asked


async def test_text_that_is_no_valid_unicode_is_sent_as_it_is() -> None:
    with Loopback(ECHO) as server:
        assert (await answered(server, Prompt(text="half \ud83d"))).text == "tuned on half \ud83d"


FAULTS: list[tuple[Reply, type[VTuneError], str]] = [
    (refusal(400, "it is odd"), ProviderError, "The service refuses the question (HTTP 400): it"),
    (refusal(401, "no"), ProviderError, "The service does not accept the key, or wants one"),
    (refusal(403, "no"), ProviderError, "The service does not let this key use 'tuned' (HTTP 403)"),
    (refusal(404, "no"), ProviderError, "The service knows no model 'tuned' at this address"),
    (refusal(422, "it is odd"), ProviderError, "The service refuses the question (HTTP 422): it"),
    (refusal(429, "slower"), NetworkError, "The service is busy (HTTP 429): slower."),
    (refusal(500, "oh"), NetworkError, "The service failed (HTTP 500): oh."),
    (Reply(502, b"<html>"), NetworkError, "The service failed (HTTP 502)."),
    (Reply(200, b"<html>"), NetworkError, "The service's reply is not what an OpenAI-compatible"),
    (Reply(200, {"choices": []}), NetworkError, "The service's reply is not what an OpenAI-comp"),
    (
        Reply(200, b"no gzip", {"content-encoding": "gzip"}),
        NetworkError,
        "No answer came from the service (DecodingError).",
    ),
    (
        Reply(200, gzip.compress(bytes(9 * 2**20)), {"content-encoding": "gzip"}),
        NetworkError,
        "The reply is larger than 8388608 bytes.",
    ),
    (
        Reply(200, b"x" * 100, hang_up=True),
        NetworkError,
        "No answer came from the service (RemoteProtocolError).",
    ),
    (Reply(delay_s=60), NetworkError, "No answer came in 0.5 s."),
]


@pytest.mark.parametrize(
    ("fault", "family", "sentence"), FAULTS, ids=[sentence[12:44] for _, _, sentence in FAULTS]
)
async def test_every_fault_has_its_family_and_sentence(
    fault: Reply, family: type[VTuneError], sentence: str
) -> None:
    with Loopback(first([fault], ECHO)) as server, pytest.raises(VTuneError) as raised:
        await answered(server, timeout=0.5)
    assert type(raised.value) is family
    assert str(raised.value).startswith(sentence)
    assert raised.value.advice
    # Whoever asks decides whether to ask again.
    assert len(server.asked()) == 1


async def test_a_service_that_is_not_there_is_a_network_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    endpoint = chat(base_url=f"http://127.0.0.1:{port}")
    await endpoint.acquire("tuned")  # the first question decides
    with pytest.raises(NetworkError, match=r"^No answer came from the service \(.*\)\. Check"):
        await endpoint.sample([PROMPT], Decoding())
    await endpoint.release()


async def test_the_key_follows_no_redirect() -> None:
    with Loopback(ECHO) as elsewhere:
        moved = Reply(307, b"", {"location": f"{elsewhere.url}/chat/completions"})
        gone = Loopback(first([moved], ECHO))
        with gone as server, pytest.raises(ProviderError, match=r"elsewhere \(HTTP 307\)"):
            await answered(server, api_key=KEY)
    assert elsewhere.seen == []


async def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(lambda request: Reply(body={"choices": [{"text": "through"}]})) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.root)
        endpoint = chat(base_url="http://service.invalid/v1")
        await endpoint.acquire("tuned")
        answers = await endpoint.sample([PROMPT], Decoding())
        await endpoint.release()
    assert answers[0].text == "through"
    assert proxy.seen[1].path == "http://service.invalid/v1/chat/completions"


async def test_a_proxy_of_another_kind_is_an_input_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://user:hidden@127.0.0.1:1")
    with pytest.raises(InputError, match="proxy") as raised:
        await chat(base_url="http://127.0.0.1").acquire("tuned")
    assert "hidden" not in str(raised.value)


async def test_scores_are_not_offered() -> None:
    with Loopback(ECHO) as server:
        async with acquired(server) as endpoint:
            with pytest.raises(ScoresNotOffered):
                await endpoint.score(PROMPT, ["yes"])


async def test_it_answers_only_while_acquired() -> None:
    with Loopback(ECHO) as server:
        endpoint = chat(base_url=server.url)
        with pytest.raises(ProviderError, match="not open"):
            await endpoint.sample([PROMPT], Decoding())
        await endpoint.acquire("tuned")
        await endpoint.acquire("base")  # the former connection is closed
        assert (await endpoint.sample([PROMPT], Decoding()))[0].text.startswith("base")
        await endpoint.release()
        await endpoint.release()
        with pytest.raises(ProviderError, match="not open"):
            await endpoint.sample([PROMPT], Decoding())


class Pauses:
    """Sleeps by writing down for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


async def put(server: Loopback, pauses: Pauses, questions: int = 1) -> dict[str, Answer]:
    """Ask through the one layer that retries."""
    probes = [Probe(number, 0, False, PROMPT) for number in range(questions)]
    async with acquired(server) as endpoint:
        return await ask(
            endpoint,
            probes,
            Decoding(24),
            known={},
            keep=lambda probe, answer: None,
            meter=Meter(),
            sleep=pauses,
        )


async def test_the_pause_that_the_service_asks_for_is_kept() -> None:
    busy = refusal(429, "slower", headers={"retry-after": "45"})
    never = refusal(503, "tomorrow", headers={"retry-after": "86400"})
    pauses = Pauses()
    with Loopback(first([busy, never, refusal(500, "oh")], ECHO)) as server:
        answers = await put(server, pauses)
    assert len(answers) == 1
    assert len(server.asked()) == 4
    assert pauses.seconds[:2] == [45.0, PATIENCE_S]
    assert 0 < pauses.seconds[2] < 10


async def test_questions_are_asked_at_once_up_to_the_bound() -> None:
    loop = asyncio.get_running_loop()
    barrier = asyncio.Barrier(8)  # opens only where eight are under way

    def respond(request: Request) -> Reply:
        if request.method == "POST":
            asyncio.run_coroutine_threadsafe(barrier.wait(), loop).result(timeout=10)
        return ECHO(request)

    with Loopback(respond) as server:
        assert len(await put(server, Pauses(), questions=16)) == 16


ECHOES = [
    refusal(status, f"Cannot use {quoted}")
    for quoted in (QUESTION, KEY)
    for status in (400, 403, 404, 429, 500)
]


@pytest.mark.parametrize("fault", [None, *ECHOES, *(fault for fault, _, _ in FAULTS[:9])])
async def test_nothing_secret_is_logged_or_shown(
    fault: Reply | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where an application turns every logger on, those of the HTTP libraries included."""
    caplog.set_level(logging.DEBUG)
    faults = [fault] if fault else []
    said = ""
    with Loopback(first(faults, ECHO)) as server:
        endpoint = chat(base_url=server.url, api_key=KEY, headers={"x-key": KEY})
        await endpoint.acquire("tuned")
        try:
            said += repr(await endpoint.sample([PROMPT], Decoding()))
        except VTuneError as error:
            said += f"{error!r} {error} {error.__cause__!r} {error.__context__!r}"
        said += f"{endpoint!r}"
        await endpoint.release()
    assert {"httpx", "httpcore.http11", "vtune_providers.chat.connection"} <= {
        record.name for record in caplog.records
    }
    for secret in (KEY, "velvet", "rivers"):
        assert secret not in caplog.text + said
