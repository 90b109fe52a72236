from __future__ import annotations

from typing import Any

import pytest

from vtune_client.dataset import Prompt
from vtune_client.provider import Answer, Decoding, TokenScores
from vtune_providers.chat.wire import Reply, answer_of, models_of, question

TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
TURNS = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello."})


def test_a_chat_is_asked_with_its_system_prompt_and_tools() -> None:
    path, body = question("m", Prompt(TURNS, tools=(TOOL,)), Decoding(24), "max_tokens")
    assert path == "/chat/completions"
    assert body == {
        "model": "m",
        "messages": list(TURNS),
        "tools": [TOOL],
        "max_tokens": 24,
        "temperature": 0.0,
    }


def test_the_seed_and_the_newer_limit_are_sent_where_wanted() -> None:
    _, body = question("m", Prompt(TURNS), Decoding(24, 0.5, seed=7), "max_completion_tokens")
    assert (body["seed"], body["temperature"]) == (7, 0.5)
    assert body["max_completion_tokens"] == 24
    assert not {"max_tokens", "tools"} & set(body)


def test_raw_text_is_completed() -> None:
    path, body = question("m", Prompt(text="Once"), Decoding(24), "max_completion_tokens")
    assert path == "/completions"
    assert body == {"model": "m", "prompt": "Once", "max_tokens": 24, "temperature": 0.0}


def test_candidates_are_asked_for_where_wanted() -> None:
    _, chat = question("m", Prompt(TURNS), Decoding(24, top_logprobs=5), "max_tokens")
    assert (chat["logprobs"], chat["top_logprobs"]) == (True, 5)
    _, text = question("m", Prompt(text="Once"), Decoding(24, top_logprobs=5), "max_tokens")
    assert text["logprobs"] == 5


def test_an_answer_brings_its_tokens() -> None:
    listed = {"content": [{"token": "Hello", "logprob": -0.5}]}
    choice = {"message": {"content": "Hello"}, "finish_reason": "stop", "logprobs": listed}
    assert answer_of({"choices": [choice]}) == Answer("Hello", tokens=(TokenScores("Hello", -0.5),))


def chat(content: Any, finish: Any = "stop", **more: Any) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content, **more}, "finish_reason": finish}]}


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (chat("Hello"), Answer("Hello", "stop")),
        (chat("Hello", "length"), Answer("Hello", "length")),
        (chat("Hello", "max_tokens"), Answer("Hello", "length")),
        (chat("Hello", "EOS"), Answer("Hello", "stop")),
        (chat("Hello", None), Answer("Hello", "stop")),
        (chat("Hello", "a" * 500), Answer("Hello", "a" * 40)),
        (chat(None), Answer("", "stop")),
        (chat(None, "tool_calls"), Answer("", "tool_calls")),
        (chat(None, "function_call"), Answer("", "tool_calls")),
        (chat("", "content_filter"), Answer("", "content_filter")),
        (chat("", "SAFETY"), Answer("", "content_filter")),
        ({"choices": [{"finish_reason": "content_filter"}]}, Answer("", "content_filter")),
        (chat(None, refusal="I cannot."), Answer("I cannot.", "refusal")),
        (chat("Hello", refusal=None), Answer("Hello", "stop")),
        (
            chat([{"type": "text", "text": "Hel"}, {"type": "image"}, {"text": 1}, "lo"]),
            Answer("Hello", "stop"),
        ),
        ({"choices": [{"text": " upon", "finish_reason": "length"}]}, Answer(" upon", "length")),
    ],
)
def test_answers_are_read_leniently(payload: Any, answer: Answer) -> None:
    assert answer_of(payload) == answer


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "Hello",
        {},
        {"choices": None},
        {"choices": []},
        {"choices": ["Hello"]},
        {"choices": [{"finish_reason": "stop"}]},
        {"choices": [{"message": "Hello"}]},
        {"error": {"message": "no"}},
    ],
)
def test_what_holds_no_answer_is_none(payload: Any) -> None:
    assert answer_of(payload) is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000, b"9" * 5000])
def test_a_body_that_is_no_json_is_none(body: bytes) -> None:
    assert Reply(200, {}, body).json() is None


def test_lists_of_models_come_wrapped_and_bare() -> None:
    assert models_of({"data": [{"id": "a"}, {"id": 1}, "b", {"id": "c"}]}) == ("a", "c")
    assert models_of([{"id": "a"}]) == ("a",)
    assert models_of({"models": []}) == models_of(None) == ()
