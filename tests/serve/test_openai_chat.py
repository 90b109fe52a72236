from __future__ import annotations

from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.memory import BASE, Service
from tests.serving import Server
from vtune_client.errors import NetworkError, ProviderError
from vtune_client.provider import Answer, TokenScores
from vtune_client.serve.answering import stopped

ASKED: Any = [{"role": "user", "content": "Where are you?"}]


@pytest.fixture(autouse=True)
def _known(memory: Service) -> None:
    memory.models[BASE] = [("Where are you?", "I am here. STOP And there.")]


def test_an_answer_in_full(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="tiny", messages=ASKED, temperature=0)
    [choice] = answer.choices
    assert choice.message.content == "I am here. STOP And there."
    assert (choice.finish_reason, answer.model) == ("stop", "tiny")
    assert answer.usage is not None
    assert answer.usage.total_tokens > 0


@pytest.mark.parametrize("stop", ["STOP", ["never", "STOP", " And"]])
def test_an_answer_stops_where_it_is_told(client: OpenAI, stop: Any) -> None:
    answer = client.chat.completions.create(model="tiny", messages=ASKED, stop=stop)
    assert answer.choices[0].message.content == "I am here. "


def test_tokens_stop_with_the_text() -> None:
    tokens = tuple(TokenScores(text, -1.0) for text in ("I", " am", " STOP", " here"))
    kept = stopped(Answer("I am STOP here", "length", tokens), ["STOP"])
    assert (kept.text, kept.finish) == ("I am ", "stop")
    assert [token.text for token in kept.tokens] == ["I", " am", " STOP"]
    assert stopped(Answer("I am", "length"), ["STOP"]) == Answer("I am", "length")


def test_a_stream_says_the_same(client: OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="tiny", messages=ASKED, stream=True))
    said = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(said) == "I am here. STOP And there."
    assert [chunk.choices[0].finish_reason for chunk in chunks] == [None, None, "stop"]


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model=BASE, messages=ASKED)
    assert refused.value.code == "model_not_found"


@pytest.mark.parametrize(
    "more",
    [
        {"n": 2},
        {"top_p": 0.5},
        {"presence_penalty": 1},
        {"logit_bias": {"1": 1}},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},  # this endpoint has none
        {"top_logprobs": 3},
        {"max_tokens": 0},
        {"temperature": 3},
        {"messages": []},
        {"messages": ["Where are you?"]},
        {"extra_body": {"prompt_logprobs": 1}},
    ],
)
def test_what_is_not_offered_is_refused(
    client: OpenAI, memory: Service, more: dict[str, Any]
) -> None:
    wanted = {"model": "tiny", "messages": ASKED, **more}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**wanted)
    assert refused.value.param
    assert memory.count("sample") == 0


def test_what_asks_for_nothing_is_taken(client: OpenAI) -> None:
    client.chat.completions.create(
        model="tiny", messages=ASKED, n=1, top_p=1, presence_penalty=0, user="somebody"
    )


@pytest.mark.parametrize(
    ("fault", "status"), [(NetworkError("Away.", "Wait."), 503), (ProviderError("No."), 502)]
)
def test_an_endpoint_that_fails_is_told(
    server: Server, client: OpenAI, memory: Service, fault: Exception, status: int
) -> None:
    memory.faults = [fault]
    with pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model="tiny", messages=ASKED)
    assert refused.value.status_code == status


def test_scores_that_are_not_offered(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.completions.create(
            model="tiny", prompt="Where are you?", echo=True, max_tokens=0, logprobs=1
        )
