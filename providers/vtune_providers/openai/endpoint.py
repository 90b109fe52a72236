"""The openai `Endpoint`: one model of one service, asked through the SDK.

It never retries what may yet be answered. Where a service refuses a parameter by name, it is asked
again without, and that is remembered.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.errors import NetworkError, ProviderError
from vtune_client.provider import (
    Answer,
    Decoding,
    Endpoint,
    EndpointCapabilities,
    ScoresNotOffered,
)
from vtune_client.telemetry import usage
from vtune_providers.chat import wire
from vtune_providers.openai.client import Service
from vtune_providers.openai.deployment import Deployments, is_fine_tuned, untold
from vtune_providers.openai.failures import Doing, garbage
from vtune_providers.openai.preflight import check_shutdown
from vtune_providers.openai.presets import AZURE, NEBIUS
from vtune_providers.openai.settings import Settings

log = logging.getLogger(__name__)
# How many candidates are asked for, most first: OpenAI lists 20, some services 5, some none.
MOST = (20, 5, 0)
MOST_RAW = 5  # of /completions
SETTLING_S = 300.0  # Azure may know nothing of a new deployment for so long


class OpenAIEndpoint(Endpoint):
    """Asks with chat messages, or with raw text where a prompt is that."""

    def __init__(self, settings: Settings) -> None:
        self.capabilities = EndpointCapabilities(
            batch=1,
            concurrency=settings.given.concurrency,
            scores=False,
            remembers=True,
            top_logprobs=MOST[0],
        )
        self._settings = settings
        self._service = Service(settings)
        self._deployments: Deployments | None = None
        if settings.preset is AZURE and settings.given.arm_token:
            self._deployments = Deployments(settings)
        self._model: str | None = None
        self._limit = wire.MAX_TOKENS
        self._settled_at: float | None = None

    async def acquire(self, model: str) -> None:
        """Make `model` answer; on Azure a fine-tuned model is deployed first, if we may."""
        await self.release()
        if _is_source(model, self._settings):
            raise ProviderError(
                f"At Nebius the model {model!r} answers only once it is deployed.",
                "Deploy it (POST /v0/models with it as the source) and give the name it gets.",
            )
        try:
            self._model = await self._deployed(model)
            await self._look_up(self._model)
        except BaseException:
            await self.release()
            raise

    async def release(self) -> None:
        self._model = self._settled_at = None
        try:
            if self._deployments is not None:
                await self._deployments.unmake()
        finally:
            await self._service.aclose()

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return [await self._answer(prompt, decoding) for prompt in prompts]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        raise ScoresNotOffered(
            "OpenAI's API gives no log-probabilities of given text.",
            "Verify by text alone, or ask the weights with the local or the vllm provider.",
        )

    async def _deployed(self, model: str) -> str:
        if self._settings.preset is not AZURE or not is_fine_tuned(model):
            return model
        if self._deployments is None:
            raise untold(model)
        await self._deployments.sweep()
        name = await self._deployments.make(model)
        self._settled_at = asyncio.get_running_loop().time() + SETTLING_S
        return name

    async def _look_up(self, model: str) -> None:
        """Ask what the service says of the model; one it does not list is asked all the same."""
        doing = Doing(f"look up the model {model!r}", f"model {model!r}")
        try:
            reply = await self._service.ask(
                lambda sdk: sdk.models.with_raw_response.retrieve(model), doing
            )
        except NetworkError as error:
            log.warning("%s Asking for answers all the same.", error.message)
            return
        if reply.status == 401:
            raise self._service.failed(reply, doing)
        payload = reply.json()
        if reply.ok and isinstance(payload, dict):
            check_shutdown(model, payload, datetime.now(UTC).date())
        elif self._settings.preset is not AZURE:
            log.warning("The service does not list %r; asking it all the same.", model)

    async def _answer(self, prompt: Prompt, decoding: Decoding) -> Answer:
        if self._model is None:
            raise ProviderError("The endpoint is not open.", "Call acquire(model) first.")
        doing = Doing(
            f"answer with {self._model!r}",
            f"model {self._model!r} at this address",
            (prompt.text, prompt.messages, prompt.tools),
        )
        body, reply = await self._asked(prompt, decoding, doing)
        if not reply.ok:
            raise self._refusal(reply, doing)
        payload = reply.json()
        answer = wire.answer_of(payload)
        if answer is None:
            raise garbage(reply, doing)
        usage(payload)
        if body.get("logprobs") and answer.text and not answer.tokens and answer.finish == "stop":
            self._cap(0)
        return answer

    async def _asked(
        self, prompt: Prompt, decoding: Decoding, doing: Doing
    ) -> tuple[dict[str, Any], wire.Reply]:
        """Return what was asked in the end, and the reply to it."""
        while True:
            body = self._body(prompt, decoding)
            reply = await self._posted(body, doing)
            if wire.wants_other_limit(reply, body):
                self._limit = wire.MAX_COMPLETION_TOKENS
            elif _refuses_logprobs(reply, body):
                asked = body["top_logprobs"] if "messages" in body else body["logprobs"]
                self._cap(next(most for most in MOST if most < asked))
            else:
                return body, reply

    def _body(self, prompt: Prompt, decoding: Decoding) -> dict[str, Any]:
        most = self.capabilities.top_logprobs
        if prompt.text is not None:
            most = min(most, MOST_RAW)
        wanted = replace(decoding, top_logprobs=min(decoding.top_logprobs, most))
        return wire.question(self._model or "", prompt, wanted, self._limit)[1]

    async def _posted(self, body: dict[str, Any], doing: Doing) -> wire.Reply:
        timeout_s = self._settings.given.timeout
        try:
            async with asyncio.timeout(timeout_s):
                if "messages" in body:
                    return await self._service.ask(
                        lambda sdk: sdk.chat.completions.with_raw_response.create(**body), doing
                    )
                return await self._service.ask(
                    lambda sdk: sdk.completions.with_raw_response.create(**body), doing
                )
        except TimeoutError:
            raise NetworkError(
                f"No answer came in {timeout_s:g} s.",
                "Try again later; answers received so far are kept.",
            ) from None

    def _cap(self, most: int) -> None:
        """Ask for fewer log-probabilities from here on, none where `most` is 0."""
        if most < self.capabilities.top_logprobs:
            log.warning("The service gives %s log-probabilities.", f"{most}" if most else "no")
            self.capabilities = replace(self.capabilities, top_logprobs=most)

    def _refusal(self, reply: wire.Reply, doing: Doing) -> Exception:
        fresh = self._settled_at
        if reply.status == 404 and fresh and asyncio.get_running_loop().time() < fresh:
            return NetworkError(
                "Azure does not know the new deployment yet (HTTP 404).",
                "Wait a few minutes and go on.",
                retry_after=20.0,
                acted=False,
            )
        if reply.status == 404 and self._settings.preset is AZURE:
            return untold(self._model or "")
        return self._service.failed(reply, doing)


def _is_source(model: str, settings: Settings) -> bool:
    """Return whether this is a checkpoint of a job at Nebius, which is no model yet."""
    return settings.preset is NEBIUS and model.startswith("ftjob-") and ":" in model


def _refuses_logprobs(reply: wire.Reply, body: dict[str, Any]) -> bool:
    return reply.status in (400, 422) and "logprobs" in body and b"logprobs" in reply.body
