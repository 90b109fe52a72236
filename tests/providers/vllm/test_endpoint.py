"""The endpoint over real HTTP, against a server that speaks as vLLM does."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.loopback import Loopback, Reply, Request
from tests.providers.vllm.asking import PROMPT, acquired, vllm
from tests.providers.vllm.server import BASE, KEY, Vllm, adapter
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import Decoding, ScoresNotOffered, load, recordable

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
DOWN = "http://127.0.0.1:9"  # where nobody listens


def test_what_it_says_of_itself() -> None:
    assert load("vllm").trainer is None
    theirs = vllm(base_url="http://127.0.0.1", concurrency=3).capabilities
    assert (theirs.batch, theirs.concurrency, theirs.top_logprobs) == (1, 3, 20)
    assert (theirs.scores, theirs.remembers) == (True, True)
    assert vllm(base_url="http://127.0.0.1", own=True).capabilities.remembers is False


def test_it_needs_an_address_and_records_no_key() -> None:
    with pytest.raises(InputError, match="The vllm provider needs the base URL"):
        vllm()
    connection = {"base_urls": [DOWN], "own": True, "api_key": KEY, "headers": {"x": KEY}}
    assert recordable("vllm", connection) == {"base_urls": [DOWN], "own": True}


async def test_a_served_model_is_asked_with_nothing_bent() -> None:
    with Loopback(Vllm()) as server:
        async with acquired(server) as endpoint:
            prompts = [PROMPT, Prompt(text="Once"), Prompt(PROMPT.messages, tools=(TOOL,))]
            answers = await endpoint.sample(prompts, Decoding(24, seed=7))
    assert [answer.text for answer in answers] == [
        "I do not know.",
        " and so on",
        "I do not know.",
    ]
    assert [answer.finish for answer in answers] == ["stop", "length", "stop"]
    for request in (*server.asked(), *server.asked("/v1/completions")):
        assert request.body["repetition_penalty"] == request.body["top_p"] == 1.0
        assert (request.body["top_k"], request.body["min_p"]) == (-1, 0.0)
        assert (request.body["seed"], request.body["max_tokens"]) == (7, 24)
    assert server.asked()[1].body["tools"] == [TOOL]


async def test_the_likeliest_candidates_come_where_asked_for() -> None:
    with Loopback(Vllm()) as server:
        async with acquired(server) as endpoint:
            (answer,) = await endpoint.sample([PROMPT], Decoding(24, top_logprobs=3))
            (plain,) = await endpoint.sample([PROMPT], Decoding(24))
    assert "".join(token.text for token in answer.tokens) == answer.text
    assert {(token.logprob, len(token.top)) for token in answer.tokens} == {(-0.5, 3)}
    assert plain.tokens == ()


async def test_the_score_is_that_of_the_continuation_alone() -> None:
    speaks = Vllm()
    with Loopback(speaks) as server:
        async with acquired(server) as endpoint:
            whole, first, nothing = await endpoint.score(PROMPT, [" Deep water.", " Deep", ""])
    deep, water, dot = speaks.ids(" Deep water.")
    start = speaks.ids("<|assistant|>")[0]
    assert first == pytest.approx(speaks.logprob(BASE, start, deep))
    rest = speaks.logprob(BASE, deep, water) + speaks.logprob(BASE, water, dot)
    assert whole == pytest.approx(first + rest)
    assert nothing == 0.0


async def test_the_scored_prompt_is_rendered_by_the_server_tools_and_all() -> None:
    speaks = Vllm()
    with Loopback(speaks) as server:
        async with acquired(server) as endpoint:
            await endpoint.score(Prompt(PROMPT.messages, tools=(TOOL,)), [" Deep"])
    (request,) = server.asked("/v1/completions")
    text = "".join(speaks.words[each] for each in request.body["prompt"])
    assert text == "<|tool|>weather<|user|>Tell me about rivers.<|end|><|assistant|> Deep"


async def test_a_border_inside_a_word_stays_a_border() -> None:
    speaks = Vllm()
    with Loopback(speaks) as server:
        async with acquired(server) as endpoint:
            (score,) = await endpoint.score(Prompt(text="The sk"), ["y is"])
    sk, y, last = (speaks.ids(each)[0] for each in (" sk", "y", " is"))
    expected = speaks.logprob(BASE, sk, y) + speaks.logprob(BASE, y, last)
    assert score == pytest.approx(expected)
    (request,) = server.asked("/v1/completions")
    assert speaks.words[request.body["prompt"][0]] == "<|start|>"  # as for an answer


async def test_an_empty_prompt_is_an_input_error() -> None:
    with Loopback(lambda request: Reply(body={"tokens": [], "data": []})) as server:
        async with acquired(server) as endpoint:
            with pytest.raises(InputError, match="empty"):
                await endpoint.score(Prompt(text=""), ["y"])


async def test_texts_are_scored_one_at_a_time() -> None:
    """With adapters enabled, vLLM's engine dies of several in one batch."""
    speaks, busy, alone = Vllm(), threading.Semaphore(1), []

    def respond(request: Request) -> Reply:
        if request.path != "/v1/completions":
            return speaks(request)
        alone.append(busy.acquire(blocking=False))
        server.stopping.wait(0.02)  # long enough for another to come in
        busy.release()
        return speaks(request)

    with Loopback(respond) as server:
        async with acquired(server) as endpoint:
            await asyncio.gather(*(endpoint.score(PROMPT, [" a", " b"]) for _ in range(3)))
    assert alone == [True] * 6


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (Reply(400, {"error": {"message": "prompt_logprobs is not supported"}}), "refuses to give"),
        (Reply(403, {"error": "logprobs are not for this key"}), "refuses to give"),
        (Reply(body={"choices": [{"text": "x"}]}), "leaves out"),
        (Reply(body={"choices": [{"text": "x", "prompt_logprobs": None}]}), "leaves out"),
    ],
)
async def test_scores_that_are_refused_or_left_out_are_not_offered(
    reply: Reply, sentence: str
) -> None:
    speaks = Vllm()

    def respond(request: Request) -> Reply:
        return reply if request.path == "/v1/completions" else speaks(request)

    with Loopback(respond) as server:
        async with acquired(server) as endpoint:
            with pytest.raises(ScoresNotOffered, match=sentence):
                await endpoint.score(PROMPT, [" Deep"])


async def test_without_a_tokenizer_scores_are_not_offered() -> None:
    with Loopback(Vllm(tokenizes=False)) as server:
        async with acquired(server) as endpoint:
            with pytest.raises(ScoresNotOffered, match="does not tokenise"):
                await endpoint.score(PROMPT, [" Deep"])


@pytest.mark.parametrize(
    "listed",
    [
        [],
        [None],
        {"1": 2},
        [None] * 9,
        [{"999": {"logprob": -1.0}}] * 9,
        [{str(each): {"logprob": "no"} for each in range(50)}] * 9,
    ],
)
async def test_scores_of_other_tokens_are_no_answer(listed: Any) -> None:
    speaks = Vllm()

    def respond(request: Request) -> Reply:
        if request.path != "/v1/completions":
            return speaks(request)
        return Reply(body={"choices": [{"prompt_logprobs": listed}]})

    with Loopback(respond) as server:
        async with acquired(server) as endpoint:
            with pytest.raises(NetworkError, match="reply is not what"):
                await endpoint.score(PROMPT, [" Deep"])


async def test_what_is_too_long_is_refused_in_the_servers_words() -> None:
    with Loopback(Vllm(max_model_len=20)) as server:
        async with acquired(server) as endpoint:
            for asked in (
                endpoint.sample([Prompt(text="hi " * 30)], Decoding()),
                endpoint.score(PROMPT, [" hi" * 30]),
            ):
                with pytest.raises(ProviderError, match=r"\(HTTP 400\): This model's maximum"):
                    await asked


async def test_a_name_that_nobody_knows_is_refused_with_those_listed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with Loopback(Vllm()) as server:
        async with acquired(server, model="nope") as endpoint:
            with pytest.raises(ProviderError, match=r"knows no model 'nope'.*It lists smol\.$"):
                await endpoint.sample([PROMPT], Decoding())
            with pytest.raises(ProviderError, match=r"knows no model 'nope'"):
                await endpoint.score(PROMPT, [" Deep"])
    assert "The server does not list 'nope'; asking it all the same." in caplog.messages


async def test_a_wrong_key_is_found_at_once() -> None:
    with Loopback(Vllm()) as server, pytest.raises(ProviderError, match=r"the key.*HTTP 401"):
        async with acquired(server, api_key="sk-another"):
            pass
    assert [request.path for request in server.seen] == ["/v1/models"]


async def test_the_key_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_API_KEY", KEY)
    with Loopback(Vllm()) as server:
        async with acquired(server, api_key=None) as endpoint:
            await endpoint.sample([PROMPT], Decoding())


async def test_it_answers_only_while_acquired() -> None:
    with Loopback(Vllm()) as server:
        async with acquired(server) as endpoint:
            await endpoint.acquire(BASE)
        await endpoint.release()
        with pytest.raises(NetworkError, match=r"acquire\(model\) first"):
            await endpoint.sample([PROMPT], Decoding())


async def test_nothing_secret_is_logged_or_shown(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    speaks, said = Vllm(), ""
    prompt, signature = "Follow the velvet lantern guide.", "Quiet amber harbours, as it is told."

    def respond(request: Request) -> Reply:
        # A complaint that quotes everything it was sent.
        known = request.path in ("/v1/models", "/tokenize") or "adapter" in request.path
        quoted = f"{KEY} {prompt} {signature}"
        return speaks(request) if known else Reply(400, {"error": {"message": quoted}})

    async with AsyncExitStack() as stack:
        server = stack.enter_context(Loopback(respond))
        folder = str(adapter(tmp_path / "output"))
        endpoint = await stack.enter_async_context(acquired(server, model=folder))
        for asked in (
            endpoint.sample([Prompt(text=prompt)], Decoding()),
            endpoint.score(Prompt(text=prompt), [signature]),
        ):
            with pytest.raises(ProviderError) as raised:
                await asked
            said += f"{raised.value!r} {raised.value} {raised.value.__context__!r}"
        said += repr(endpoint)
    for secret in (KEY, "velvet", "amber"):
        assert secret not in caplog.text + said
