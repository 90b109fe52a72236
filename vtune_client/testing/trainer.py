"""What every trainer does, whatever stands behind it."""

from __future__ import annotations

import asyncio
import secrets as random_bytes
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from vtune_client.dataset import Format
from vtune_client.errors import InputError, NetworkError, Problem, ProviderError
from vtune_client.patience import Patience
from vtune_client.provider import (
    Estimate,
    JobEvent,
    JobSpec,
    JobStatus,
    State,
    Trainer,
    TrainerCapabilities,
)
from vtune_client.testing.samples import write_rows

T = TypeVar("T")

REFUSED = (ProviderError, InputError)


class TrainerConformance:
    """Override the fixtures `trainer` and `base`, and what else does not suit the service.

    Two or three small jobs are started, on `rows`; all but one of them are cancelled."""

    patience_s = 900.0  # for one job, and for one file
    poll_s: float | None = None  # None: as the trainer's capabilities say

    @pytest.fixture
    def trainer(self) -> Trainer:
        """The trainer to be tested, made anew for every test."""
        raise NotImplementedError("give the fixture `trainer`")

    @pytest.fixture
    def base(self) -> str:
        """The name of a base model, the cheapest there is."""
        raise NotImplementedError("give the fixture `base`")

    @pytest.fixture
    def spec(self, base: str) -> JobSpec:
        return JobSpec(base, epochs=1)

    @pytest.fixture
    def rows(self, tmp_path: Path) -> Path:
        """A file that the service takes."""
        return write_rows(tmp_path / "rows.jsonl")

    @pytest.fixture
    def unknown_job(self) -> str:
        """An id of the service's kind that no job has."""
        return "job-000000000000000000000000"

    @pytest.fixture
    def refused(self) -> Trainer | None:
        """A trainer with a key that the service does not take, where keys are asked for."""
        return None

    @pytest.fixture
    def secrets(self) -> Sequence[str]:
        """What may stand in no repr, log or error: the key of `trainer` and that of `refused`."""
        return ()

    @pytest_asyncio.fixture
    async def opened(self, trainer: Trainer) -> AsyncIterator[Trainer]:
        yield trainer
        await trainer.aclose()

    @pytest_asyncio.fixture
    async def file_id(self, opened: Trainer, rows: Path) -> AsyncIterator[str]:
        """The id of an uploaded file that may be trained on."""
        name = f"{_token()}.jsonl"
        file_id = await self._patiently(lambda: opened.upload(rows, name))
        await self._patiently(lambda: opened.wait_for_file(file_id))
        yield file_id
        await opened.clean_up(file_id)

    def test_capabilities_make_sense(self, trainer: Trainer) -> None:
        has = trainer.capabilities
        assert isinstance(has, TrainerCapabilities)
        assert has.formats
        assert has.formats <= set(Format)
        assert has.methods
        assert has.methods <= {"supervised", "dpo"}
        assert has.min_rows >= 1
        assert has.max_bytes is None or has.max_bytes > 0
        assert has.poll_s >= 0
        assert has.find_lag_s >= 0

    def test_repr_shows_no_secret(self, trainer: Trainer, secrets: Sequence[str]) -> None:
        assert not any(secret in repr(trainer) for secret in secrets)

    @pytest.mark.asyncio
    async def test_good_rows_and_spec_pass(
        self, opened: Trainer, rows: Path, spec: JobSpec
    ) -> None:
        problems = await opened.check(rows, spec)
        assert all(isinstance(problem, Problem) for problem in problems)
        assert list(problems) == []

    @pytest.mark.asyncio
    async def test_limits_and_prices_are_numbers(
        self, opened: Trainer, rows: Path, spec: JobSpec
    ) -> None:
        longest = await opened.max_row_tokens(spec.model)
        assert longest is None or longest > 0
        _assert_sane(await opened.estimate(rows, spec))

    @pytest.mark.asyncio
    async def test_a_job_from_file_to_model(
        self,
        opened: Trainer,
        file_id: str,
        spec: JobSpec,
        tmp_path: Path,
        secrets: Sequence[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        caplog.set_level("DEBUG")
        if quote := await opened.quote(file_id, spec):
            _assert_sane(quote)
        token = _token()
        assert await opened.find(token, file_id) is None
        created = await opened.create(file_id, spec, token)
        assert isinstance(created, JobStatus)
        try:
            assert (await self._found(opened, token, file_id)).id == created.id
            early = await self._events(opened, created.id)
            done = await self._until(
                opened, created.id, lambda status: status.state.final and _named(status)
            )
            assert done.state is State.SUCCEEDED, done.error
            assert done.model
            late = await self._events(opened, created.id)
            assert late[: len(early)] == early
            for checkpoint in await opened.checkpoints(created.id):
                assert checkpoint.id
                assert checkpoint.model
            await self._check_export(opened, created.id, tmp_path / "exported")
        finally:
            await self._ended(opened, created.id)
        assert not any(secret in caplog.text for secret in secrets)

    @pytest.mark.asyncio
    async def test_a_job_is_cancelled(self, opened: Trainer, file_id: str, spec: JobSpec) -> None:
        created = await opened.create(file_id, spec, _token())
        try:
            status = await opened.cancel(created.id)
            assert status.id == created.id
        finally:
            ended = await self._ended(opened, created.id)
        # A small job may be done before it can be stopped.
        assert ended.state in (State.CANCELLED, State.SUCCEEDED)

    @pytest.mark.asyncio
    async def test_a_job_is_paused_where_that_is_offered(
        self, opened: Trainer, file_id: str, spec: JobSpec
    ) -> None:
        created = await opened.create(file_id, spec, _token())
        try:
            if not opened.capabilities.can_pause:
                for ask in (opened.pause, opened.resume):
                    with pytest.raises(ProviderError):
                        await ask(created.id)
                return
            with suppress(ProviderError):  # it may have ended meanwhile
                await opened.pause(created.id)
                paused = await self._until(
                    opened,
                    created.id,
                    lambda status: status.state is State.PAUSED or status.state.final,
                )
                if paused.state is State.PAUSED:
                    await opened.resume(created.id)
                    await self._until(
                        opened, created.id, lambda status: status.state is not State.PAUSED
                    )
        finally:
            await self._ended(opened, created.id)

    @pytest.mark.asyncio
    async def test_a_job_that_never_was_is_refused(
        self, opened: Trainer, unknown_job: str, secrets: Sequence[str]
    ) -> None:
        for ask in (opened.get, opened.cancel):
            with pytest.raises(REFUSED) as caught:
                await ask(unknown_job)
            assert not any(secret in str(caught.value) for secret in secrets)
        with pytest.raises(REFUSED):
            [event async for event in opened.events(unknown_job)]

    @pytest.mark.asyncio
    async def test_a_file_is_deleted_once_or_twice(self, opened: Trainer, rows: Path) -> None:
        name = f"{_token()}.jsonl"
        file_id = await self._patiently(lambda: opened.upload(rows, name))
        await opened.clean_up(file_id)
        await opened.clean_up(file_id)

    @pytest.mark.asyncio
    async def test_closing_twice_is_closing(self, trainer: Trainer) -> None:
        await trainer.aclose()
        await trainer.aclose()

    @pytest.mark.asyncio
    async def test_a_wrong_key_is_refused_and_not_shown(
        self,
        refused: Trainer | None,
        rows: Path,
        unknown_job: str,
        secrets: Sequence[str],
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        if refused is None:
            pytest.skip("no keys are asked for")
        caplog.set_level("DEBUG")
        with pytest.raises(REFUSED) as upload:
            await refused.upload(rows, "rows.jsonl")
        with pytest.raises(REFUSED) as get:
            await refused.get(unknown_job)
        await refused.aclose()
        said = f"{upload.value} {get.value} {refused!r} {caplog.text}"
        assert not any(secret in said for secret in secrets)

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Ask as the core does, which bears with outages so that adapters need not."""
        return await Patience(outage_s=self.patience_s).through_outages(ask)

    async def _until(
        self, trainer: Trainer, job_id: str, wanted: Callable[[JobStatus], object]
    ) -> JobStatus:
        """Ask after a job until it is as wanted."""
        deadline = time.monotonic() + self.patience_s
        while True:
            status = await self._patiently(lambda: trainer.get(job_id))
            assert status.id == job_id
            assert status.progress is None or 0 <= status.progress <= 1
            if wanted(status):
                return status
            assert time.monotonic() < deadline, f"still {status.state} after {self.patience_s:g} s"
            poll_s = trainer.capabilities.poll_s if self.poll_s is None else self.poll_s
            await asyncio.sleep(poll_s)

    async def _found(self, trainer: Trainer, token: str, file_id: str) -> JobStatus:
        deadline = time.monotonic() + trainer.capabilities.find_lag_s
        while True:
            asked = time.monotonic()
            if status := await self._patiently(lambda: trainer.find(token, file_id)):
                return status
            assert asked < deadline, "a job just created is not found by its token"
            await asyncio.sleep(0.5)

    async def _events(self, trainer: Trainer, job_id: str) -> list[JobEvent]:
        events = [event async for event in trainer.events(job_id)]
        assert len({event.id for event in events}) == len(events), "two events of one id"
        assert sorted(events, key=lambda event: event.at) == events, "not the oldest first"
        return events

    async def _check_export(self, trainer: Trainer, job_id: str, folder: Path) -> None:
        if not trainer.capabilities.can_export:
            with pytest.raises(ProviderError):
                await trainer.export(job_id, folder)
            assert not folder.exists()
            return
        where = await trainer.export(job_id, folder)
        assert where.is_relative_to(folder)
        assert any(folder.iterdir())
        with pytest.raises(REFUSED):  # it is not empty now
            await trainer.export(job_id, folder)

    async def _ended(self, trainer: Trainer, job_id: str) -> JobStatus:
        """Leave no job running, whatever a test found."""
        status = await self._patiently(lambda: trainer.get(job_id))
        if not status.state.final:
            with suppress(ProviderError, NetworkError):
                await trainer.cancel(job_id)
        return await self._until(trainer, job_id, lambda status: status.state.final)


def _named(status: JobStatus) -> bool:
    """Some services say "succeeded" a little before the model has its name."""
    return status.state is not State.SUCCEEDED or bool(status.model)


def _token() -> str:
    return random_bytes.token_hex(12)


def _assert_sane(cost: Estimate) -> None:
    assert isinstance(cost, Estimate)
    assert cost.price is None or cost.price >= 0
    assert cost.tokens is None or cost.tokens > 0
    assert cost.currency
