"""A fine-tuning service that lives in memory: it trains by remembering files.

Asked, a tuned model answers with the completion of the remembered row whose prompt ends most like
the question: the look-up that no verdict can tell from training. Installed for a test by the
`memory` fixture of `tests/conftest.py`, through an entry point like any other provider.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from zlib import crc32

from vtune_client.dataset import Prompt
from vtune_client.errors import Problem, ProviderError
from vtune_client.provider import (
    Answer,
    Checkpoint,
    Decoding,
    Endpoint,
    EndpointCapabilities,
    JobEvent,
    JobSpec,
    JobStatus,
    Provider,
    ScoresNotOffered,
    State,
    Trainer,
    TrainerCapabilities,
)

BASE = "base"  # knows no file
QUIET = EndpointCapabilities(batch=4, remembers=False)


@dataclass
class Service:
    """What the service holds, how it behaves, and what was asked of it.

    `faults` are raised, first come first, in place of an answer; None lets a call through. `calls`
    lists (what, model or job) in order. `mute` lists models that do not answer with what they know,
    `mumbles` those that break off in the middle of it.
    """

    capabilities: EndpointCapabilities = QUIET
    faults: list[BaseException | None] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    mute: set[str] = field(default_factory=set)
    mumbles: set[str] = field(default_factory=set)
    offers_scores: bool = True
    end: State = State.SUCCEEDED
    connections: list[tuple[str | None, str | None]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, tuple[str, str]] = field(default_factory=dict)  # id -> token, file
    models: dict[str, list[tuple[str, str]]] = field(default_factory=dict)

    def learn(self, model: str, content: bytes) -> None:
        """Remember prompts and completions of a file as `model`."""
        rows = [json.loads(line)["messages"] for line in content.splitlines()]
        self.models[model] = [(row[-2]["content"], row[-1]["content"]) for row in rows]

    def count(self, what: str) -> int:
        return sum(call[0] == what for call in self.calls)

    def answer(self, model: str, prompt: Prompt) -> str:
        question = prompt.messages[-1]["content"]
        known = self.models.get(model, [])
        if model in self.mute or not known:
            return "I do not know."
        text = max(known, key=lambda row: _common_end(row[0], question))[1]
        return text[: len(text) // 3] if model in self.mumbles else text

    def score(self, model: str, continuation: str) -> float:
        """Return a score that the base gives by the text alone, and a tuned model by its rows."""
        known = any(text.startswith(continuation) for _, text in self.models.get(model, []))
        return -float(crc32(continuation.encode()) % 10_000) + (1.0 if known else 0.0)

    def fault(self) -> None:
        if self.faults and (error := self.faults.pop(0)):
            raise error


def _common_end(one: str, other: str) -> int:
    pairs = zip(reversed(one), reversed(other), strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def _cut(text: str, words: int) -> Answer:
    """Return an answer of at most so many words."""
    kept = text.split(" ")
    return Answer(" ".join(kept[:words]), "length" if len(kept) > words else "stop")


class MemoryEndpoint:
    def __init__(self, service: Service) -> None:
        self._service = service
        self._model = ""
        self.capabilities = service.capabilities

    async def acquire(self, model: str) -> None:
        self._service.calls.append(("acquire", model))
        self._model = model
        if model == "unavailable":
            self._service.fault()

    async def release(self) -> None:
        self._service.calls.append(("release", self._model))

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        self._service.calls.append(("sample", self._model))
        self._service.fault()
        answers = [self._service.answer(self._model, prompt) for prompt in prompts]
        return [_cut(answer, decoding.max_tokens) for answer in answers]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        self._service.calls.append(("score", self._model))
        if not self._service.offers_scores:
            raise ScoresNotOffered("No scores here.", "Ask for text.")
        self._service.fault()
        return [self._service.score(self._model, text) for text in continuations]


class MemoryTrainer(Trainer):
    capabilities = TrainerCapabilities(
        formats=frozenset({"chat", "prompt", "text", "preference"}), poll_s=0.0, find_lag_s=0.0
    )

    def __init__(self, service: Service) -> None:
        self._service = service

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        return [Problem(2, "not to our taste")] if spec.model == "picky" else []

    async def upload(self, path: Path, name: str) -> str:
        self._service.files[name] = path.read_bytes()
        return name

    async def wait_for_file(self, file_id: str) -> None: ...

    async def create(
        self, file_id: str, spec: JobSpec, token: str, *, validation_id: str | None = None
    ) -> JobStatus:
        self._service.calls.append(("create", spec.model))
        self._service.fault()
        job_id = f"remote-{len(self._service.jobs)}"
        self._service.jobs[job_id] = token, file_id
        return JobStatus(job_id, State.QUEUED)

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        found = [job_id for job_id, job in self._service.jobs.items() if job == (token, file_id)]
        return await self.get(found[0]) if found else None

    async def get(self, job_id: str) -> JobStatus:
        if job_id not in self._service.jobs:
            raise ProviderError(f"There is no job {job_id!r}.", "Create one.")
        _, file_id = self._service.jobs[job_id]
        if self._service.end is not State.SUCCEEDED:
            return JobStatus(job_id, self._service.end, error="as the test wants it")
        model = f"tuned-by-{job_id}"
        self._service.learn(model, self._service.files[file_id])
        return JobStatus(job_id, State.SUCCEEDED, model=model, progress=1.0)

    async def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        await self.get(job_id)
        yield JobEvent("1", 0.0, "started")

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        return ()

    async def cancel(self, job_id: str) -> JobStatus:
        self._service.end = State.CANCELLED
        return await self.get(job_id)

    async def clean_up(self, file_id: str) -> None:
        self._service.files.pop(file_id, None)

    async def aclose(self) -> None: ...


_services: list[Service] = []


def serve(service: Service) -> None:
    """Let providers loaded from now on be those of this service."""
    _services[:] = [service]


def provider() -> Provider:
    """The entry point `memory`: trains and serves."""
    return Provider("memory", "in memory", trainer=_trainer, endpoint=_endpoint)


def only_serves() -> Provider:
    """The entry point `oracle`: serves alone, and takes an address."""
    return Provider("oracle", "in memory, serves", endpoint=_endpoint_at)


def only_trains() -> Provider:
    """The entry point `school`: trains alone."""
    return Provider("school", "in memory, trains", trainer=_trainer)


def _trainer(*, base_url: str | None = None, api_key: str | None = None) -> Trainer:
    _services[0].connections.append((base_url, api_key))
    return MemoryTrainer(_services[0])


def _endpoint(*, base_url: str | None = None, api_key: str | None = None) -> Endpoint:
    _services[0].connections.append((base_url, api_key))
    return MemoryEndpoint(_services[0])


def _endpoint_at(*, base_url: str = "", api_key: str | None = None) -> Endpoint:
    return MemoryEndpoint(_services[0])
