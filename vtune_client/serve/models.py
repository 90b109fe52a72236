"""Bases and delivered models, and their answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vtune_client.dataset import Prompt
from vtune_client.errors import InputError
from vtune_client.provider import (
    Answer,
    Decoding,
    Endpoint,
    EndpointCapabilities,
    ScoresNotOffered,
    TokenScores,
)
from vtune_client.serve.records import JobRecord
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.store import Shelf

# A text is scored by its words; a line break is one of its own, as it ends a turn.
_WORD = re.compile(r"[^\S\n]*\S+|\n|[^\S\n]+")


@dataclass(frozen=True)
class ModelRecord:
    """A model that can be asked by its `name`; `job` is the one that made it, None for a base."""

    name: str
    created: float
    target: str = field(repr=False)
    job: JobRecord | None = None


class Models:
    """Answers by name. Of the models asked last, `kept` stay ready.

    `front` puts before the endpoint of a delivered model what answers in its place."""

    def __init__(
        self,
        bases: Mapping[str, str],
        jobs: Shelf[JobRecord],
        make: Callable[[], Endpoint],
        *,
        since: float,
        kept: int,
        front: Callable[[Endpoint, JobRecord], Endpoint] = lambda endpoint, job: endpoint,
    ) -> None:
        self._bases, self._jobs, self._since = bases, jobs, since
        self._make, self._kept, self._front = make, kept, front
        self._ready: dict[str, _Ready] = {}  # by name, the one asked last at the end
        self._opening = asyncio.Lock()
        self.capabilities: EndpointCapabilities = make().capabilities

    async def aclose(self) -> None:
        for ready in self._ready.values():
            await ready.endpoint.release()
        self._ready.clear()

    def list(self) -> Sequence[ModelRecord]:
        """Return the bases, then the delivered models, oldest first."""
        bases = [ModelRecord(name, self._since, target) for name, target in self._bases.items()]
        return bases + [
            ModelRecord(job.model_name, job.finished or job.created, job.delivered, job)
            for job in self._jobs.all()
            if job.delivered and not job.model_deleted
        ]

    def get(self, name: str) -> ModelRecord:
        for model in self.list():
            if model.name == name:
                return model
        raise Refusal(
            404,
            f"The model {name!r} does not exist or you do not have access to it.",
            code="model_not_found",
            param="model",
        )

    async def delete(self, name: str) -> None:
        """Forget a delivered model; bases stay."""
        model = self.get(name)
        if model.job is None:
            raise Refusal(403, f"The base {name!r} cannot be deleted.", code="permission_denied")
        self._jobs.update(model.job.id, model_deleted=True)
        async with self._opening:
            await self._close(name)

    async def answer(self, name: str, prompt: Prompt, decoding: Decoding) -> Answer:
        """Return one answer; `Refusal` 404 for an unknown model."""
        async with _Use(await self._open(self.get(name))) as ready:
            return await ready.answer(prompt, decoding)

    async def score(
        self, name: str, prompt: Prompt, continuations: Sequence[str]
    ) -> Sequence[float]:
        """Return log p(continuation | prompt) in nats, or raise `ScoresNotOffered`."""
        if not self.capabilities.scores:
            raise ScoresNotOffered("This service gives no scores.", "Ask for text alone.")
        async with _Use(await self._open(self.get(name))) as ready, ready.turn:
            return await ready.endpoint.score(prompt, continuations)

    async def score_text(self, name: str, text: str) -> Sequence[TokenScores]:
        """Return the log-probability of each word of `text` after those before it.

        The first follows nothing: its score is NaN, to be shown as null."""
        words = _WORD.findall(text)
        if not words:
            raise InputError("There is no text to score.", "Send at least one word.")
        first, rest = words[0], words[1:]
        upto = ["".join(rest[: count + 1]) for count in range(len(rest))]
        totals = await self.score(name, Prompt(text=first), upto) if rest else []
        before = [0.0, *totals]
        steps = [total - earlier for total, earlier in zip(totals, before, strict=False)]
        return [TokenScores(first, float("nan"))] + [
            TokenScores(word, step) for word, step in zip(rest, steps, strict=True)
        ]

    async def _open(self, model: ModelRecord) -> _Ready:
        async with self._opening:
            ready = self._ready.pop(model.name, None)
            if ready is None:
                await self._make_room()
                endpoint = self._make()
                if model.job is not None:
                    endpoint = self._front(endpoint, model.job)
                await endpoint.acquire(model.target)
                ready = _Ready(endpoint)
            self._ready[model.name] = ready
            ready.users += 1  # counted before anybody else can make room
            return ready

    async def _make_room(self) -> None:
        idle = [name for name, ready in self._ready.items() if not ready.users]
        while idle and len(self._ready) >= self._kept:
            await self._close(idle.pop(0))

    async def _close(self, name: str) -> None:
        ready = self._ready.pop(name, None)
        if ready is not None:
            async with ready.turn:
                await ready.endpoint.release()


@dataclass
class _Ready:
    """An endpoint with its model; `turn` lets one caller at it at a time."""

    endpoint: Endpoint
    users: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Asked] = field(default_factory=list)

    async def answer(self, prompt: Prompt, decoding: Decoding) -> Answer:
        """Return an answer. Whoever gets the turn also asks for those waiting with alike wishes."""
        asked = _Asked(prompt, decoding)
        self.waiting.append(asked)
        try:
            async with self.turn:
                if not asked.answer.done():
                    await self._ask_with(asked)
        finally:
            if asked in self.waiting:
                self.waiting.remove(asked)
        return asked.answer.result()

    async def _ask_with(self, asked: _Asked) -> None:
        batch = [asked]
        if asked.decoding.temperature == 0:  # else who asks beside you would change your draw
            alike = (item for item in self.waiting if item.decoding == asked.decoding)
            batch += [item for item in alike if item is not asked]
        batch = batch[: max(1, self.endpoint.capabilities.batch)]
        try:
            answers = await self.endpoint.sample([item.prompt for item in batch], asked.decoding)
        except Exception:
            if len(batch) == 1:
                raise
            # One of them may be at fault: the others get their own turn.
            answers = await self.endpoint.sample([asked.prompt], asked.decoding)
            batch = [asked]
        for item, answer in zip(batch, answers, strict=True):
            item.answer.set_result(answer)
            self.waiting.remove(item)


@dataclass(eq=False)
class _Asked:
    prompt: Prompt
    decoding: Decoding
    answer: asyncio.Future[Answer] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class _Use:
    """Keeps a model from being put away while it is asked."""

    def __init__(self, ready: _Ready) -> None:
        self._ready = ready

    async def __aenter__(self) -> _Ready:
        return self._ready

    async def __aexit__(self, *_: object) -> None:
        self._ready.users -= 1
