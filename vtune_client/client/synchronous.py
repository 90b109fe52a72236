"""The Python face without `await`: every call of `AsyncVTune`, run to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from vtune_client.client.asynchronous import AsyncVTune, Exchange, silent
from vtune_client.job import OnJob
from vtune_client.ledger import Job, PlanRecord
from vtune_client.phrases import PhraseSource
from vtune_client.plan import PlanSpec
from vtune_client.plant import Planted
from vtune_client.vault import Vault
from vtune_client.verify import OnStep, Verification

T = TypeVar("T")


class VTune:
    """`AsyncVTune` for code that does not await; see there for what each call does."""

    def __init__(
        self,
        *,
        home: Path | None = None,
        vault: Vault | None = None,
        phrases: PhraseSource | None = None,
        passphrase: Callable[[], str] | None = None,
    ) -> None:
        self._async = AsyncVTune(home=home, vault=vault, phrases=phrases, passphrase=passphrase)
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

    def plan(self, file: str | Path, spec: PlanSpec | None = None) -> PlanRecord:
        return _run(self._async.plan(file, spec))

    def plant(self, plan_id: str, out: str | Path) -> Planted:
        return _run(self._async.plant(plan_id, out))

    def fine_tune(
        self,
        file: str | Path | None = None,
        *,
        model: str,
        provider: str = "local",
        plan: PlanSpec | str | None = None,
        keep_planted: bool = False,
        on_job: Callable[[Job], None] | None = None,
        **recipe: Any,
    ) -> Job:
        return _run(
            self._async.fine_tune(
                file,
                model=model,
                provider=provider,
                plan=plan,
                keep_planted=keep_planted,
                on_job=on_job,
                **recipe,
            )
        )

    def wait(self, job_id: str, *, on_job: OnJob | None = None) -> Job:
        return _run(self._async.wait(job_id, on_job=on_job))

    def status(self, job_id: str) -> Job:
        return _run(self._async.status(job_id))

    def cancel(self, job_id: str) -> Job:
        return _run(self._async.cancel(job_id))

    def verify(
        self,
        job_id: str,
        *,
        model: str | None = None,
        control: str | None = None,
        budget: int | None = None,
        text_only: bool = False,
        on_step: OnStep = silent,
    ) -> Verification:
        return _run(
            self._async.verify(
                job_id,
                model=model,
                control=control,
                budget=budget,
                text_only=text_only,
                on_step=on_step,
            )
        )

    def verify_plan(
        self,
        plan_id: str,
        *,
        model: str,
        provider: str = "local",
        base: str | None = None,
        options: Mapping[str, Any] | None = None,
        control: str | None = None,
        budget: int | None = None,
        text_only: bool = False,
        on_step: OnStep = silent,
    ) -> Verification:
        return _run(
            self._async.verify_plan(
                plan_id,
                model=model,
                provider=provider,
                base=base,
                options=options,
                control=control,
                budget=budget,
                text_only=text_only,
                on_step=on_step,
            )
        )

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
