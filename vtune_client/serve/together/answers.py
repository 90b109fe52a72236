"""Chats and completions (`together/types/chat/chat_completion.py`, `together/types/completion.py`).

`logprobs` is a number: how many candidates to list for each token. With `echo` the prompt comes
back, and with both its log-probabilities: of a completion's prompt word by word, of a chat's last
message, where that is the assistant's, as one piece.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vtune_client.dataset import Prompt
from vtune_client.provider import Answer, Decoding, TokenScores
from vtune_client.serve.answering import MAX_TOKENS, stopped, streamed, usage
from vtune_client.serve.records import new_id
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.requests import json_body
from vtune_client.serve.service import Service
from vtune_client.serve.together.bodies import AnswerBody, ChatBody, CompletionBody
from vtune_client.serve.together.dedicated import Dedicated


class AnswerRoutes:
    def __init__(self, service: Service, dedicated: Dedicated) -> None:
        self._models, self._dedicated = service.models, dedicated
        self._slug = service.config.organization

    def routes(self) -> list[Route]:
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            Route("/v1/completions", self.complete, methods=["POST"]),
        ]

    async def chat(self, request: Request) -> Response:
        asked = await json_body(request, ChatBody)
        prompt = Prompt(tuple(asked.messages), tools=tuple(asked.tools))
        text = "\n".join(str(message.get("content") or "") for message in asked.messages)
        model = self._model(asked)
        before = await self._chat_before(model, prompt) if asked.echo and asked.logprobs else ()
        answer = await self._answer(asked, model, prompt)
        message = {"role": "assistant", "content": answer.text, "tool_calls": []}
        choice = {"index": 0, "message": message, **_choice(asked, answer)}
        whole = _whole(asked, "chat", text, before, choice, answer)
        return streamed(_chat_chunks(whole)) if asked.stream else JSONResponse(whole)

    async def complete(self, request: Request) -> Response:
        asked = await json_body(request, CompletionBody)
        model = self._model(asked)
        before: Sequence[TokenScores] = ()
        if asked.echo and asked.logprobs:
            before = await self._models.score_text(model, asked.prompt)
        answer = await self._answer(asked, model, Prompt(text=asked.prompt))
        choice = {"index": 0, "text": answer.text, **_choice(asked, answer)}
        whole = _whole(asked, "text", asked.prompt, before, choice, answer)
        return streamed([whole]) if asked.stream else JSONResponse(whole)

    def _model(self, asked: AnswerBody) -> str:
        """Return the model behind a name: that of a dedicated endpoint, or its own."""
        if asked.n != 1:
            raise Refusal(400, "Only one answer is given at a time.", param="n")
        slug, _, rest = asked.model.partition("/")
        deployed = self._dedicated.routed(rest) if slug == self._slug else None
        return asked.model if deployed is None else deployed

    async def _answer(self, asked: AnswerBody, model: str, prompt: Prompt) -> Answer:
        listed = asked.logprobs
        if listed > self._models.capabilities.top_logprobs:
            if not asked.echo:
                raise Refusal(400, "logprobs are not offered, or not so many.", param="logprobs")
            listed = 0
        if asked.max_tokens == 0:
            self._models.get(model)
            return Answer("", "length")
        limit = MAX_TOKENS if asked.max_tokens is None else asked.max_tokens
        decoding = Decoding(limit, asked.temperature, asked.seed, listed)
        stops = [asked.stop] if isinstance(asked.stop, str) else asked.stop
        answer = await self._models.answer(model, prompt, decoding)
        return stopped(answer, [text for text in stops if text])

    async def _chat_before(self, model: str, prompt: Prompt) -> Sequence[TokenScores]:
        *before, last = prompt.messages
        said = last.get("content")
        if last.get("role") != "assistant" or not isinstance(said, str) or not said or not before:
            raise Refusal(400, "logprobs with echo need an assistant's message at the end.")
        asked = Prompt(tuple(before), tools=prompt.tools)
        [total] = await self._models.score(model, asked, [said])
        text = "\n".join(str(message.get("content") or "") for message in before)
        return [TokenScores(f"{text}\n", math.nan), TokenScores(said, total)]


def _choice(asked: AnswerBody, answer: Answer) -> dict[str, Any]:
    known = answer.finish in ("stop", "length")
    return {
        "finish_reason": answer.finish if known else "stop",
        "logprobs": _columns(answer.tokens, asked.logprobs) if answer.tokens else None,
        "seed": asked.seed,
    }


def _whole(
    asked: AnswerBody,
    kind: str,
    text: str,
    before: Sequence[TokenScores],
    choice: dict[str, Any],
    answer: Answer,
) -> dict[str, Any]:
    prompt: list[dict[str, Any]] = []
    if asked.echo:
        prompt = [{"text": text, "logprobs": _columns(before, 0) if before else None}]
    return {
        "id": new_id("answer"),
        "object": f"{kind}.completion",
        "created": int(time.time()),
        "model": asked.model,
        "prompt": prompt,
        "choices": [choice],
        "usage": usage(text, answer),
    }


def _columns(tokens: Sequence[TokenScores], listed: int) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {
        "tokens": [token.text for token in tokens],
        "token_logprobs": [
            None if math.isnan(token.logprob) else token.logprob for token in tokens
        ],
    }
    if listed:
        columns["top_logprobs"] = [dict(token.top[:listed]) for token in tokens]
    return columns


def _chat_chunks(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an answer as a stream says it: the text, then why it ended."""
    choice = whole["choices"][0]
    said = {"role": "assistant", "content": choice["message"]["content"]}
    head = {name: whole[name] for name in ("id", "created", "model")}
    ends = [(said, None), ({"content": ""}, choice["finish_reason"])]
    return [
        {
            **head,
            "object": "chat.completion.chunk",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        }
        for delta, finish in ends
    ]
