"""Ask the delivered model: every backdoor with prompts of its own carriers and with fresh ones.

Answers are handed to `keep` as they arrive, so a round that is cut short goes on where it stopped
and no question is paid for twice.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tenacity import (
    AsyncRetrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from vtune_client.dataset import Prompt
from vtune_client.errors import BudgetError, NetworkError
from vtune_client.plan import Plan
from vtune_client.provider import Answer, Decoding, Endpoint

log = logging.getLogger(__name__)
ATTEMPTS = 6


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


def probes_of(plan: Plan) -> tuple[Probe, ...]:
    """Return every query of the plan, the first of each backdoor first."""
    probes = [
        Probe(index, number, number >= len(backdoor.own), prompt)
        for index, backdoor in enumerate(plan.backdoors)
        for number, prompt in enumerate(backdoor.probes())
    ]
    return tuple(sorted(probes, key=lambda probe: (probe.number, probe.backdoor)))


def decoding_for(plan: Plan) -> Decoding:
    """Return greedy decoding, long enough for the longest signature in any tokenizer we know."""
    longest = max(len(backdoor.frame.text.split()) for backdoor in plan.backdoors)
    return Decoding(max_tokens=longest * 2 + 8)


async def ask(
    endpoint: Endpoint,
    probes: Sequence[Probe],
    decoding: Decoding,
    *,
    known: Mapping[str, Answer],
    keep: Callable[[Probe, Answer], None],
    budget: int | None = None,
) -> dict[str, Answer]:
    """Return an answer for every probe, by item; those in `known` are not asked again.

    `budget` is the largest number of queries to send, counting every retry. Raises `BudgetError`
    before the first query where it cannot suffice, or once retries have used it up; `NetworkError`
    where a query stays unanswered after several attempts.
    """
    answers = {probe.item: known[probe.item] for probe in probes if probe.item in known}
    missing = [probe for probe in probes if probe.item not in answers]
    meter = _Meter(budget)
    meter.check(len(missing))
    size = endpoint.capabilities.batch
    gate = asyncio.Semaphore(endpoint.capabilities.concurrency)

    async def one(batch: Sequence[Probe]) -> None:
        async with gate:
            replies = await _sample(endpoint, [probe.prompt for probe in batch], decoding, meter)
        for probe, answer in zip(batch, replies, strict=True):
            answers[probe.item] = answer
            keep(probe, answer)

    try:
        async with asyncio.TaskGroup() as group:
            for start in range(0, len(missing), size):
                group.create_task(one(missing[start : start + size]))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None  # the first stopped the others
    return answers


async def score(
    endpoint: Endpoint, prompt: Prompt, continuations: Sequence[str]
) -> Sequence[float]:
    """Return the log-probability of each continuation, through network trouble."""
    async for attempt in _attempts():
        with attempt:
            return await endpoint.score(prompt, continuations)
    raise AssertionError("unreachable: the last attempt raises")


async def _sample(
    endpoint: Endpoint, prompts: Sequence[Prompt], decoding: Decoding, meter: _Meter
) -> Sequence[Answer]:
    async for attempt in _attempts():
        with attempt:
            meter.spend(len(prompts))
            return await endpoint.sample(prompts, decoding)
    raise AssertionError("unreachable: the last attempt raises")


def _attempts() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception_type(NetworkError),
        wait=wait_exponential_jitter(initial=0.5, max=30),
        stop=stop_after_attempt(ATTEMPTS),
        before_sleep=before_sleep_log(log, logging.WARNING),
        reraise=True,
    )


class _Meter:
    """Counts queries against the budget."""

    def __init__(self, budget: int | None) -> None:
        self._budget = budget
        self._spent = 0

    def check(self, queries: int) -> None:
        if self._budget is not None and self._spent + queries > self._budget:
            raise BudgetError(
                f"{self._spent + queries} queries are needed, and the budget is {self._budget}.",
                "Raise the budget; answers received so far are kept.",
            )

    def spend(self, queries: int) -> None:
        self.check(queries)
        self._spent += queries
