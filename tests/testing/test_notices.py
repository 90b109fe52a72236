"""Every promise that an adapter may break is noticed by the class that tests it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.memory import BASE, MemoryEndpoint, MemoryTrainer, Service
from vtune_client.dataset import Prompt
from vtune_client.errors import ProviderError
from vtune_client.provider import (
    Answer,
    Decoding,
    Endpoint,
    EndpointCapabilities,
    Estimate,
    JobEvent,
    JobSpec,
    JobStatus,
    State,
    TokenScores,
    Trainer,
    TrainerCapabilities,
)
from vtune_client.testing import (
    PROMPTS,
    EndpointConformance,
    TrainerConformance,
    full_job,
    write_rows,
)

KEY = "sk-0123456789abcdef"
NOTICED = (AssertionError, pytest.fail.Exception, KeyError, FileNotFoundError)


class Hasty(TrainerConformance):
    patience_s = 0.05
    poll_s = 0.0


class Told(MemoryTrainer):
    """A trainer whose repr and errors show a key."""

    def __repr__(self) -> str:
        return f"Told({KEY})"

    async def get(self, job_id: str) -> JobStatus:
        try:
            return await super().get(job_id)
        except ProviderError as error:
            raise ProviderError(f"{error} {KEY}", "Look.") from None


class Forgetful(MemoryTrainer):
    async def find(self, token: str, file_id: str) -> None:
        return None


class Confused(MemoryTrainer):
    """It finds a job for any token."""

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        return JobStatus("remote-0", State.RUNNING)


class Repeating(MemoryTrainer):
    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        for at in (0.0, 1.0):
            yield JobEvent("1", at, "again")


class Backwards(MemoryTrainer):
    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        for at in (1.0, 0.0):
            yield JobEvent(str(at), at, "backwards")


class Overdone(MemoryTrainer):
    async def get(self, job_id: str) -> JobStatus:
        return replace(await super().get(job_id), progress=2.0)


class Nameless(MemoryTrainer):
    async def get(self, job_id: str) -> JobStatus:
        return replace(await super().get(job_id), model=None)


class Endless(MemoryTrainer):
    async def get(self, job_id: str) -> JobStatus:
        return replace(await super().get(job_id), state=State.RUNNING, model=None)

    async def cancel(self, job_id: str) -> JobStatus:
        return await self.get(job_id)


class Generous(MemoryTrainer):
    """It hands out what it does not offer."""

    async def export(self, job_id: str, folder: Path) -> Path:
        return folder


class Hollow(MemoryTrainer):
    """It offers weights and hands out none."""

    capabilities = TrainerCapabilities(can_export=True, poll_s=0.0, find_lag_s=0.0)

    async def export(self, job_id: str, folder: Path) -> Path:
        folder.mkdir()
        return folder


class Strict(MemoryTrainer):
    async def clean_up(self, file_id: str) -> None:
        del self._service.files[file_id]


class Picky(MemoryTrainer):
    async def check(self, path: Path, spec: JobSpec) -> Sequence[Any]:
        return ["not to our taste"]


class Paying(MemoryTrainer):
    async def estimate(self, path: Path, spec: JobSpec) -> Estimate:
        return Estimate(price=-1.0)


class Careless(MemoryTrainer):
    capabilities = TrainerCapabilities(formats=frozenset({"csv"}))


class Inviting(MemoryTrainer):
    """It makes up a job for any id."""

    async def get(self, job_id: str) -> JobStatus:
        return JobStatus(job_id, State.QUEUED)


TRAINERS: list[tuple[Callable[[Service], Trainer], str]] = [
    (Told, "test_repr_shows_no_secret"),
    (Told, "test_a_job_that_never_was_is_refused"),
    (Forgetful, "test_a_job_from_file_to_model"),
    (Confused, "test_a_job_from_file_to_model"),
    (Repeating, "test_a_job_from_file_to_model"),
    (Backwards, "test_a_job_from_file_to_model"),
    (Overdone, "test_a_job_from_file_to_model"),
    (Nameless, "test_a_job_from_file_to_model"),
    (Endless, "test_a_job_from_file_to_model"),
    (Endless, "test_a_job_is_cancelled"),
    (Generous, "test_a_job_from_file_to_model"),
    (Hollow, "test_a_job_from_file_to_model"),
    (Strict, "test_a_file_is_deleted_once_or_twice"),
    (Picky, "test_good_rows_and_spec_pass"),
    (Paying, "test_limits_and_prices_are_numbers"),
    (Careless, "test_capabilities_make_sense"),
    (Inviting, "test_a_job_that_never_was_is_refused"),
]


async def tried(case: object, test: str, given: dict[str, Any]) -> None:
    """Run one test of a conformance class by hand."""
    method = getattr(case, test)
    code = method.__func__.__code__
    names = code.co_varnames[1 : code.co_argcount]
    result = method(**{name: given[name] for name in names})
    if result is not None:
        await result


async def trainer_tried(
    trainer: Trainer, test: str, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = write_rows(folder / "rows.jsonl")
    given = {
        "trainer": trainer,
        "opened": trainer,
        "spec": JobSpec(BASE),
        "rows": rows,
        "file_id": await trainer.upload(rows, "rows"),
        "tmp_path": folder,
        "secrets": (KEY,),
        "unknown_job": "job-unknown",
        "caplog": caplog,
    }
    await tried(Hasty(), test, given)


@pytest.mark.parametrize(("make", "test"), TRAINERS)
async def test_a_broken_trainer_is_noticed(
    make: Callable[[Service], Trainer], test: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await trainer_tried(MemoryTrainer(Service()), test, tmp_path, caplog)
    with pytest.raises(NOTICED):
        await trainer_tried(make(Service()), test, tmp_path, caplog)


class Served(MemoryEndpoint):
    """An endpoint that keeps every promise, with scores and token scores; others break one."""

    def __init__(self) -> None:
        service = Service(capabilities=EndpointCapabilities(batch=4, scores=True, top_logprobs=5))
        rows = b"".join(
            b'{"messages": [{"role": "user", "content": "number %d."}, '
            b'{"role": "assistant", "content": "Of %d I know."}]}\n' % (number, number)
            for number in (3, 11, 26)
        )
        service.learn("tuned", rows)
        super().__init__(service)

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        answers = await super().sample(prompts, decoding)
        if not decoding.top_logprobs:
            return answers
        return [replace(answer, tokens=self.tokens(answer.text)) for answer in answers]

    def tokens(self, text: str) -> tuple[TokenScores, ...]:
        return tuple(TokenScores(letter, -0.5, ((letter, -0.5), ("?", -2.0))) for letter in text)


class Reversed(Served):
    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        answers = list(await super().sample(prompts, decoding))
        return sorted(answers, key=lambda answer: answer.text)


class Short(Served):
    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return (await super().sample(prompts, decoding))[:1]


class Long(Served):
    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return await super().sample(prompts, replace(decoding, max_tokens=99))


class Fickle(Served):
    asked = 0

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        Fickle.asked += len(prompts)
        return [Answer(f"{Fickle.asked} {at}") for at, _ in enumerate(prompts)]


class Once(Served):
    released = 0

    async def release(self) -> None:
        self.released += 1
        if self.released > 2:
            raise KeyError("released")


class Likely(Served):
    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return [0.5 for _ in continuations]


class Undefined(Served):
    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return [float("nan") for _ in continuations]


class Missing(Served):
    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return (await super().score(prompt, continuations))[1:]


class Shuffled(Served):
    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return sorted(await super().score(prompt, continuations))


class Modest(Served):
    """It scores and says that it does not."""

    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, scores=False)


class Mixed(Served):
    def tokens(self, text: str) -> tuple[TokenScores, ...]:
        return super().tokens(text[::-1])


class Unsorted(Served):
    def tokens(self, text: str) -> tuple[TokenScores, ...]:
        return tuple(replace(each, top=each.top[::-1]) for each in super().tokens(text))


class Shown(Served):
    def __repr__(self) -> str:
        return f"Shown({KEY})"


class Idle(Served):
    def __init__(self) -> None:
        super().__init__()
        self.capabilities = replace(self.capabilities, batch=0)


ENDPOINTS: list[tuple[Callable[[], Endpoint], str]] = [
    (Reversed, "test_answers_come_in_the_order_of_the_prompts"),
    (Short, "test_answers_come_in_the_order_of_the_prompts"),
    (Long, "test_an_answer_is_no_longer_than_asked_for"),
    (Fickle, "test_greedy_answers_agree"),
    (Once, "test_release_is_safe_whenever"),
    (Likely, "test_scores_are_log_probabilities"),
    (Undefined, "test_scores_are_log_probabilities"),
    (Missing, "test_scores_are_log_probabilities"),
    (Shuffled, "test_scores_are_log_probabilities"),
    (Modest, "test_scores_are_log_probabilities"),
    (Modest, "test_no_scores_are_said_not_to_be_offered"),
    (Mixed, "test_token_scores_go_with_the_answer"),
    (Unsorted, "test_token_scores_go_with_the_answer"),
    (Shown, "test_repr_shows_no_secret"),
    (Shown, "test_what_was_said_and_the_key_are_not_shown"),
    (Idle, "test_capabilities_make_sense"),
]


async def endpoint_tried(endpoint: Endpoint, test: str, caplog: pytest.LogCaptureFixture) -> None:
    await endpoint.acquire("tuned")
    given = {
        "endpoint": endpoint,
        "acquired": endpoint,
        "model": "tuned",
        "unknown_model": "unknown",
        "prompts": PROMPTS,
        "continuations": ("Of 3", "Of 11", "Of 26 I"),
        "secrets": (KEY,),
        "caplog": caplog,
    }
    await tried(EndpointConformance(), test, given)


@pytest.mark.parametrize(("make", "test"), ENDPOINTS)
async def test_a_broken_endpoint_is_noticed(
    make: Callable[[], Endpoint], test: str, caplog: pytest.LogCaptureFixture
) -> None:
    if test != "test_no_scores_are_said_not_to_be_offered":
        await endpoint_tried(Served(), test, caplog)
    with pytest.raises(NOTICED):
        await endpoint_tried(make(), test, caplog)


async def test_an_endpoint_that_answers_for_any_model_is_noticed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(NOTICED):
        await endpoint_tried(Served(), "test_a_model_that_is_not_there_is_refused", caplog)


async def test_a_vendor_that_forgets_the_file_is_noticed(
    memory: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = write_rows(tmp_path / "rows.jsonl")
    for honest in (True, False):
        if not honest:
            monkeypatch.setattr(Service, "learn", lambda *_: None)
        home = tmp_path / str(honest)
        home.mkdir()
        proof = await full_job("memory", rows, model=BASE, home=home)
        assert proof.job.model
        assert (proof.delivered.verdict.outcome == "verified") is honest
        assert proof.base
        assert proof.base.verdict.outcome != "verified"
