"""The two halves of a provider: who trains (`Trainer`) and who serves (`Endpoint`).

They are separate because services are: vLLM serves and never trains, some vendors hand back
weights, the local provider does both. A provider is found by the entry-point group
`vtune_client.providers`; ours come through the same door as anyone else's.

All calls are coroutines. An adapter raises `ProviderError` where the service said no,
`NetworkError` where no usable answer came, `InputError` where the request itself is wrong; it never
retries a call that spends money.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit, urlunsplit

from vtune_client.dataset.prompt import Prompt
from vtune_client.errors import InputError, Problem, ProviderError
from vtune_client.redaction import know

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

    `method` is "supervised" or "dpo". `validation_file` is the path of a file that is uploaded as
    it stands: nothing is planted in it. `options` carries what only one provider knows (for the
    local one: learning rate schedule, LoRA rank, ...), passed through as given.
    """

    model: str
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    suffix: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    method: str = "supervised"
    validation_file: str | None = None


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
    methods: frozenset[str] = frozenset({"supervised"})  # of: supervised, dpo
    can_pause: bool = False
    can_export: bool = False
    on_this_disk: bool = False
    poll_s: float = 10.0
    find_lag_s: float = 10.0


@dataclass(frozen=True)
class Estimate:
    """What training would cost. `price` is None where nobody says; `source` is who says so.

    `tokens` are those trained on, over all epochs."""

    price: float | None = None
    currency: str = "USD"
    tokens: int | None = None
    source: str = ""


class Trainer(Protocol):
    """The half that trains. `token` is ours, opaque, and lets `find` recover an unsure create.

    An adapter that names this class as its base inherits what few services offer."""

    capabilities: TrainerCapabilities

    async def check(self, path: Path, spec: JobSpec) -> Sequence[Problem]:
        """Return what the service would refuse, found without spending anything."""

    async def max_row_tokens(self, model: str) -> int | None:
        """Return how many tokens of a row are trained on before it is cut; None: no known limit."""
        return None

    async def estimate(self, path: Path, spec: JobSpec) -> Estimate:
        """Return what training on this file would cost, before it is uploaded."""
        return Estimate()

    async def upload(self, path: Path, name: str) -> str:
        """Send the file under `name`; return the service's id for it."""

    async def wait_for_file(self, file_id: str) -> None:
        """Return once the file may be trained on; raise `ProviderError` if it was refused, `NotYet`
        if the service takes too long over it: the file is kept then, and asked after again."""

    async def quote(self, file_id: str, spec: JobSpec) -> Estimate | None:
        """Return the service's own price for an uploaded file; None where it names none."""
        return None

    async def create(
        self, file_id: str, spec: JobSpec, token: str, *, validation_id: str | None = None
    ) -> JobStatus:
        """Start the job. Called once per token; never retried blindly.

        `validation_id` is the service's id of the uploaded `spec.validation_file`."""

    async def find(self, token: str, file_id: str) -> JobStatus | None:
        """Return the job an earlier `create` with this token started, or None."""

    async def get(self, job_id: str) -> JobStatus: ...

    def events(self, job_id: str) -> AsyncIterator[JobEvent]:
        """Yield all events so far, oldest first."""

    async def checkpoints(self, job_id: str) -> Sequence[Checkpoint]:
        return ()

    async def cancel(self, job_id: str) -> JobStatus: ...

    async def pause(self, job_id: str) -> JobStatus:
        """Stop training for now; only where `capabilities.can_pause`."""
        raise _cannot("pause jobs")

    async def resume(self, job_id: str) -> JobStatus:
        """Go on with a paused job; only where `capabilities.can_pause`."""
        raise _cannot("resume jobs")

    async def export(self, job_id: str, folder: Path) -> Path:
        """Write the delivered weights into `folder`, new or empty, and return where they are.

        Only where `capabilities.can_export`; all or nothing."""
        raise _cannot("hand out weights")

    async def clean_up(self, file_id: str) -> None:
        """Delete the uploaded file; a file already gone is no error."""

    async def aclose(self) -> None: ...


def _cannot(what: str) -> ProviderError:
    return ProviderError(f"This provider does not {what}.", "`vtune providers` says who does what.")


@dataclass(frozen=True)
class Decoding:
    """How answers are drawn; part of the record.

    `top_logprobs`: how many likeliest candidates to list for every generated token, where the
    endpoint lists any."""

    max_tokens: int = 96
    temperature: float = 0.0
    seed: int | None = None
    top_logprobs: int = 0


@dataclass(frozen=True)
class TokenScores:
    """One generated token: its text, its log-probability in nats, the likeliest candidates."""

    text: str = field(repr=False)
    logprob: float
    top: tuple[tuple[str, float], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Answer:
    """One answer: its text, and why it stopped ("stop", "length", "refusal", ...).

    `tokens` is empty unless `Decoding.top_logprobs` was asked for and given."""

    text: str = field(repr=False)
    finish: str = "stop"
    tokens: tuple[TokenScores, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class EndpointCapabilities:
    """`batch`: prompts worth sending in one call; `concurrency`: calls worth having under way;
    `scores`: whether `score` is offered; `remembers`: whether somebody else runs it, who could
    answer tomorrow with what was scored today."""

    batch: int = 8
    concurrency: int = 1
    scores: bool = False
    remembers: bool = True
    top_logprobs: int = 0  # the most candidates it lists per generated token


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
class Reach:
    """Where a service lists its models, and the headers to ask with."""

    url: str
    headers: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True)
class Provider:
    """What an entry point names: the factories of the halves it offers.

    A factory takes keywords of the adapter's own, all optional (`base_url`, `api_key`, ...): the
    connection. It raises `InputError` for one that is missing or wrong. `recorded` names those
    keywords that are no secret and are kept in the ledger with a job. `reaches`: which services a
    connection is to, without one which those are that the environment has keys of.
    """

    name: str
    summary: str
    trainer: Callable[..., Trainer] | None = None
    endpoint: Callable[..., Endpoint] | None = None
    recorded: frozenset[str] = frozenset({"base_url"})
    reaches: Callable[[Mapping[str, Any] | None], Sequence[Reach]] | None = None


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


def trainer_of(name: str, connection: Mapping[str, Any]) -> Trainer:
    """Return the trainer of a provider, reached by `connection`; `InputError` as `load` does, and
    where the provider does not train or takes no such keyword."""
    provider = load(name)
    if provider.trainer is None:
        raise InputError(f"The provider {name!r} does not train.", "Run `vtune providers`.")
    return provider.trainer(**_accepted(provider, provider.trainer, connection))


def endpoint_of(name: str, connection: Mapping[str, Any]) -> Endpoint:
    """Return the endpoint of a provider; as `trainer_of` otherwise."""
    provider = load(name)
    if provider.endpoint is None:
        raise InputError(f"The provider {name!r} serves no models.", "Run `vtune providers`.")
    return provider.endpoint(**_accepted(provider, provider.endpoint, connection))


def bare_address(url: str | None) -> str | None:
    """Return the URL without what may be secret in it: user, password and query."""
    if url is None:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None  # the provider says what is wrong with it
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def recordable(name: str, connection: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a connection may be written down."""
    recorded = load(name).recorded
    return {key: value for key, value in connection.items() if key in recorded}


def _accepted(
    provider: Provider, factory: Callable[..., Any], connection: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what of a connection this half takes; the other half may take more."""
    known = {
        name
        for half in (provider.trainer, provider.endpoint)
        if half is not None
        for name in inspect.signature(half).parameters
    }
    if strange := sorted(set(connection) - known):
        raise InputError(
            f"The provider {provider.name!r} takes no {', '.join(map(repr, strange))}.",
            f"It knows: {', '.join(sorted(known)) or 'nothing'}.",
        )
    know({name: each for name, each in connection.items() if name not in provider.recorded})
    takes = inspect.signature(factory).parameters
    return {key: value for key, value in connection.items() if key in takes}


def _load(point: EntryPoint) -> Provider:
    provider = point.load()
    if callable(provider):
        provider = provider()
    if not isinstance(provider, Provider):
        raise TypeError(f"{point.value} is not a vtune_client.provider.Provider")
    return provider
