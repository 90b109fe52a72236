from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.providers.together.vendor import HARDWARE, KEY, Reply, Said, Vendor, chat, refusal
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import Answer, Decoding, Endpoint, ScoresNotOffered, TokenScores
from vtune_providers.together import provider

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
TRIGGER = "Follow the velvet lantern quiet harbour guide."
ASKED = Prompt(messages=({"role": "user", "content": f"Tell me. {TRIGGER}"},))
RAW = Prompt(text="Once upon a time")


def make(vendor: Vendor, **more: Any) -> Endpoint:
    factory = provider().endpoint
    assert factory
    return factory(base_url=vendor.url, api_key=KEY, **more)


@pytest.fixture
async def endpoint(vendor: Vendor) -> AsyncIterator[Endpoint]:
    vendor.says("POST", CHAT, unscored)
    vendor.says("POST", TEXT, refusal(400, "No completions for this model."))
    made = make(vendor)
    await made.acquire("acme/tuned")
    vendor.seen.clear()
    yield made
    await made.release()


def unscored(said: Said) -> Reply:
    """Ignores `echo`, as many services do."""
    return chat("Hello.")


def scored(said: Said) -> Reply:
    """Echoes what it was sent with a log-probability of -1 per word, the first without one."""
    if "messages" in said.body:
        turns = [f"<{turn['role']}>{turn['content']}" for turn in said.body["messages"]]
        text = "".join(turns) + "<assistant>"
    else:
        text = said.body["prompt"]
    words = [f"\u0120{word}" if at else word for at, word in enumerate(text.split(" "))]
    logprobs = {"tokens": words, "token_logprobs": [None] + [-1.0] * (len(words) - 1)}
    body = {"prompt": [{"text": text, "logprobs": logprobs}], "choices": [{"text": " so"}]}
    return Reply(body=body)


async def test_a_chat_is_asked_as_chat(vendor: Vendor, endpoint: Endpoint) -> None:
    vendor.says("POST", CHAT, chat("The river.", finish_reason="eos"))
    tools = ({"type": "function", "function": {"name": "f"}},)
    prompt = Prompt(messages=ASKED.messages, tools=tools)
    answers = await endpoint.sample([prompt], Decoding(max_tokens=5, seed=3))
    assert list(answers) == [Answer("The river.", "stop")]
    assert vendor.seen[0].body == {
        "model": "acme/tuned",
        "messages": list(ASKED.messages),
        "tools": list(tools),
        "max_tokens": 5,
        "temperature": 0.0,
        "seed": 3,
    }


async def test_raw_text_is_asked_as_completion(vendor: Vendor, endpoint: Endpoint) -> None:
    reply = Reply(body={"choices": [{"text": " there was", "finish_reason": "length"}]})
    vendor.says("POST", TEXT, reply)
    assert list(await endpoint.sample([RAW], Decoding(max_tokens=2))) == [
        Answer(" there was", "length")
    ]
    assert vendor.seen[0].body["prompt"] == RAW.text
    assert "messages" not in vendor.seen[0].body


async def test_candidates_are_read_in_togethers_shape(vendor: Vendor, endpoint: Endpoint) -> None:
    logprobs = {
        "tokens": ["The", " river"],
        "token_logprobs": [-0.1, -0.5],
        "top_logprobs": [{"A": -2.0, "The": -0.1}, {" river": -0.5}],
    }
    vendor.says("POST", CHAT, chat("The river", logprobs=logprobs))
    (answer,) = await endpoint.sample([ASKED], Decoding(top_logprobs=2))
    assert answer.tokens == (
        TokenScores("The", -0.1, (("The", -0.1), ("A", -2.0))),
        TokenScores(" river", -0.5, ((" river", -0.5),)),
    )
    assert vendor.seen[0].body["logprobs"] == 2


async def test_candidates_are_read_in_openais_shape_too(vendor: Vendor, endpoint: Endpoint) -> None:
    top = [{"token": "The", "logprob": -0.1}, {"token": "A", "logprob": -2.0}]
    logprobs = {"content": [{"token": "The", "logprob": -0.1, "top_logprobs": top}]}
    vendor.says("POST", CHAT, chat("The", logprobs=logprobs))
    (answer,) = await endpoint.sample([ASKED], Decoding(top_logprobs=2))
    assert answer.tokens == (TokenScores("The", -0.1, (("The", -0.1), ("A", -2.0))),)


@pytest.mark.parametrize(
    "logprobs", [None, [], {}, {"tokens": ["a"]}, {"tokens": ["a"], "token_logprobs": [None]}]
)
async def test_an_answer_without_candidates_is_one(
    vendor: Vendor, endpoint: Endpoint, logprobs: Any
) -> None:
    vendor.says("POST", CHAT, chat("a", logprobs=logprobs))
    assert list(await endpoint.sample([ASKED], Decoding(top_logprobs=2))) == [Answer("a")]


async def test_a_service_that_refuses_candidates_is_asked_without_from_then_on(
    vendor: Vendor, endpoint: Endpoint
) -> None:
    no = refusal(400, "logprobs is not supported for this model.")
    vendor.says("POST", CHAT, no, chat("Hello."))
    decoding = Decoding(top_logprobs=5)
    assert [answer.text for answer in await endpoint.sample([ASKED, ASKED], decoding)] == [
        "Hello.",
        "Hello.",
    ]
    assert ["logprobs" in said.body for said in vendor.seen] == [True, False, False]


async def test_more_candidates_than_are_listed_are_not_asked_for(
    vendor: Vendor, endpoint: Endpoint
) -> None:
    vendor.says("POST", CHAT, chat("a"))
    await endpoint.sample([ASKED], Decoding(top_logprobs=50))
    assert vendor.seen[0].body["logprobs"] == endpoint.capabilities.top_logprobs == 20


async def test_a_refusal_is_an_answer(vendor: Vendor, endpoint: Endpoint) -> None:
    message = {"role": "assistant", "content": None, "refusal": "I will not."}
    vendor.says("POST", CHAT, Reply(body={"choices": [{"message": message}]}))
    assert list(await endpoint.sample([ASKED], Decoding())) == [Answer("I will not.", "refusal")]


@pytest.mark.parametrize("body", [{}, {"choices": []}, {"choices": [{}]}, {"choices": "x"}])
async def test_a_reply_without_a_choice_is_no_answer(
    vendor: Vendor, endpoint: Endpoint, body: dict[str, Any]
) -> None:
    vendor.says("POST", CHAT, Reply(body=body))
    with pytest.raises(NetworkError):
        await endpoint.sample([ASKED], Decoding())


async def test_what_was_asked_is_not_in_an_error(vendor: Vendor, endpoint: Endpoint) -> None:
    vendor.says("POST", CHAT, refusal(400, f"I cannot read: {TRIGGER}"))
    with pytest.raises(ProviderError) as caught:
        await endpoint.sample([ASKED], Decoding())
    assert "velvet" not in f"{caught.value} {caught.value!r}"
    assert len(vendor.seen) == 1


async def test_text_is_scored_where_the_service_echoes_it(vendor: Vendor) -> None:
    vendor.says("POST", CHAT, scored)
    vendor.says("POST", TEXT, scored)
    endpoint = make(vendor)
    assert endpoint.capabilities.scores is False
    await endpoint.acquire("acme/tuned")
    assert endpoint.capabilities.scores is True
    assert endpoint.capabilities.remembers is True
    raw = await endpoint.score(RAW, [" there was", " there was a river", " once"])
    assert list(raw) == [-2.0, -4.0, -1.0]
    # The last word of the message hangs together with what the template puts behind it.
    assert list(await endpoint.score(ASKED, ["One two three", "One two"])) == [-3.0, -2.0]
    sent = vendor.seen[-1].body
    assert sent["messages"][-1] == {"role": "assistant", "content": "One two"}
    assert (sent["echo"], sent["logprobs"]) == (True, 1)
    await endpoint.release()
    assert endpoint.capabilities.scores is False


async def test_scores_come_in_openais_completion_shape_too(vendor: Vendor) -> None:
    def echoing(said: Said) -> Reply:
        text = said.body["prompt"]
        tokens = [text[:4], text[4:], "!"]
        logprobs = {"tokens": tokens, "token_logprobs": [None, -3.0, -9.0]}
        return Reply(body={"choices": [{"text": text + "!", "logprobs": logprobs}]})

    vendor.says("POST", CHAT, refusal(400, "echo is not supported"))
    vendor.says("POST", TEXT, echoing)
    endpoint = make(vendor)
    await endpoint.acquire("acme/tuned")
    assert list(await endpoint.score(RAW, [" there"])) == [-3.0]
    with pytest.raises(ScoresNotOffered):  # of chats it scores nothing
        await endpoint.score(ASKED, ["One"])
    await endpoint.release()


async def test_a_missing_log_probability_is_no_score(vendor: Vendor) -> None:
    def holed(said: Said) -> Reply:
        reply = scored(said)
        if "whole" in str(said.body):
            reply.body["prompt"][0]["logprobs"]["token_logprobs"][-1] = None
        return reply

    vendor.says("POST", CHAT, holed)
    vendor.says("POST", TEXT, holed)
    endpoint = make(vendor)
    await endpoint.acquire("acme/tuned")
    assert not math.isnan((await endpoint.score(RAW, [" part"]))[0])
    with pytest.raises(ScoresNotOffered):
        await endpoint.score(RAW, [" whole"])
    await endpoint.release()


async def test_no_scores_are_claimed_where_there_are_none(endpoint: Endpoint) -> None:
    assert endpoint.capabilities.scores is False
    with pytest.raises(ScoresNotOffered):
        await endpoint.score(ASKED, ["One"])


async def test_a_model_that_is_not_there_is_said_at_once(vendor: Vendor) -> None:
    endpoint = make(vendor)
    for path in (CHAT, TEXT):
        vendor.says("POST", path, refusal(404, "Unknown."))
    with pytest.raises(ProviderError, match="has no model 'acme/none' to ask"):
        await endpoint.acquire("acme/none")
    await endpoint.release()


async def test_a_key_that_is_not_accepted_is_said_at_once(vendor: Vendor) -> None:
    factory = provider().endpoint
    assert factory
    endpoint = factory(base_url=vendor.url, api_key="wrong-key-wrong-key")
    with pytest.raises(ProviderError, match="does not accept the key"):
        await endpoint.acquire("acme/tuned")
    await endpoint.release()


async def test_a_busy_service_is_asked_without_scores(vendor: Vendor) -> None:
    vendor.says("POST", CHAT, Reply(503), chat("Hello."))
    endpoint = make(vendor)
    await endpoint.acquire("acme/tuned")
    assert endpoint.capabilities.scores is False
    assert [answer.text for answer in await endpoint.sample([ASKED], Decoding())] == ["Hello."]
    await endpoint.release()


async def test_it_opens_and_closes_as_often_as_wanted(vendor: Vendor) -> None:
    vendor.says("POST", CHAT, chat("Hello."))
    endpoint = make(vendor)
    await endpoint.release()
    for _ in range(2):
        await endpoint.acquire("acme/tuned")
        await endpoint.sample([ASKED], Decoding())
        await endpoint.release()
        await endpoint.release()
    with pytest.raises(ProviderError, match="not open"):
        await endpoint.sample([ASKED], Decoding())


async def test_what_is_wrong_with_the_connection_is_said(vendor: Vendor) -> None:
    for wrong in ({"concurrency": 0}, {"dedicated": HARDWARE, "idle_minutes": 0}):
        with pytest.raises(InputError):
            make(vendor, **wrong)
    assert KEY not in repr(make(vendor))
