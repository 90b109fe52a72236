"""The chat `Endpoint`: one model of one OpenAI-compatible service.

It never retries what may yet be answered; whoever asks does (`vtune_client.probe`). Redirects are
not followed, so that the key goes to no other host. Proxies are taken from the environment.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.provider import Answer, Decoding, EndpointCapabilities, ScoresNotOffered
from vtune_providers.chat import wire
from vtune_providers.chat.failures import AGAIN, Asked, failure, garbage

log = logging.getLogger(__name__)
CONNECT_S = 10.0
LARGEST_REPLY = 8 * 2**20  # bytes


class ChatEndpoint:
    """Asks with chat messages, or with raw text where a prompt is that. Holds the key in memory
    while it lives; no repr, log or error shows it."""

    def __init__(
        self, base_url: str, headers: Mapping[str, str], *, timeout_s: float, concurrency: int
    ) -> None:
        if timeout_s <= 0 or concurrency < 1:
            raise InputError(
                "timeout is above 0 seconds, and concurrency at least 1.", "Choose larger numbers."
            )
        self.capabilities = EndpointCapabilities(
            batch=1, concurrency=concurrency, scores=False, remembers=True
        )
        self._url = base_url
        self._headers = dict(headers)
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None
        self._asked = Asked("")
        self._limit = wire.MAX_TOKENS

    async def acquire(self, model: str) -> None:
        """Open the connection and look whether the service lists `model`.

        Some list no fine-tuned models, or nothing: then the first question decides."""
        await self.release()
        self._client = self._new_client()
        self._asked = Asked(model, private=self._private())
        try:
            listed = await self._models()
        except BaseException:
            await self.release()
            raise
        self._asked = Asked(model, listed, self._private())
        if self._asked.unlisted:
            log.warning("The service does not list %r; asking it all the same.", model)

    async def release(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return [await self._answer(prompt, decoding) for prompt in prompts]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        raise ScoresNotOffered(
            "This provider gives no log-probabilities of given text.",
            "Verify by text alone, or ask the weights with the local provider.",
        )

    async def _answer(self, prompt: Prompt, decoding: Decoding) -> Answer:
        path, body = wire.question(self._asked.model, prompt, decoding, self._limit)
        reply = await self._send("POST", path, body)
        if wire.wants_other_limit(reply, body):
            self._limit = wire.MAX_COMPLETION_TOKENS
            path, body = wire.question(self._asked.model, prompt, decoding, self._limit)
            reply = await self._send("POST", path, body)
        asked = Asked(self._asked.model, self._asked.listed, self._private(prompt))
        if not reply.ok:
            raise failure(reply, asked)
        answer = wire.answer_of(reply.json())
        if answer is None:
            raise garbage(reply, asked)
        return answer

    async def _models(self) -> tuple[str, ...]:
        try:
            reply = await self._send("GET", wire.MODELS)
        except NetworkError as error:
            log.warning("%s Asking for answers all the same.", error.message)
            return ()
        if reply.status == 401:
            raise failure(reply, self._asked)
        return wire.models_of(reply.json()) if reply.ok else ()

    async def _send(self, method: str, path: str, body: Any = None) -> wire.Reply:
        """Send one request and return the whole reply, whatever its status."""
        if self._client is None:
            raise ProviderError("The endpoint is not open.", "Call acquire(model) first.")
        content = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"content-type": "application/json"}
        started = time.monotonic()
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream(method, self._url + path, content=content, headers=kind) as got,
            ):
                reply = wire.Reply(got.status_code, dict(got.headers), await _whole(got))
        except TimeoutError:
            raise NetworkError(f"No answer came in {self._timeout_s:g} s.", AGAIN) from None
        except httpx.HTTPError as error:
            raise _unreached(error) from None
        log.debug("%s %s: %d, %.2f s", method, path, reply.status, time.monotonic() - started)
        return reply

    def _new_client(self) -> httpx.AsyncClient:
        try:
            return httpx.AsyncClient(
                headers=self._headers,
                # The whole exchange has a time limit of its own.
                timeout=httpx.Timeout(None, connect=min(CONNECT_S, self._timeout_s)),
                limits=httpx.Limits(max_connections=self.capabilities.concurrency),
            )
        except (ImportError, ValueError):
            raise InputError(
                "The proxy that the environment names is of a kind that cannot be used.",
                "Set HTTPS_PROXY and ALL_PROXY to an http:// proxy, or unset them.",
            ) from None

    def _private(self, prompt: Prompt | None = None) -> tuple[Any, ...]:
        """Return what no message may show: the headers, and what was asked."""
        keys = tuple(value.removeprefix("Bearer ") for value in self._headers.values())
        return keys if prompt is None else (*keys, (prompt.text, prompt.messages, prompt.tools))


async def _whole(response: httpx.Response) -> bytes:
    body = bytearray()
    async for part in response.aiter_bytes():
        body += part
        if len(body) > LARGEST_REPLY:
            raise NetworkError(f"The reply is larger than {LARGEST_REPLY} bytes.", AGAIN)
    return bytes(body)


def _unreached(error: httpx.HTTPError) -> NetworkError:
    """Return the error of an exchange that broke off. The library's own words may quote what was
    sent; only those of a connection that was never made cannot."""
    why = f" ({error})" if isinstance(error, httpx.ConnectError) else f" ({type(error).__name__})"
    return NetworkError(
        f"No answer came from the service{why}.",
        "Check the address and the network, then go on; answers received so far are kept.",
    )
