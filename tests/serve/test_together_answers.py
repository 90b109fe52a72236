"""Chats and completions in Together's shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("together")

import httpx
import together
from together import Together

from tests.memory import BASE, Service
from tests.serve.shape import plain, together_of
from tests.serving import Server, serving
from vtune_client.provider import EndpointCapabilities

ASKED: list[Any] = [{"role": "user", "content": "Tell me about rivers number 0."}]
SAID = "Here is what I know of rivers."


@pytest.fixture
def server(tmp_path: Path, memory: Service) -> Iterator[Server]:
    memory.capabilities = EndpointCapabilities(scores=True)
    with serving(tmp_path, bases={"tiny": BASE}, provider="memory") as running:
        yield running


@pytest.fixture
def client(server: Server, memory: Service) -> Iterator[Together]:
    row = b'{"messages": [{"role": "user", "content": "Tell me about rivers number 0."}, '
    memory.learn(
        BASE, row + b'{"role": "assistant", "content": "Here is what I know of rivers."}]}'
    )
    with together_of(server) as made:
        yield made


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with plain(server) as made:
        yield made


def test_a_chat(client: Together) -> None:
    answer = client.chat.completions.create(model="tiny", messages=ASKED, max_tokens=20)
    choice = answer.choices[0]
    assert choice.message is not None
    assert (choice.message.content, choice.finish_reason) == (SAID, "stop")
    assert (answer.object, answer.prompt) == ("chat.completion", [])
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


def test_an_answer_stops_where_it_is_told(client: Together) -> None:
    answer = client.chat.completions.create(model="tiny", messages=ASKED, stop=[" of"])
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.content == "Here is what I know"


def test_an_answer_in_a_stream(client: Together) -> None:
    chunks = list(client.chat.completions.create(model="tiny", messages=ASKED, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == SAID
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_the_last_message_of_a_chat_is_scored(client: Together, memory: Service) -> None:
    messages = [*ASKED, {"role": "assistant", "content": SAID}]
    answer = client.chat.completions.create(
        model="tiny", messages=messages, echo=True, logprobs=1, max_tokens=0
    )
    scores = answer.prompt[0].logprobs
    assert scores is not None
    assert scores.tokens == [f"{ASKED[0]['content']}\n", SAID]
    assert scores.token_logprobs == [None, memory.score(BASE, SAID)]


def test_a_completions_prompt_is_scored(http: httpx.Client, client: Together) -> None:
    body = {"model": "tiny", "prompt": "one two three", "echo": True, "logprobs": 1}
    answer = http.post("/v1/completions", json={**body, "max_tokens": 0}).json()
    assert (answer["object"], answer["choices"][0]["text"]) == ("text.completion", "")
    [prompt] = answer["prompt"]
    assert prompt["text"] == "".join(prompt["logprobs"]["tokens"]) == "one two three"
    assert [value is None for value in prompt["logprobs"]["token_logprobs"]] == [True, False, False]


def test_what_cannot_be_scored(client: Together, memory: Service) -> None:
    with pytest.raises(together.BadRequestError, match="assistant"):
        client.chat.completions.create(model="tiny", messages=ASKED, echo=True, logprobs=1)
    memory.offers_scores = False
    messages = [*ASKED, {"role": "assistant", "content": SAID}]
    with pytest.raises(together.BadRequestError):
        client.chat.completions.create(model="tiny", messages=messages, echo=True, logprobs=1)


def test_candidates_where_none_are_listed(client: Together) -> None:
    with pytest.raises(together.BadRequestError, match="logprobs"):
        client.chat.completions.create(model="tiny", messages=ASKED, logprobs=1)


@pytest.mark.parametrize(
    ("wrong", "status", "param"),
    [
        ({"model": "huge"}, 404, "model"),
        ({"model": "vtune/nothing"}, 404, "model"),
        ({"n": 2}, 400, "n"),
        ({"logprobs": 21}, 400, "logprobs"),
        ({"messages": []}, 400, "messages"),
        ({"max_tokens": -1}, 400, "max_tokens"),
    ],
)
def test_questions_that_are_refused(
    http: httpx.Client, wrong: dict[str, Any], status: int, param: str
) -> None:
    answer = http.post("/v1/chat/completions", json={"model": "tiny", "messages": ASKED, **wrong})
    assert (answer.status_code, answer.json()["error"]["param"]) == (status, param)
