"""The clients of the together package, with one line changed: `from vtune_client.together import
Together`, `AsyncTogether`.

Everything is the vendor's own, except:

- `files.upload` with the purpose "fine-tune", its default, plants the file on its way out; the
  user's file stays as it is. `client.unplanted` sends files as they are (for validation files).
- `fine_tuning.create` on a planted file writes the job into the ledger and never starts a second
  one: after a failure that leaves it open whether there is a job, it looks for it first. The job is
  marked by its suffix, where none is given.
- `fine_tuning.verify(id)` asks the delivered model and returns a `Verification`.

Uploads of other purposes, and jobs on files that were not planted here, go through untouched.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

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
    import httpx
    import together as sdk
    from together.lib.types.fine_tuning import FinetuneResponse
    from together.resources import files, fine_tuning
except ModuleNotFoundError as error:
    raise MissingExtra("The together package", "together") from error

__all__ = ["AsyncTogether", "Together"]

PURPOSE = "fine-tune"
JOBS = "/v1/fine-tunes"
FAILURES = Failures(sdk, httpx, JOBS)
# Words of `create` that a JobSpec has itself, that say nothing of the recipe, or that are keys.
NOT_OPTIONS = frozenset(
    {
        *("training_file", "model", "n_epochs", "batch_size", "learning_rate", "random_seed"),
        *("suffix", "validation_file", "training_method", "verbose", "model_limits"),
        *("wandb_api_key", "hf_api_token"),
    }
)


class Together(Accompanied, sdk.Together):
    """`together.Together` that plants training files, records jobs and verifies models.

    `vtune` is the `VTune` to work with (default: one made from the environment when it is first
    needed), `plan_spec` what is planted. All other keywords are the vendor's."""

    @with_keywords_of(sdk.Together.__init__)
    def __init__(
        self, *, vtune: VTune | None = None, plan_spec: PlanSpec | None = None, **given: Any
    ) -> None:
        self._companion = Companion(VTune, vtune, plan_spec)
        super().__init__(**given)

    @cached_property
    def files(self) -> Files:
        return Files(self)

    @cached_property
    def fine_tuning(self) -> FineTuning:
        return FineTuning(self)

    @with_keywords_of(sdk.Together.copy)
    def copy(self, **given: Any) -> Self:
        twin = super().copy(**given)
        self._kept_by(twin)
        return twin

    with_options = copy

    def close(self) -> None:
        super().close()
        self._companion.close()


class AsyncTogether(Accompanied, sdk.AsyncTogether):
    """`together.AsyncTogether`, as `Together` here is; `vtune` is an `AsyncVTune`."""

    @with_keywords_of(sdk.AsyncTogether.__init__)
    def __init__(
        self, *, vtune: AsyncVTune | None = None, plan_spec: PlanSpec | None = None, **given: Any
    ) -> None:
        self._companion = Companion(AsyncVTune, vtune, plan_spec)
        super().__init__(**given)

    @cached_property
    def files(self) -> AsyncFiles:
        return AsyncFiles(self)

    @cached_property
    def fine_tuning(self) -> AsyncFineTuning:
        return AsyncFineTuning(self)

    @with_keywords_of(sdk.AsyncTogether.copy)
    def copy(self, **given: Any) -> Self:
        twin = super().copy(**given)
        self._kept_by(twin)
        return twin

    with_options = copy

    async def close(self) -> None:
        await super().close()
        self._companion.close()


class Files(files.FilesResource):
    """Uploads, of which those for fine-tuning are planted."""

    _client: Together

    @like(files.FilesResource.upload)
    def upload(self, *given: Any, **more: Any) -> Any:
        send, named = super().upload, bound(files.FilesResource.upload, *given, **more)
        content = _to_plant(self._client, named)
        if content is None:
            return send(**named)
        return finished(_upload(self._client, send, named, content))


class AsyncFiles(files.AsyncFilesResource):
    """As `Files`."""

    _client: AsyncTogether

    @like(files.AsyncFilesResource.upload)
    async def upload(self, *given: Any, **more: Any) -> Any:
        send, named = super().upload, bound(files.AsyncFilesResource.upload, *given, **more)
        content = _to_plant(self._client, named)
        if content is None:
            return await send(**named)
        return await _upload(self._client, send, named, content)


class FineTuning(fine_tuning.FineTuningResource):
    """Jobs, of which those on planted files are recorded, and can be verified."""

    _client: Together

    @like(fine_tuning.FineTuningResource.create)
    def create(self, **given: Any) -> Any:
        ours = _begun(self._client, fine_tuning.FineTuningResource.create, given)
        if ours is None:
            return super().create(**given)
        desk, job = ours
        once = fine_tuning.FineTuningResource(self._client.with_options(max_retries=0)).create
        return finished(desk.create(job, _calls(self, once, given, job, time.sleep)))

    def verify(
        self,
        id: str,
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
        return finished(_desk(self._client).verify(id, on_step=on_step, **how))


class AsyncFineTuning(fine_tuning.AsyncFineTuningResource):
    """As `FineTuning`."""

    _client: AsyncTogether

    @like(fine_tuning.AsyncFineTuningResource.create)
    async def create(self, **given: Any) -> Any:
        ours = _begun(self._client, fine_tuning.AsyncFineTuningResource.create, given)
        if ours is None:
            return await super().create(**given)
        desk, job = ours
        once = fine_tuning.AsyncFineTuningResource(self._client.with_options(max_retries=0)).create
        return await desk.create(job, _calls(self, once, given, job, asyncio.sleep))

    async def verify(
        self,
        id: str,
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
        return await _desk(self._client).verify(id, on_step=on_step, **how)


Client = Together | AsyncTogether


def _desk(client: Client) -> Desk:
    """Return where this client's files and jobs are kept."""
    recorded = {"project": client.project_id}
    return Desk("together", client.unplanted, client._companion, recorded)


def _to_plant(client: Client, named: Mapping[str, Any]) -> Content | None:
    """Return the file of an upload that is to be planted, or None for all others."""
    wanted = client._planting and named.get("purpose", PURPOSE) == PURPOSE
    return content_of(Path(named["file"])) if wanted else None


async def _upload(
    client: Client, send: Callable[..., Any], named: Mapping[str, Any], content: Content
) -> Any:
    async def sent(planted: PlantedUpload) -> Any:
        return await settled(send(**{**named, "file": planted.path}))

    return await _desk(client).upload(content, sent)


def _begun(
    client: Client, original: Callable[..., Any], given: Mapping[str, Any]
) -> tuple[Desk, Job] | None:
    """Write down a job on a planted file; None for a job on any other."""
    named, desk = bound(original, **given), _desk(client)
    upload = desk.upload_of(named["training_file"]) if client._planting else None
    if upload is None:
        return None
    return desk, desk.begin(upload, _spec(named), named.get("validation_file"))


def _spec(given: Mapping[str, Any]) -> JobSpec:
    """Return the recipe in our words, for a job that is started anew by `vtune wait`."""
    others = {name: value for name, value in given.items() if name not in NOT_OPTIONS}
    batch = given.get("batch_size")
    return JobSpec(
        model=given.get("model") or given.get("from_checkpoint") or "",
        method="dpo" if given.get("training_method") == "dpo" else "supervised",
        epochs=given.get("n_epochs"),
        batch_size=batch if isinstance(batch, int) else None,
        learning_rate=given.get("learning_rate"),
        seed=given.get("random_seed"),
        suffix=given.get("suffix"),
        options={name: value for name, value in others.items() if value is not None},
    )


def _calls(
    ours: fine_tuning.FineTuningResource | fine_tuning.AsyncFineTuningResource,
    create: Callable[..., Any],
    given: Mapping[str, Any],
    job: Job,
    pause: Callable[[float], Any],
) -> Calls:
    suffix = given.get("suffix") or job.token
    client: Any = ours._client
    return Calls(
        create=lambda: create(**{**given, "suffix": suffix}),
        fetch=lambda job_id: client.get(
            f"{JOBS}/{quote(job_id, safe='')}", cast_to=FinetuneResponse
        ),
        listed=lambda: _listed(ours),
        remote=_remote,
        pause=pause,
        failures=FAILURES,
        retries=client.max_retries,
        find_lag_s=client._companion.find_lag_s,
        mark=_plain(suffix),
    )


async def _listed(
    ours: fine_tuning.FineTuningResource | fine_tuning.AsyncFineTuningResource,
) -> Any:
    return (await settled(ours.list())).data


def _remote(job: Any) -> Remote:
    made = getattr(job, "created_at", None)
    created = made.timestamp() if isinstance(made, datetime) else None
    suffix = getattr(job, "suffix", None)
    return Remote(job.id, getattr(job, "training_file", None), created, suffix and _plain(suffix))


def _plain(suffix: str) -> str:
    """The service may write a suffix its own way (case, dashes)."""
    return "".join(filter(str.isalnum, suffix.lower()))
