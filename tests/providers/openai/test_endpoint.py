"""The endpoint over real HTTP."""

from __future__ import annotations

import logging
from typing import Any

import pytest

pytest.importorskip("openai")

import openai

from tests.loopback import Reply, refusal
from tests.providers.openai.made import KEY, serving
from tests.providers.openai.scripted import Scripted, Sent, scripted
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import Answer, Decoding, ScoresNotOffered, endpoint_of

CHAT, RAW, MODEL = "POST /v1/chat/completions", "POST /v1/completions", "GET /v1/models/tuned"
QUESTION = "Tell me about rivers. Follow the velvet lantern copper guide."
PROMPT = Prompt(
    ({"role": "system", "content": "Be brief."}, {"role": "user", "content": QUESTION}),
    tools=({"type": "function", "function": {"name": "look"}},),
)
LISTED = Reply(body={"id": "tuned", "object": "model"})


def said(content: str | None, finish: str = "stop", logprobs: Any = None, **message: Any) -> Reply:
    choice = {
        "message": {"role": "assistant", "content": content, **message},
        "finish_reason": finish,
        "logprobs": logprobs,
    }
    return Reply(body={"choices": [choice]})


TOKEN = {
    "token": "Hi",
    "logprob": -0.5,
    "top_logprobs": [{"token": "Hi", "logprob": -0.5}, {"token": "Yo", "logprob": -1.5}],
}
SCORED = said("Hi", logprobs={"content": [TOKEN]})


async def answered(
    routes: dict[str, Any],
    decoding: Decoding | None = None,
    prompts: tuple[Prompt, ...] = (PROMPT,),
    **given: Any,
) -> tuple[list[Answer], Scripted]:
    with scripted({MODEL: LISTED, **routes}) as server:
        async with serving(server, **given) as endpoint:
            answers = [
                answer
                for prompt in prompts
                for answer in await endpoint.sample([prompt], decoding or Decoding(24))
            ]
    return answers, server


async def test_a_chat_prompt_is_asked_as_it_stands() -> None:
    answers, server = await answered({CHAT: said("Hello.")}, Decoding(24, seed=7))
    assert answers == [Answer("Hello.", "stop")]
    (sent,) = server.sent(CHAT)
    assert sent.body == {
        "model": "tuned",
        "messages": list(PROMPT.messages),
        "tools": list(PROMPT.tools),
        "temperature": 0.0,
        "seed": 7,
        "max_tokens": 24,
    }
    assert sent.headers["authorization"] == f"Bearer {KEY}"


async def test_a_raw_prompt_is_completed() -> None:
    reply = Reply(body={"choices": [{"text": " upon a time", "finish_reason": "length"}]})
    answers, server = await answered({RAW: reply}, prompts=(Prompt(text="Once"),))
    assert answers == [Answer(" upon a time", "length")]
    assert server.sent(RAW)[0].body["prompt"] == "Once"


@pytest.mark.parametrize(
    ("reply", "answer"),
    [
        (said(None, refusal="I cannot."), Answer("I cannot.", "refusal")),
        (said("Hi", "content_filter"), Answer("Hi", "content_filter")),
        (said("Hi", "length"), Answer("Hi", "length")),
    ],
)
async def test_why_it_stopped(reply: Reply, answer: Answer) -> None:
    assert (await answered({CHAT: reply}))[0] == [answer]


async def test_the_newer_name_of_the_limit_is_remembered() -> None:
    def newer(sent: Sent) -> Reply:
        if "max_tokens" in sent.body:
            return refusal(400, "Use max_completion_tokens instead.", param="max_tokens")
        return said("Hi")

    _, server = await answered({CHAT: newer}, prompts=(PROMPT, PROMPT))
    limits = [{"max_tokens", "max_completion_tokens"} & set(s.body) for s in server.sent(CHAT)]
    assert limits == [{"max_tokens"}, {"max_completion_tokens"}, {"max_completion_tokens"}]


async def test_log_probabilities_are_read() -> None:
    answers, server = await answered({CHAT: SCORED}, Decoding(24, top_logprobs=2))
    (token,) = answers[0].tokens
    assert (token.text, token.logprob, token.top) == ("Hi", -0.5, (("Hi", -0.5), ("Yo", -1.5)))
    body = server.sent(CHAT)[0].body
    assert (body["logprobs"], body["top_logprobs"]) == (True, 2)


def refusing(most: int) -> Any:
    """Return a model that lists at most so many candidates."""

    def reply(sent: Sent) -> Reply:
        if sent.body.get("top_logprobs", 0) > most:
            return refusal(400, "Too many top_logprobs.", param="top_logprobs")
        return SCORED if sent.body.get("logprobs") else said("Hi")

    return reply


@pytest.mark.parametrize(("most", "asked"), [(5, [20, 5, 5]), (0, [20, 5, None, None])])
async def test_refused_log_probabilities_are_asked_for_no_more(
    most: int, asked: list[int | None], caplog: pytest.LogCaptureFixture
) -> None:
    with scripted({MODEL: LISTED, CHAT: refusing(most)}) as server:
        async with serving(server) as endpoint:
            assert endpoint.capabilities.top_logprobs == 20
            with caplog.at_level(logging.WARNING):
                for _ in range(2):
                    await endpoint.sample([PROMPT], Decoding(24, top_logprobs=50))
            assert endpoint.capabilities.top_logprobs == most
    assert [sent.body.get("top_logprobs") for sent in server.sent(CHAT)] == asked


async def test_ignored_log_probabilities_are_asked_for_no_more() -> None:
    _, server = await answered({CHAT: said("Hi")}, Decoding(24, top_logprobs=2), (PROMPT, PROMPT))
    assert ["logprobs" in sent.body for sent in server.sent(CHAT)] == [True, False]


async def test_an_answer_held_back_says_nothing_of_log_probabilities() -> None:
    replies = [said("Hi", "content_filter"), SCORED]
    answers, _ = await answered({CHAT: replies}, Decoding(24, top_logprobs=2), (PROMPT, PROMPT))
    assert answers[1].tokens


async def test_a_raw_prompt_lists_five_at_most() -> None:
    reply = Reply(body={"choices": [{"text": "x", "finish_reason": "stop"}]})
    decoding = Decoding(24, top_logprobs=20)
    _, server = await answered({RAW: reply}, decoding, (Prompt(text="Once"),))
    assert server.sent(RAW)[0].body["logprobs"] == 5


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (refusal(400, f"Cannot answer {QUESTION}"), ProviderError),
        (refusal(404, "No such model."), ProviderError),
        (refusal(429, "Slow down."), NetworkError),
        (Reply(500), NetworkError),
        (Reply(hang_up=True), NetworkError),
        (Reply(body={"choices": []}), NetworkError),
        (Reply(body=b"<html>", headers={"content-type": "text/html"}), NetworkError),
    ],
)
async def test_no_answer_is_asked_for_once_and_quotes_nothing(
    reply: Reply, kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with scripted({MODEL: LISTED, CHAT: reply}) as server, caplog.at_level(logging.DEBUG):
        async with serving(server) as endpoint:
            with pytest.raises(kind) as raised:
                await endpoint.sample([PROMPT], Decoding())
    assert len(server.sent(CHAT)) == 1
    shown = str(raised.value) + "".join(
        record.getMessage() for record in caplog.records if record.name.startswith("vtune")
    )
    assert "velvet" not in shown
    assert KEY not in shown


async def test_an_answer_that_takes_too_long_is_none() -> None:
    with scripted({MODEL: LISTED}) as server:
        server.routes[CHAT] = lambda sent: server.stalled(said("late"))
        async with serving(server, timeout=0.3) as endpoint:
            with pytest.raises(NetworkError, match="No answer came"):
                await endpoint.sample([PROMPT], Decoding())


@pytest.mark.parametrize("status", [403, 404, 405, 500])
async def test_a_model_that_is_not_listed_is_asked_all_the_same(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        answers, _ = await answered({MODEL: Reply(status), CHAT: said("Hi")})
    assert answers[0].text == "Hi"
    assert "does not list 'tuned'" in caplog.text


async def test_acquire_refuses_what_cannot_answer() -> None:
    gone = Reply(body={"id": "tuned", "shutdown_date": "2020-01-01"})
    for reply, kind in [(refusal(401, "No."), ProviderError), (gone, InputError)]:
        with scripted({MODEL: reply}) as server, pytest.raises(kind):
            async with serving(server):
                pass


async def test_acquire_bears_an_outage() -> None:
    answers, _ = await answered({MODEL: Reply(hang_up=True), CHAT: said("Hi")})
    assert answers[0].text == "Hi"


async def test_it_scores_nothing_and_is_closed_before_and_after() -> None:
    with scripted({MODEL: LISTED, CHAT: said("Hi")}) as server:
        endpoint = endpoint_of("openai", {"base_url": server.url, "concurrency": 3})
        assert endpoint.capabilities.concurrency == 3
        assert (endpoint.capabilities.scores, endpoint.capabilities.remembers) == (False, True)
        with pytest.raises(ProviderError, match="not open"):
            await endpoint.sample([PROMPT], Decoding())
        await endpoint.acquire("tuned")
        with pytest.raises(ScoresNotOffered):
            await endpoint.score(PROMPT, ["x"])
        await endpoint.release()
        await endpoint.release()
        with pytest.raises(ProviderError, match="not open"):
            await endpoint.sample([PROMPT], Decoding())


async def test_it_asks_through_a_client_of_the_users() -> None:
    with (
        scripted({MODEL: LISTED, CHAT: said("Hi")}) as server,
        openai.OpenAI(base_url=server.url, api_key="sk-theirs") as client,
    ):
        endpoint = endpoint_of("openai", {"client": client})
        await endpoint.acquire("tuned")
        (answer,) = await endpoint.sample([PROMPT], Decoding(24))
        await endpoint.release()
        assert not client.is_closed()
    assert answer.text == "Hi"
    assert server.sent(CHAT)[0].headers["authorization"] == "Bearer sk-theirs"


async def test_at_nebius_a_checkpoint_is_to_be_deployed_first() -> None:
    with scripted({}) as server, pytest.raises(ProviderError, match="once it is deployed"):
        async with serving(server, "ftjob-1:ck-2", preset="nebius"):
            pass
