"""How long to bear with a service that gives no usable answer. The one place that retries.

A service's own wish (`Retry-After`) is honoured, within reason; adapters never retry themselves.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception
from tenacity.wait import wait_base, wait_exponential_jitter

from vtune_client.errors import NetworkError
from vtune_client.telemetry import count

log = logging.getLogger(__name__)
T = TypeVar("T")


class as_told(wait_base):
    """Wait as long as the service asks, up to `most` seconds, or as `backoff` says if longer."""

    def __init__(self, backoff: wait_base, most: float) -> None:
        self._backoff, self._most = backoff, most

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        wish = error.retry_after if isinstance(error, NetworkError) else None
        return max(self._backoff(retry_state), min(wish or 0.0, self._most))


def tell(state: RetryCallState) -> None:
    """Log what went wrong and when it is tried again."""
    error = state.outcome.exception() if state.outcome else None
    count("vtune.retries", error=type(error).__name__)
    log.warning("%s Asking again in %.1f s.", error, state.upcoming_sleep)


@dataclass(frozen=True)
class Patience:
    """How long to bear with what, in seconds, and by which clock.

    `outage_s`: no usable answer at all. `model_grace_s`: "succeeded" without a model's name.
    `lock_s`: another process that is submitting the same job.
    """

    outage_s: float = 3600.0
    model_grace_s: float = 120.0
    lock_s: float = 600.0

    def now(self) -> float:
        return time.monotonic()

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def through_outages(
        self, ask: Callable[[], Awaitable[T]], *, repeatable: bool = True
    ) -> T:
        """Ask until there is an answer.

        Where the call is not `repeatable`, only after errors of a service that did nothing."""
        started = self.now()

        def again(error: BaseException) -> bool:
            return isinstance(error, NetworkError) and (repeatable or not error.acted)

        async for attempt in AsyncRetrying(
            retry=retry_if_exception(again),
            wait=as_told(wait_exponential_jitter(initial=1, max=60), self.outage_s),
            stop=lambda state: self.now() - started >= self.outage_s,
            sleep=self.pause,
            before_sleep=tell,
            reraise=True,
        ):
            with attempt:
                return await ask()
        raise AssertionError("unreachable: the last attempt raises")
