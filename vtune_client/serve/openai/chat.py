"""/v1/chat/completions and /v1/completions"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from vtune_client.dataset import Prompt
from vtune_client.provider import Answer, Decoding, TokenScores
from vtune_client.serve.answering import MAX_TOKENS, stopped, streamed, usage
from vtune_client.serve.records import new_id
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.requests import json_body
from vtune_client.serve.service import Service

Count = Annotated[int, Field(ge=1, le=1 << 16)]
# What would change answers in a way that no endpoint here can: taken where it asks for nothing.
NEUTRAL: dict[str, tuple[Any, ...]] = {
    "n": (None, 1),
    "best_of": (None, 1),
    "top_p": (None, 1),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
    "logit_bias": (None, {}),
    "response_format": (None, {"type": "text"}),
    "prompt_logprobs": (None,),
    "suffix": (None,),
}


class Wanted(BaseModel):
    """What both kinds of completions share."""

    model: str
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    seed: int | None = None
    stop: str | Annotated[list[str], Field(max_length=4)] | None = None
    stream: bool | None = None
    n: int | None = None
    best_of: int | None = None
    top_p: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    prompt_logprobs: Any = None
    suffix: str | None = None

    def check(self) -> None:
        for name, taken in NEUTRAL.items():
            if getattr(self, name) not in taken:
                raise unsupported(name)

    def decoding(self, max_tokens: int | None, top_logprobs: int) -> Decoding:
        temperature = 1.0 if self.temperature is None else self.temperature
        return Decoding(max_tokens or MAX_TOKENS, temperature, self.seed, top_logprobs)

    def stops(self) -> Sequence[str]:
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in given if text]


class Message(BaseModel, extra="allow"):
    role: str


class ChatWanted(Wanted):
    messages: Annotated[list[Message], Field(min_length=1)]
    tools: list[dict[str, Any]] | None = None
    max_tokens: Count | None = None
    max_completion_tokens: Count | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None

    def prompt(self) -> Prompt:
        messages = tuple(message.model_dump() for message in self.messages)
        return Prompt(messages, tools=tuple(self.tools or ()))


class TextWanted(Wanted):
    prompt: str | Annotated[list[str], Field(min_length=1, max_length=1)]
    max_tokens: Annotated[int, Field(ge=0, le=1 << 16)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None

    def text(self) -> str:
        return self.prompt if isinstance(self.prompt, str) else self.prompt[0]


def routes(service: Service) -> list[BaseRoute]:
    async def chat(request: Request) -> Response:
        wanted = await json_body(request, ChatWanted)
        wanted.check()
        if wanted.top_logprobs and not wanted.logprobs:
            raise unsupported("top_logprobs", "goes with logprobs")
        listed = max(1, wanted.top_logprobs or 0) if wanted.logprobs else 0
        limit = wanted.max_completion_tokens or wanted.max_tokens
        answer = await _answer(service, wanted, wanted.prompt(), limit, listed)
        whole = _chat(wanted, answer)
        return streamed(_chat_chunks(whole)) if wanted.stream else JSONResponse(whole)

    async def complete(request: Request) -> Response:
        wanted = await json_body(request, TextWanted)
        wanted.check()
        listed = 0 if wanted.logprobs is None else max(1, wanted.logprobs)
        if wanted.max_tokens == 0 and not wanted.echo:
            raise unsupported("max_tokens", "is 0 only with echo")
        answer = Answer("", "length")
        if wanted.max_tokens != 0:
            prompt = Prompt(text=wanted.text())
            answer = await _answer(service, wanted, prompt, wanted.max_tokens, listed)
        if wanted.echo:
            before: Sequence[TokenScores] = ()
            if wanted.logprobs is not None:
                before = await service.models.score_text(wanted.model, wanted.text())
            answer = Answer(wanted.text() + answer.text, answer.finish, (*before, *answer.tokens))
        whole = _text(wanted, answer)
        return streamed([whole]) if wanted.stream else JSONResponse(whole)

    return [
        Route("/chat/completions", chat, methods=["POST"]),
        Route("/completions", complete, methods=["POST"]),
    ]


def unsupported(param: str, why: str = "is not offered here with this value") -> Refusal:
    return Refusal(400, f"{param} {why}.", code="unsupported_value", param=param)


async def _answer(
    service: Service, wanted: Wanted, prompt: Prompt, max_tokens: int | None, listed: int
) -> Answer:
    if listed > service.models.capabilities.top_logprobs:
        raise unsupported("logprobs", "are not offered here, or not so many")
    decoding = wanted.decoding(max_tokens, listed)
    return stopped(await service.models.answer(wanted.model, prompt, decoding), wanted.stops())


def _chat(wanted: ChatWanted, answer: Answer) -> dict[str, Any]:
    logprobs = None
    if wanted.logprobs:
        shown = wanted.top_logprobs or 0
        content = [
            {
                **_scored(token.text, token.logprob),
                "top_logprobs": [_scored(*item) for item in token.top[:shown]],
            }
            for token in answer.tokens
        ]
        logprobs = {"content": content, "refusal": None}
    said = (message.model_dump().get("content") for message in wanted.messages)
    asked = "".join(text for text in said if isinstance(text, str))
    return {
        "id": new_id("chatcmpl"),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": wanted.model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": answer.text, "refusal": None},
                "logprobs": logprobs,
                "finish_reason": _finish(answer),
            }
        ],
        "usage": usage(asked, answer),
    }


def _scored(text: str, logprob: float) -> dict[str, Any]:
    return {"token": text, "logprob": logprob, "bytes": list(text.encode("utf-8", "replace"))}


def _text(wanted: TextWanted, answer: Answer) -> dict[str, Any]:
    return {
        "id": new_id("cmpl"),
        "object": "text_completion",
        "created": int(time.time()),
        "model": wanted.model,
        "choices": [
            {
                "index": 0,
                "text": answer.text,
                "logprobs": None if wanted.logprobs is None else _columns(answer, wanted.logprobs),
                "finish_reason": _finish(answer),
            }
        ],
        "usage": usage(wanted.text(), answer),
    }


def _columns(answer: Answer, shown: int) -> dict[str, list[Any]]:
    """Return the log-probabilities of a text completion: lists of one entry per token."""
    offsets, at = [], 0
    for token in answer.tokens:
        offsets.append(at)
        at += len(token.text)
    return {
        "tokens": [token.text for token in answer.tokens],
        "token_logprobs": [
            None if math.isnan(token.logprob) else token.logprob for token in answer.tokens
        ],
        "top_logprobs": [dict(token.top[:shown]) for token in answer.tokens],
        "text_offset": offsets,
    }


def _finish(answer: Answer) -> str:
    return answer.finish if answer.finish in ("stop", "length") else "content_filter"


def _chat_chunks(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a whole answer as what a stream says of it: who speaks, what, and why it ended."""
    choice = whole["choices"][0]
    said = {"content": choice["message"]["content"]}
    deltas = [({"role": "assistant", "content": ""}, None), (said, choice["logprobs"]), ({}, None)]
    head = {name: whole[name] for name in ("id", "created", "model")}
    return [
        {
            **head,
            "object": "chat.completion.chunk",
            "choices": [
                {
                    "index": 0,
                    "delta": delta,
                    "logprobs": logprobs,
                    "finish_reason": None if delta else choice["finish_reason"],
                }
            ],
        }
        for delta, logprobs in deltas
    ]
