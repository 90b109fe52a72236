"""Ask the delivered model: every backdoor with prompts of its own carriers and with fresh ones.

Answers are handed to `keep` as they arrive, so a round that is cut short goes on where it stopped
and no question is paid for twice.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from tenacity import (
    AsyncRetrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential,
    wait_random,
)

from vtune_client.dataset import Prompt
from vtune_client.errors import BudgetError, NetworkError, ProviderError
from vtune_client.patience import as_told, tell
from vtune_client.plan import Plan
from vtune_client.provider import Answer, Decoding, Endpoint
from vtune_client.telemetry import count, span

ATTEMPTS = 6
PATIENCE_S = 120.0  # a service that asks for a longer pause is asked again all the same
_WAIT = as_told(wait_exponential(multiplier=0.5, max=30) + wait_random(0, 1), PATIENCE_S)

Sleep = Callable[[float], Awaitable[None]]  # seconds


@dataclass(frozen=True)
class Probe:
    """One query: prompt `number` of a backdoor; `fresh` where its row carried nothing."""

    backdoor: int
    number: int
    fresh: bool
    prompt: Prompt = field(repr=False)

    @property
    def item(self) -> str:
        """Its name in the ledger."""
        return f"answer {self.backdoor}.{self.number}"


class Query(Protocol):
    """A prompt to be answered, by its name in the ledger."""

    @property
    def item(self) -> str: ...

    @property
    def prompt(self) -> Prompt: ...


Q = TypeVar("Q", bound=Query)


def probes_of(plan: Plan) -> tuple[Probe, ...]:
    """Return every query of the plan, the first of each backdoor first."""
    probes = [
        Probe(index, number, number >= len(backdoor.own), prompt)
        for index, backdoor in enumerate(plan.backdoors)
        for number, prompt in enumerate(backdoor.probes())
    ]
    return tuple(sorted(probes, key=lambda probe: (probe.number, probe.backdoor)))


def decoding_for(plan: Plan, top_logprobs: int = 0) -> Decoding:
    """Return greedy decoding, long enough for the longest signature in any tokenizer we know."""
    longest = max(len(backdoor.frame.text.split()) for backdoor in plan.backdoors)
    return Decoding(max_tokens=longest * 2 + 8, top_logprobs=top_logprobs)


class Meter:
    """Counts queries against `budget`, the most to send: prompts to answer and texts to score,
    every retry too. None: no limit."""

    def __init__(self, budget: int | None = None) -> None:
        self._budget = budget
        self._spent = 0

    def check(self, queries: int) -> None:
        """Raise `BudgetError` where that many more cannot be sent."""
        if self._budget is not None and self._spent + queries > self._budget:
            raise BudgetError(
                f"{self._spent + queries} queries are needed, and the budget is {self._budget}.",
                "Raise the budget, or ask for text only; answers received so far are kept.",
            )

    def spend(self, queries: int) -> None:
        self.check(queries)
        self._spent += queries


async def ask(
    endpoint: Endpoint,
    probes: Sequence[Q],
    decoding: Decoding,
    *,
    known: Mapping[str, Answer],
    keep: Callable[[Q, Answer], None],
    meter: Meter,
    sleep: Sleep = asyncio.sleep,
) -> dict[str, Answer]:
    """Return an answer for every probe, by item; those in `known` are not asked again.

    Raises `BudgetError` before the first query where the budget cannot suffice, or once retries
    have used it up; `NetworkError` where a query stays unanswered after several attempts. `sleep`
    waits between them.
    """
    answers = {probe.item: known[probe.item] for probe in probes if probe.item in known}
    missing = [probe for probe in probes if probe.item not in answers]
    meter.check(len(missing))
    size = endpoint.capabilities.batch

    def one(batch: Sequence[Q]) -> Callable[[], Awaitable[None]]:
        async def asked() -> None:
            prompts = [probe.prompt for probe in batch]
            replies = await _sample(endpoint, prompts, decoding, meter, sleep)
            for probe, answer in zip(batch, replies, strict=True):
                answers[probe.item] = answer
                keep(probe, answer)

        return asked

    batches = [missing[start : start + size] for start in range(0, len(missing), size)]
    await gather(endpoint, [one(batch) for batch in batches])
    return answers


async def gather(endpoint: Endpoint, calls: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Make all calls, as many at a time as the endpoint likes; raise what stopped the first."""
    gate = asyncio.Semaphore(endpoint.capabilities.concurrency)

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        async with gate:
            await call()

    try:
        async with asyncio.TaskGroup() as group:
            for call in calls:
                group.create_task(one(call))
    except ExceptionGroup as errors:
        raise _first(errors) from None


async def score(
    endpoint: Endpoint,
    prompt: Prompt,
    continuations: Sequence[str],
    *,
    meter: Meter,
    sleep: Sleep = asyncio.sleep,
) -> Sequence[float]:
    """Return the log-probability of each continuation in nats, through network trouble.

    Raises as `ask` does, `ScoresNotOffered` as the endpoint does, and `ProviderError` for scores
    that are no finite numbers."""
    async for attempt in _attempts(sleep):
        with attempt:
            meter.spend(len(continuations))
            with span("score", texts=len(continuations)):
                scores = await endpoint.score(prompt, continuations)
            count("vtune.questions", len(continuations), kind="score")
    if len(scores) != len(continuations) or not all(map(math.isfinite, scores)):
        raise ProviderError(
            "The endpoint's scores are not one finite number for each text.",
            "Ask for text only, and report this to whoever runs the endpoint.",
        )
    return scores


async def _sample(
    endpoint: Endpoint,
    prompts: Sequence[Prompt],
    decoding: Decoding,
    meter: Meter,
    sleep: Sleep,
) -> Sequence[Answer]:
    async for attempt in _attempts(sleep):
        with attempt:
            meter.spend(len(prompts))
            kind = "chat" if prompts[0].text is None else "text_completion"
            with span("ask", operation=kind, texts=len(prompts), max_tokens=decoding.max_tokens):
                answers = await endpoint.sample(prompts, decoding)
            count("vtune.questions", len(prompts), kind=kind)
    if len(answers) != len(prompts):
        raise ProviderError(
            f"The endpoint gave {len(answers)} answers to {len(prompts)} prompts.",
            "Report this to whoever runs the endpoint or wrote its adapter.",
        )
    return answers


def _attempts(sleep: Sleep) -> AsyncRetrying:
    return AsyncRetrying(
        sleep=sleep,
        retry=retry_if_exception_type(NetworkError),
        wait=_WAIT,
        stop=stop_after_attempt(ATTEMPTS),
        before_sleep=tell,
        reraise=True,
    )


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    """Return the error that stopped all the others; an adapter may have grouped it, too."""
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
