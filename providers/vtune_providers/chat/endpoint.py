"""The chat `Endpoint`: one model of one OpenAI-compatible service.

It never retries what may yet be answered; whoever asks does (`vtune_client.probe`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from vtune_client.dataset import Prompt
from vtune_client.errors import NetworkError
from vtune_client.provider import Answer, Decoding, Endpoint, EndpointCapabilities, ScoresNotOffered
from vtune_client.telemetry import usage
from vtune_providers.chat import wire
from vtune_providers.chat.connection import Connection
from vtune_providers.chat.failures import Asked, failure, garbage

log = logging.getLogger(__name__)


class ChatEndpoint(Endpoint):
    """Asks with chat messages, or with raw text where a prompt is that."""

    def __init__(self, connection: Connection, *, concurrency: int) -> None:
        self.capabilities = EndpointCapabilities(
            batch=1, concurrency=concurrency, scores=False, remembers=True
        )
        self._connection = connection
        self._asked = Asked("")
        self._limit = wire.MAX_TOKENS

    async def acquire(self, model: str) -> None:
        """Open the connection and look whether the service lists `model`.

        Some list no fine-tuned models, or nothing: then the first question decides."""
        await self.release()
        self._connection.open()
        self._asked = Asked(model, private=self._connection.private)
        try:
            listed = await self._models()
        except BaseException:
            await self.release()
            raise
        self._asked = Asked(model, listed, self._connection.private)
        if self._asked.unlisted:
            log.warning("The service does not list %r; asking it all the same.", model)

    async def release(self) -> None:
        await self._connection.aclose()

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return [await self._answer(prompt, decoding) for prompt in prompts]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        raise ScoresNotOffered(
            "This provider gives no log-probabilities of given text.",
            "Verify by text alone, or ask the weights with the local provider.",
        )

    async def _answer(self, prompt: Prompt, decoding: Decoding) -> Answer:
        path, body = wire.question(self._asked.model, prompt, decoding, self._limit)
        reply = await self._connection.send("POST", path, body)
        if wire.wants_other_limit(reply, body):
            self._limit = wire.MAX_COMPLETION_TOKENS
            path, body = wire.question(self._asked.model, prompt, decoding, self._limit)
            reply = await self._connection.send("POST", path, body)
        return answer_or_raise(reply, self._asked.about(prompt))

    async def _models(self) -> tuple[str, ...]:
        try:
            reply = await self._connection.send("GET", wire.MODELS)
        except NetworkError as error:
            log.warning("%s Asking for answers all the same.", error.message)
            return ()
        if reply.status == 401:
            raise failure(reply, self._asked)
        return wire.models_of(reply.json()) if reply.ok else ()


def answer_or_raise(reply: wire.Reply, asked: Asked) -> Answer:
    """Return the answer that a reply holds; raise the error that it is where it holds none."""
    if not reply.ok:
        raise failure(reply, asked)
    payload = reply.json()
    answer = wire.answer_of(payload)
    if answer is None:
        raise garbage(reply, asked)
    usage(payload)
    return answer
