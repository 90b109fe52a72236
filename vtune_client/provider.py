"""The two halves of a provider: who trains (`Trainer`) and who serves (`Endpoint`).

They are separate because services are: vLLM serves and never trains, some vendors hand back
weights, the local provider does both. A provider is found by the entry-point group
`vtune_client.providers`; ours come through the same door as anyone else's.

All calls are coroutines. An adapter raises `ProviderError` where the service said no,
`NetworkError` where no usable answer came, `InputError` where the request itself is wrong; it never
retries a call that spends money.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol

from vtune_client.dataset.prompt import Prompt
from vtune_client.errors import InputError, Problem, ProviderError

GROUP = "vtune_client.providers"
log = logging.getLogger(__name__)


class State(StrEnum):
    """What a job is doing. A status string nobody knows is UNKNOWN, which means: keep polling."""

    VALIDATING = "validating"
    QUEUED = "queued"
    RUNNING = "running"
    FINISHING = "finishing"
    PAUSED = "paused"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"

    @property
    def final(self) -> bool:
        return self in (State.SUCCEEDED, State.FAILED, State.CANCELLED)


@dataclass(frozen=True)
class JobSpec:
    """What to train: the base model and the recipe, in words that every service has.

    `options` carries what only one provider knows (for the local one: learning rate schedule,
    LoRA rank, ...), passed through as given.
    """

    model: str
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    suffix: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobStatus:
    """What the provider says of a job now; `raw` is its own payload, kept as evidence."""

    id: str
    state: State
    model: str | None = None
    error: str | None = None
    progress: float | None = None  # share of the training steps done, 0..1
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class JobEvent:
    """One line of a job's log. `id` is the provider's, unique within the job."""

    id: str
    at: float  # seconds since the epoch
    message: str
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Checkpoint:
    """A model saved on the way."""

    id: str
    step: int
    model: str


@dataclass(frozen=True)
class TrainerCapabilities:
    """What a trainer takes. `None`: no limit that we know of.

    `poll_s` is how often a job is worth asking after; `find_lag_s` how long `find` may miss one
    that `create` has started, counted from when the call went out. `on_this_disk`: uploaded files
    lie in plain on this machine, so they are deleted as soon as the job has ended.
    """

    formats: frozenset[str] = frozenset({"chat"})  # of: chat, prompt, text
    min_rows: int = 10
    max_bytes: int | None = None
    max_row_tokens: int | None = None
    can_pause: bool = False
    can_export: bool = False
    on_this_disk: bool = False
    poll_s: float = 10.0
    find_lag_s: float = 10.0


class Trainer(Protocol):
    """The half that trains. `token` is ours, opaque, and lets `find` recover an unsure create."""

    capabilities: TrainerCapabilities

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        """Return what the service would refuse, found without spending anything."""

    async def upload(self, path: Path, name: str) -> str:
        """Send the file under `name`; return the service's id for it."""

    async def wait_for_file(self, file_id: str) -> None:
        """Return once the file may be trained on; raise `ProviderError` if it was refused."""

    async def create(self, file_id: str, spec: JobSpec, token: str) -> JobStatus:
        """Start the job. Called once per token; never retried blindly."""

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        """Return the job an earlier `create` with this token started, or None."""

    async def get(self, job_id: str) -> JobStatus: ...

    def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        """Yield all events so far, oldest first."""

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]: ...

    async def cancel(self, job_id: str) -> JobStatus: ...

    async def clean_up(self, file_id: str) -> None:
        """Delete the uploaded file; a file already gone is no error."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn; part of the record."""

    max_tokens: int = 96
    temperature: float = 0.0
    seed: int | None = None


@dataclass(frozen=True)
class Answer:
    """One answer: its text, and why it stopped ("stop", "length", "refusal", ...)."""

    text: str = field(repr=False)
    finish: str = "stop"


@dataclass(frozen=True)
class EndpointCapabilities:
    """`batch`: prompts worth sending in one call; `concurrency`: calls worth having under way;
    `scores`: whether `score` is offered; `remembers`: whether somebody else runs it, who could
    answer tomorrow with what was scored today."""

    batch: int = 8
    concurrency: int = 1
    scores: bool = False
    remembers: bool = True


class Endpoint(Protocol):
    """The half that serves. Used as `async with`-like pair: acquire, then release in `finally`."""

    capabilities: EndpointCapabilities

    async def acquire(self, model: str) -> None:
        """Make `model` answer; where that costs money per hour, set an idle limit."""

    async def release(self) -> None:
        """Give back whatever `acquire` started; safe to call twice."""

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        """Return one answer per prompt, in order."""

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        """Return log p(continuation | prompt) in nats, one per continuation.

        Raises `ScoresNotOffered` where the service cannot."""


class ScoresNotOffered(ProviderError):
    """This endpoint gives no log-probabilities of given text."""


@dataclass(frozen=True)
class Provider:
    """What an entry point names: the factories of the halves it offers.

    A factory takes keywords of the adapter's own, all optional (`base_url`, `api_key`, ...), and
    raises `InputError` for one that is missing.
    """

    name: str
    summary: str
    trainer: Callable[..., Trainer] | None = None
    endpoint: Callable[..., Endpoint] | None = None


@dataclass(frozen=True)
class Broken:
    """A plug-in that could not be loaded, and why."""

    name: str
    reason: str


def installed() -> tuple[dict[str, Provider], list[Broken]]:
    """Return every provider that loads, by name, and every one that does not."""
    good: dict[str, Provider] = {}
    bad: list[Broken] = []
    for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
        try:
            good[point.name] = _load(point)
        except Exception as error:
            log.warning("provider %s does not load: %s", point.name, error)
            bad.append(Broken(point.name, f"{type(error).__name__}: {error}"))
    return good, bad


def load(name: str) -> Provider:
    """Return the provider of that name; `InputError` if there is none or it does not load."""
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        known = ", ".join(sorted(points)) or "none"
        raise InputError(f"There is no provider named {name!r}.", f"Installed: {known}.")
    try:
        return _load(points[name])
    except Exception as error:
        raise InputError(
            f"The provider {name!r} does not load: {type(error).__name__}: {error}.",
            "Reinstall the package it comes from.",
        ) from error


def _load(point: EntryPoint) -> Provider:
    provider = point.load()
    if callable(provider):
        provider = provider()
    if not isinstance(provider, Provider):
        raise TypeError(f"{point.value} is not a vtune_client.provider.Provider")
    return provider
