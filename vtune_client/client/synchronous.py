"""The Python face without `await`: every call of `AsyncVTune`, run to its end."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from vtune_client.client.asynchronous import AsyncVTune
from vtune_client.client.transcript import Exchange
from vtune_client.ledger import Ledger
from vtune_client.patience import Patience
from vtune_client.phrases import PhraseSource
from vtune_client.plan import Plan
from vtune_client.vault import Vault

P = ParamSpec("P")
T = TypeVar("T")


def _blocking(
    method: Callable[Concatenate[AsyncVTune, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[VTune, P], T]:
    """Return the method of `VTune` that runs this one to its end; signature and docs stay."""

    @functools.wraps(method)
    def call(self: VTune, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return _run(method(self._async, *args, **kwargs))

    return call


class VTune:
    """`AsyncVTune` for code that does not await; see there for what each call does."""

    def __init__(
        self,
        *,
        home: Path | None = None,
        vault: Vault | None = None,
        phrases: PhraseSource | None = None,
        passphrase: Callable[[], str] | None = None,
        patience: Patience | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self._async = AsyncVTune(
            home=home,
            vault=vault,
            phrases=phrases,
            passphrase=passphrase,
            patience=patience,
            ledger=ledger,
        )
        self.ledger = self._async.ledger

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.ledger.close()

    plan = _blocking(AsyncVTune.plan)
    plant = _blocking(AsyncVTune.plant)
    write_held_out = _blocking(AsyncVTune.write_held_out)
    fine_tune = _blocking(AsyncVTune.fine_tune)
    wait = _blocking(AsyncVTune.wait)
    status = _blocking(AsyncVTune.status)
    cancel = _blocking(AsyncVTune.cancel)
    pause = _blocking(AsyncVTune.pause)
    resume = _blocking(AsyncVTune.resume)
    export = _blocking(AsyncVTune.export)
    verify = _blocking(AsyncVTune.verify)
    verify_plan = _blocking(AsyncVTune.verify_plan)
    reprobe = _blocking(AsyncVTune.reprobe)
    attest = _blocking(AsyncVTune.attest)

    def open_plan(self, plan_id: str) -> Plan:
        return self._async.open_plan(plan_id)

    def foresight(self, plan_id: str) -> tuple[str, ...]:
        return self._async.foresight(plan_id)

    def transcript(self, verification_id: str) -> list[Exchange]:
        return self._async.transcript(verification_id)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, in a thread of its own where a loop is running already (a notebook).

    An interrupt that comes meanwhile stops the work, too."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    loop = asyncio.new_event_loop()
    with ThreadPoolExecutor(1) as pool:
        task = loop.create_task(work)
        done = pool.submit(_to_the_end, loop, task)
        try:
            return done.result()
        except BaseException:
            if not done.done():
                loop.call_soon_threadsafe(task.cancel)
            raise


def _to_the_end(loop: asyncio.AbstractEventLoop, task: asyncio.Task[T]) -> T:
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_awaited(task))


async def _awaited(task: asyncio.Task[T]) -> T:
    return await task
