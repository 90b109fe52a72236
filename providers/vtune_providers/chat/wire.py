"""What goes over the wire: questions as the service wants them, and its replies read leniently.

Shapes: https://platform.openai.com/docs/api-reference/chat/create and .../completions/create.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.provider import Answer, Decoding, TokenScores
from vtune_providers.chat.logprobs import tokens_of

CHAT, COMPLETIONS, MODELS = "/chat/completions", "/completions", "/models"
MAX_TOKENS, MAX_COMPLETION_TOKENS = "max_tokens", "max_completion_tokens"
NAME_LENGTH = 40

# Other words that services have for the ends that OpenAI names.
_FINISHES = {
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "safety": "content_filter",
    "function_call": "tool_calls",
}


@dataclass(frozen=True)
class Reply:
    """What came back: the status, headers by lower-case name, and the whole body."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the parsed body, None where it is no JSON."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


def question(
    model: str, prompt: Prompt, decoding: Decoding, limit: str
) -> tuple[str, dict[str, Any]]:
    """Return the path and the body to ask with; `limit` is the chat's name for the token limit."""
    body: dict[str, Any] = {"model": model, "temperature": decoding.temperature}
    if decoding.seed is not None:
        body["seed"] = decoding.seed
    if prompt.text is not None:
        if decoding.top_logprobs:
            body["logprobs"] = decoding.top_logprobs
        return COMPLETIONS, {**body, "prompt": prompt.text, MAX_TOKENS: decoding.max_tokens}
    body |= {"messages": list(prompt.messages), limit: decoding.max_tokens}
    if decoding.top_logprobs:
        body |= {"logprobs": True, "top_logprobs": decoding.top_logprobs}
    if prompt.tools:
        body["tools"] = list(prompt.tools)
    return CHAT, body


def wants_other_limit(reply: Reply, body: Mapping[str, Any]) -> bool:
    """Return whether the service refuses `max_tokens` and asks for its newer name."""
    refused = reply.status in (400, 422) and MAX_COMPLETION_TOKENS.encode() in reply.body
    return refused and MAX_TOKENS in body and "messages" in body


def answer_of(payload: Any) -> Answer | None:
    """Return the first choice of a reply to either kind of question, None where there is none."""
    choices = payload.get("choices") if isinstance(payload, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        return None
    choice = choices[0]
    finish = _finish(choice.get("finish_reason"))
    message = choice.get("message")
    if isinstance(message, dict):
        return _said(message, finish, tokens_of(choice))
    if isinstance(choice.get("text"), str):
        return Answer(choice["text"], finish, tokens_of(choice))
    # A filter may hold back the whole message; any other choice without one is not an answer.
    return Answer("", finish) if finish == "content_filter" else None


def _said(message: Mapping[str, Any], finish: str, tokens: tuple[TokenScores, ...]) -> Answer:
    text = _text(message.get("content"))
    refusal = message.get("refusal")
    if isinstance(refusal, str) and refusal:
        return Answer(text or refusal, "refusal")
    return Answer(text, finish, tokens)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = (part.get("text") if isinstance(part, dict) else part for part in content)
    return "".join(part for part in parts if isinstance(part, str))


def _finish(reason: Any) -> str:
    if reason is None:
        return "stop"
    name = str(reason).lower()[:NAME_LENGTH]
    return _FINISHES.get(name, name)


def models_of(payload: Any) -> tuple[str, ...]:
    """Return the names in a list of models, which some services give bare; () where it is none."""
    listed = payload.get("data") if isinstance(payload, dict) else payload
    if not isinstance(listed, list):
        return ()
    names = (each.get("id") for each in listed if isinstance(each, dict))
    return tuple(name for name in names if isinstance(name, str))
