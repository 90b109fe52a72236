"""The Together `Endpoint`: one model, serverless by its name or on hardware rented for it.

It never retries what may yet be answered; whoever asks does (`vtune_client.probe`). Shapes:
https://docs.together.ai/reference/chat-completions and .../completions.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.lease import Leases
from vtune_client.provider import (
    Answer,
    Decoding,
    Endpoint,
    EndpointCapabilities,
    ScoresNotOffered,
)
from vtune_client.telemetry import usage
from vtune_providers.together import wire
from vtune_providers.together.dedicated import Dedicated, Wanted
from vtune_providers.together.failures import Deed, Refused, garbage
from vtune_providers.together.line import Line

log = logging.getLogger(__name__)

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
MOST_LOGPROBS = 20
# What is scored to see whether scores are to be had; it says nothing of any plan.
TRIAL = Prompt(messages=({"role": "user", "content": "Count to three."},))
TRIAL_TEXT = Prompt(text="Count to three:")
TRIAL_ANSWER = " one, two, three."


class TogetherEndpoint(Endpoint):
    """Asks with chat messages, or with raw text where a prompt is that.

    Whether given text is scored (`echo` with `logprobs`) is seen at `acquire`."""

    def __init__(
        self,
        line: Line,
        *,
        concurrency: int = 8,
        wanted: Wanted | None = None,
        leases: Leases | None = None,
    ) -> None:
        if concurrency < 1:
            raise InputError("concurrency is at least 1.", "Choose a larger number.")
        self.capabilities = EndpointCapabilities(
            batch=1,
            concurrency=concurrency,
            scores=False,
            remembers=True,
            top_logprobs=MOST_LOGPROBS,
        )
        self._line = line
        self._wanted = wanted
        self._dedicated = Dedicated(line, leases or Leases())
        self._model: str | None = None
        self._scored: set[str] = set()  # paths by which given text is scored
        self._lists = True  # whether it lists candidates for the tokens it generates

    async def acquire(self, model: str) -> None:
        await self._let_go()
        await self._dedicated.sweep()
        name = model
        if self._wanted is not None:
            name = await self._dedicated.start(model, self._wanted)
        self._model = name
        try:
            await self._try_scores()
        except BaseException:
            await self._let_go()
            raise

    async def release(self) -> None:
        try:
            await self._let_go()
        finally:
            await self._line.aclose()

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return [await self._answer(prompt, decoding) for prompt in prompts]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        if _path(prompt) not in self._scored:
            raise _unscored()
        return [await self._score(prompt, continuation) for continuation in continuations]

    async def _let_go(self) -> None:
        self._model = None
        self._scored = set()
        self.capabilities = replace(self.capabilities, scores=False)
        await self._dedicated.stop()

    async def _answer(self, prompt: Prompt, decoding: Decoding) -> Answer:
        wanted = min(decoding.top_logprobs, MOST_LOGPROBS) if self._lists else 0
        try:
            payload = await self._ask(prompt, _drawn(decoding, wanted))
        except Refused as refused:
            if not wanted or refused.status not in (400, 422) or b"logprobs" not in _body(refused):
                raise
            log.info("The service lists no candidates for this model.")
            self._lists = False
            payload = await self._ask(prompt, _drawn(decoding, 0))
        answer = wire.answer_of(payload)
        if answer is None:
            raise garbage(Deed("answer a question", "answer"))
        usage(payload)
        return answer

    async def _score(self, prompt: Prompt, continuation: str) -> float:
        """Return the log-probability of the continuation: it is sent behind the prompt, and comes
        back with the log-probability of each of its tokens.

        In a chat it is sent as the assistant's message; what the model's template puts around it
        is not counted."""
        if prompt.text is not None:
            whole = Prompt(text=prompt.text + continuation)
        else:
            said = {"role": "assistant", "content": continuation}
            whole = Prompt(messages=(*prompt.messages, said), tools=prompt.tools)
        how = {"echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0.0}
        payload = await self._ask(whole, how)
        # Some templates strip a message before they put it in.
        found = wire.score_of(wire.echoed(payload), continuation.strip() or continuation)
        if found is None:
            raise _unscored()
        return found

    async def _try_scores(self) -> None:
        """See by which ways given text is scored; also shows a model that is not there."""
        refusals: list[ProviderError] = []
        for trial in (TRIAL, TRIAL_TEXT):
            try:
                await self._score(trial, TRIAL_ANSWER)
            except ScoresNotOffered:
                continue
            except Refused as refused:
                if refused.status in (401, 402, 403):
                    raise
                refusals.append(refused)
            except NetworkError as error:
                log.warning("%s Asking without scores.", error.message)
                break
            else:
                self._scored.add(_path(trial))
        if len(refusals) == 2 and all(_is_missing(refused) for refused in refusals):
            raise refusals[0]
        self.capabilities = replace(self.capabilities, scores=bool(self._scored))

    async def _ask(self, prompt: Prompt, how: Mapping[str, Any]) -> dict[str, Any]:
        if self._model is None:
            raise ProviderError("The endpoint is not open.", "Call acquire(model) first.")
        body: dict[str, Any] = {"model": self._model, **how}
        if prompt.text is not None:
            body["prompt"] = prompt.text
        else:
            body["messages"] = list(prompt.messages)
            if prompt.tools:
                body["tools"] = list(prompt.tools)
        private = (prompt.text, prompt.messages, prompt.tools)
        deed = Deed("answer a question", f"model {self._model!r} to ask", private=(private,))
        return await self._line.ask("post", _path(prompt), deed, body=body)


def _path(prompt: Prompt) -> str:
    return CHAT if prompt.text is None else COMPLETIONS


def _drawn(decoding: Decoding, logprobs: int) -> dict[str, Any]:
    how: dict[str, Any] = {
        "max_tokens": decoding.max_tokens,
        "temperature": decoding.temperature,
    }
    if decoding.seed is not None:
        how["seed"] = decoding.seed
    if logprobs:
        how["logprobs"] = logprobs
    return how


def _body(refused: Refused) -> bytes:
    return refused.reply.body


def _is_missing(refused: ProviderError) -> bool:
    return isinstance(refused, Refused) and refused.status == 404


def _unscored() -> ScoresNotOffered:
    return ScoresNotOffered(
        "The service gives no log-probabilities of given text for this model.",
        "Verify by text alone, or download the weights and ask them with the local provider.",
    )
