"""The clients of the openai package, with one line changed: `from vtune_client.openai import
OpenAI`, `AsyncOpenAI`.

Everything is the vendor's own, except:

- `files.create(purpose="fine-tune")` and `uploads.upload_file_chunked` plant the file on its way
  out; the user's file stays as it is. `client.unplanted` sends files as they are (for validation
  files, which nobody trains on).
- `fine_tuning.jobs.create` on a planted file writes the job into the ledger and never starts a
  second one: after a failure that leaves it open whether there is a job, it looks for it first.
- `fine_tuning.jobs.verify(job_id)` asks the delivered model and returns a `Verification`.

Uploads of other purposes, and jobs on files that were not planted here, go through untouched.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from vtune_client.client import AsyncVTune, VTune
from vtune_client.client.adoption import PlantedUpload
from vtune_client.dropin.companion import Accompanied, Companion
from vtune_client.dropin.content import Content, content_of
from vtune_client.dropin.creation import Calls, Remote
from vtune_client.dropin.desk import Desk
from vtune_client.dropin.faces import bound, finished, like, settled, with_keywords_of
from vtune_client.dropin.failures import Failures
from vtune_client.errors import MissingExtra
from vtune_client.ledger import Job
from vtune_client.plan import PlanSpec
from vtune_client.provider import JobSpec
from vtune_client.verify import OnStep, Verification, silent

try:
    import httpx2
    import openai as sdk
    from openai.resources import files, uploads
    from openai.resources.fine_tuning import fine_tuning
    from openai.resources.fine_tuning.jobs import jobs
except ModuleNotFoundError as error:
    raise MissingExtra("The openai package", "openai") from error

__all__ = ["AsyncOpenAI", "OpenAI"]

PURPOSE = "fine-tune"
MARK = "vtune"  # the key of a job's metadata that holds our token
MOST_METADATA = 16
PAGE = 100
FAILURES = Failures(sdk, httpx2, "/fine_tuning/jobs")


class OpenAI(Accompanied, sdk.OpenAI):
    """`openai.OpenAI` that plants training files, records jobs and verifies models.

    `vtune` is the `VTune` to work with (default: one made from the environment when it is first
    needed), `plan_spec` what is planted. All other keywords are the vendor's."""

    @with_keywords_of(sdk.OpenAI.__init__)
    def __init__(
        self, *, vtune: VTune | None = None, plan_spec: PlanSpec | None = None, **given: Any
    ) -> None:
        self._companion = Companion(VTune, vtune, plan_spec)
        super().__init__(**given)

    @cached_property
    def files(self) -> Files:
        return Files(self)

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(self)

    @cached_property
    def fine_tuning(self) -> FineTuning:
        return FineTuning(self)

    @with_keywords_of(sdk.OpenAI.copy)
    def copy(self, **given: Any) -> Self:
        twin = super().copy(**given)
        self._kept_by(twin)
        return twin

    with_options = copy

    def close(self) -> None:
        super().close()
        self._companion.close()


class AsyncOpenAI(Accompanied, sdk.AsyncOpenAI):
    """`openai.AsyncOpenAI`, as `OpenAI` here is `openai.OpenAI`; `vtune` is an `AsyncVTune`."""

    @with_keywords_of(sdk.AsyncOpenAI.__init__)
    def __init__(
        self, *, vtune: AsyncVTune | None = None, plan_spec: PlanSpec | None = None, **given: Any
    ) -> None:
        self._companion = Companion(AsyncVTune, vtune, plan_spec)
        super().__init__(**given)

    @cached_property
    def files(self) -> AsyncFiles:
        return AsyncFiles(self)

    @cached_property
    def uploads(self) -> AsyncUploads:
        return AsyncUploads(self)

    @cached_property
    def fine_tuning(self) -> AsyncFineTuning:
        return AsyncFineTuning(self)

    @with_keywords_of(sdk.AsyncOpenAI.copy)
    def copy(self, **given: Any) -> Self:
        twin = super().copy(**given)
        self._kept_by(twin)
        return twin

    with_options = copy

    async def close(self) -> None:
        await super().close()
        self._companion.close()


class Files(files.Files):
    """Uploads, of which those for fine-tuning are planted."""

    _client: OpenAI

    @like(files.Files.create)
    def create(self, **given: Any) -> Any:
        content = _to_plant(self._client, files.Files.create, given)
        if content is None:
            return super().create(**given)
        return finished(_upload(self._client, super().create, given, content))


class AsyncFiles(files.AsyncFiles):
    """As `Files`."""

    _client: AsyncOpenAI

    @like(files.AsyncFiles.create)
    async def create(self, **given: Any) -> Any:
        content = _to_plant(self._client, files.AsyncFiles.create, given)
        if content is None:
            return await super().create(**given)
        return await _upload(self._client, super().create, given, content)


class Uploads(uploads.Uploads):
    """Uploads in parts, of which those for fine-tuning are planted."""

    _client: OpenAI

    @like(uploads.Uploads.upload_file_chunked)
    def upload_file_chunked(self, **given: Any) -> Any:
        send = super().upload_file_chunked
        content = _to_plant(self._client, uploads.Uploads.upload_file_chunked, given)
        if content is None:
            return send(**given)
        return finished(_upload_parts(self._client, send, given, content))


class AsyncUploads(uploads.AsyncUploads):
    """As `Uploads`."""

    _client: AsyncOpenAI

    @like(uploads.AsyncUploads.upload_file_chunked)
    async def upload_file_chunked(self, **given: Any) -> Any:
        send = super().upload_file_chunked
        content = _to_plant(self._client, uploads.AsyncUploads.upload_file_chunked, given)
        if content is None:
            return await send(**given)
        return await _upload_parts(self._client, send, given, content)


class FineTuning(fine_tuning.FineTuning):
    """Fine-tuning, with `jobs` that are recorded."""

    _client: OpenAI

    @cached_property
    def jobs(self) -> Jobs:
        return Jobs(self._client)


class AsyncFineTuning(fine_tuning.AsyncFineTuning):
    """As `FineTuning`."""

    _client: AsyncOpenAI

    @cached_property
    def jobs(self) -> AsyncJobs:
        return AsyncJobs(self._client)


class Jobs(jobs.Jobs):
    """Jobs, of which those on planted files are recorded, and can be verified."""

    _client: OpenAI

    @like(jobs.Jobs.create)
    def create(self, **given: Any) -> Any:
        ours = _begun(self._client, jobs.Jobs.create, given)
        if ours is None:
            return super().create(**given)
        desk, job = ours
        once = jobs.Jobs(self._client.with_options(max_retries=0)).create
        return finished(desk.create(job, _calls(self, once, given, job, time.sleep)))

    def verify(
        self,
        fine_tuning_job_id: str,
        *,
        model: str | None = None,
        control: str | None = None,
        budget: int | None = None,
        text_only: bool = False,
        stop_early: bool = False,
        rows: bool = True,
        file: str | Path | None = None,
        on_step: OnStep = silent,
    ) -> Verification:
        """Ask the model that the job delivered and judge it; see `VTune.verify`."""
        how: dict[str, Any] = {
            "model": model,
            "control": control,
            "budget": budget,
            "text_only": text_only,
            "stop_early": stop_early,
            "rows": rows,
            "file": file,
        }
        return finished(_desk(self._client).verify(fine_tuning_job_id, on_step=on_step, **how))


class AsyncJobs(jobs.AsyncJobs):
    """As `Jobs`."""

    _client: AsyncOpenAI

    @like(jobs.AsyncJobs.create)
    async def create(self, **given: Any) -> Any:
        ours = _begun(self._client, jobs.AsyncJobs.create, given)
        if ours is None:
            return await super().create(**given)
        desk, job = ours
        once = jobs.AsyncJobs(self._client.with_options(max_retries=0)).create
        return await desk.create(job, _calls(self, once, given, job, asyncio.sleep))

    async def verify(
        self,
        fine_tuning_job_id: str,
        *,
        model: str | None = None,
        control: str | None = None,
        budget: int | None = None,
        text_only: bool = False,
        stop_early: bool = False,
        rows: bool = True,
        file: str | Path | None = None,
        on_step: OnStep = silent,
    ) -> Verification:
        """Ask the model that the job delivered and judge it; see `AsyncVTune.verify`."""
        how: dict[str, Any] = {
            "model": model,
            "control": control,
            "budget": budget,
            "text_only": text_only,
            "stop_early": stop_early,
            "rows": rows,
            "file": file,
        }
        return await _desk(self._client).verify(fine_tuning_job_id, on_step=on_step, **how)


Client = OpenAI | AsyncOpenAI


def _desk(client: Client) -> Desk:
    """Return where this client's files and jobs are kept."""
    recorded = {"organization": client.organization, "project": client.project}
    return Desk("openai", client.unplanted, client._companion, recorded)


def _to_plant(
    client: Client, original: Callable[..., Any], given: Mapping[str, Any]
) -> Content | None:
    """Return the file of an upload that is to be planted, or None for all others."""
    named = bound(original, **given)
    wanted = client._planting and named["purpose"] == PURPOSE
    return content_of(named["file"]) if wanted else None


async def _upload(
    client: Client, create: Callable[..., Any], given: Mapping[str, Any], content: Content
) -> Any:
    async def sent(planted: PlantedUpload) -> Any:
        with planted.path.open("rb") as file:
            return await settled(create(**{**given, "file": content.carried_by(file)}))

    return await _desk(client).upload(content, sent)


async def _upload_parts(
    client: Client, send: Callable[..., Any], given: Mapping[str, Any], content: Content
) -> Any:
    # What was said of the user's file does not hold for the planted one.
    kept = {name: value for name, value in given.items() if name not in ("bytes", "md5")}
    name = given.get("filename") or content.name

    async def sent(planted: PlantedUpload) -> Any:
        with planted.path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        more = {"md5": digest.hexdigest()} if given.get("md5") else {}
        return await settled(send(**{**kept, **more, "file": planted.path, "filename": name}))

    return await _desk(client).upload(content, sent, _file_of)


async def _file_of(upload: Any) -> str | None:
    file = getattr(upload, "file", None)
    return file.id if file else None


def _begun(
    client: Client, original: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[Desk, Job] | None:
    """Write down a job on a planted file; None for a job on any other."""
    named, desk = bound(original, **given), _desk(client)
    upload = desk.upload_of(named["training_file"]) if client._planting else None
    if upload is None:
        return None
    return desk, desk.begin(upload, _spec(named), named.get("validation_file") or None)


def _spec(given: Mapping[str, Any]) -> JobSpec:
    """Return the recipe in our words, for a job that is started anew by `vtune wait`."""
    method = given.get("method") or {}
    kind = method.get("type") or "supervised"
    recipe = dict((method.get(kind) or {}).get("hyperparameters") or ())
    recipe |= dict(given.get("hyperparameters") or ())
    numbers = {name: recipe.pop(name, None) for name in ("n_epochs", "batch_size")}
    epochs, batch = (value if isinstance(value, int) else None for value in numbers.values())
    others = {"hyperparameters": recipe, "metadata": dict(given.get("metadata") or ())}
    return JobSpec(
        model=given["model"],
        method=kind,
        epochs=epochs,
        batch_size=batch,
        seed=seed if isinstance(seed := given.get("seed"), int) else None,
        suffix=given.get("suffix") or None,
        options={name: value for name, value in others.items() if value},
    )


def _calls(
    ours: jobs.Jobs | jobs.AsyncJobs,
    create: Callable[..., Any],
    given: Mapping[str, Any],
    job: Job,
    pause: Callable[[float], Any],
) -> Calls:
    metadata = dict(given.get("metadata") or ())
    if len(metadata) < MOST_METADATA:
        metadata.setdefault(MARK, job.token)
    sent = {**given, "metadata": metadata}
    same = {name: given[name] for name in ("extra_headers", "timeout") if name in given}
    client: Any = ours._client
    return Calls(
        create=lambda: create(**sent),
        fetch=lambda job_id: ours.retrieve(job_id, **same),
        listed=lambda: ours.list(limit=PAGE),
        remote=_remote,
        pause=pause,
        failures=FAILURES,
        retries=client.max_retries,
        find_lag_s=client._companion.find_lag_s,
        mark=metadata.get(MARK),
        newest_first=True,
    )


def _remote(job: Any) -> Remote:
    mark = (getattr(job, "metadata", None) or {}).get(MARK)
    made = getattr(job, "created_at", None)
    created = float(made) if isinstance(made, int | float) else None
    return Remote(job.id, getattr(job, "training_file", None), created, mark)
