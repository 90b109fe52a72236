"""What is said to create a job, and how one is found again.

https://platform.openai.com/docs/api-reference/fine-tuning/create.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vtune_client.provider import JobSpec
from vtune_providers.openai.client import Service
from vtune_providers.openai.failures import Doing
from vtune_providers.openai.files import created_at
from vtune_providers.openai.presets import Preset

KEY = "vtune"  # of our token in a job's metadata
SLACK_S = 600.0  # a job's clock and a file's may differ by this much
# Options with a place of their own; all others go into the body as they are.
_HYPERPARAMETERS = ("learning_rate_multiplier", "beta")


def wanted(
    spec: JobSpec, preset: Preset, file_id: str, token: str, validation_id: str | None
) -> dict[str, Any]:
    """Return the SDK's keywords for creating the job."""
    options = dict(spec.options)
    named = {"n_epochs": spec.epochs, "batch_size": spec.batch_size}
    named |= {key: options.pop(key, None) for key in _HYPERPARAMETERS}
    hyperparameters = {key: value for key, value in named.items() if value is not None}
    hyperparameters |= options.pop("hyperparameters", None) or {}
    body: dict[str, Any] = {
        "model": spec.model,
        "training_file": file_id,
        "metadata": {**options.pop("metadata", {}), KEY: token},
    }
    inside = {"hyperparameters": hyperparameters} if hyperparameters and preset.nested else {}
    method: dict[str, Any] = {"type": spec.method, spec.method: inside}
    if preset.nested or spec.method != "supervised":
        body["method"] = method if inside else {"type": spec.method}
    if hyperparameters and not preset.nested:
        body["hyperparameters"] = hyperparameters
    also = {
        "seed": spec.seed,
        "suffix": spec.suffix,
        "validation_file": validation_id,
        "integrations": options.pop("integrations", None),
    }
    body |= {key: value for key, value in also.items() if value is not None}
    return {**body, "extra_body": options} if options else body


async def found(service: Service, token: str, file_id: str) -> Mapping[str, Any] | None:
    """Return the payload of the job that carries `token`, or that trains on `file_id`.

    Some services drop metadata; the file alone is enough, since each is uploaded for one job. Of
    several that train on it, the one with the token counts."""
    doing = Doing("list its jobs", "list of jobs")
    by_file: Mapping[str, Any] | None = None
    uploaded: float | None = None
    pages = 0
    async for page in service.pages(
        lambda sdk, which: sdk.fine_tuning.jobs.with_raw_response.list(**which), doing
    ):
        for job in page:
            if _token(job) == token:
                return job
            if by_file is None and job.get("training_file") == file_id:
                by_file = job
        if by_file is not None:
            return by_file
        pages += 1
        if pages == 1:
            uploaded = await created_at(service, file_id)
        if uploaded is not None and _all_older(page, uploaded - SLACK_S):
            return None
    return None


def _token(job: Mapping[str, Any]) -> object:
    metadata = job.get("metadata")
    return metadata.get(KEY) if isinstance(metadata, dict) else None


def _all_older(page: Sequence[Mapping[str, Any]], horizon: float) -> bool:
    """Return whether this page and all after it are from before `horizon`.

    Only of a list that plainly goes from new to old; of any other order every page is read."""
    times = [job.get("created_at") for job in page]
    known = [float(time) for time in times if isinstance(time, int | float)]
    if len(known) < len(times) or len(known) < 2:
        return False
    falls = known == sorted(known, reverse=True) and known[0] > known[-1]
    return falls and known[0] < horizon
