"""A job's payload, read leniently: its state, its model, and why it failed.

Statuses: https://platform.openai.com/docs/api-reference/fine-tuning/object, and Azure's own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vtune_client.provider import JobStatus, State
from vtune_providers.openai.words import plain

_STATES = {
    "validating_files": State.VALIDATING,
    "validating": State.VALIDATING,
    "created": State.QUEUED,
    "pending": State.QUEUED,
    "notrunning": State.QUEUED,
    "scheduled": State.QUEUED,
    "queued": State.QUEUED,
    "running": State.RUNNING,
    "resuming": State.RUNNING,
    "finishing": State.FINISHING,
    "postprocessing": State.FINISHING,
    "pausing": State.RUNNING,
    "paused": State.PAUSED,
    "cancelling": State.CANCELLING,
    "canceling": State.CANCELLING,
    "succeeded": State.SUCCEEDED,
    "failed": State.FAILED,
    "cancelled": State.CANCELLED,
    "canceled": State.CANCELLED,
}
_MODERATED = re.compile(r"unsafe|moderat|usage polic|safety", re.IGNORECASE)
_OF_DATA = re.compile(r"training_file|validation_file|invalid_file|invalid_training|unsafe_file")
_NAME = re.compile(r"[\w./ -]{1,60}")


def status_of(
    payload: Mapping[str, Any],
    *,
    progress: float | None = None,
    blocked: Sequence[str] | None = None,
) -> JobStatus:
    """Return what a job's payload says. `blocked` are the categories for which the safety checks
    after training hold the model back, None where they do not."""
    state = _STATES.get(str(payload.get("status")).lower(), State.UNKNOWN)
    model = payload.get("fine_tuned_model")
    return JobStatus(
        id=str(payload.get("id")),
        state=state,
        model=model if isinstance(model, str) and model else None,
        error=_reason(payload, blocked) if state is State.FAILED else None,
        progress=1.0 if state is State.SUCCEEDED else progress,
        raw=dict(payload),
    )


def _reason(payload: Mapping[str, Any], blocked: Sequence[str] | None) -> str:
    """Return why a job failed, in a sentence that says whose turn it is."""
    error = payload.get("error")
    error = error if isinstance(error, dict) else {"message": error}
    code, param = _name(error.get("code")), _name(error.get("param"))
    said = plain(error.get("message")).rstrip(".")
    tail = f": {said}" if said else ""
    which = ", ".join(filter(None, (code, param)))
    where = f" ({which})" if which else ""
    of_data = bool(_OF_DATA.search(which)) or "training file" in said
    if blocked is None and of_data and _MODERATED.search(f"{code} {said}"):
        return f"The service's moderation refuses the training file{where}{tail}"
    if blocked is not None or (not of_data and _MODERATED.search(f"{code} {said}")):
        names = f" for {', '.join(blocked)}" if blocked else ""
        return (
            "Training ended, and the service's safety checks hold the model back"
            f"{names}{where}{tail}"
        )
    if of_data:
        return f"The service cannot train on the file{where}{tail}"
    return f"The service gave up on the job{where}{tail}"


def _name(value: object) -> str:
    return value if isinstance(value, str) and _NAME.fullmatch(value) else ""
