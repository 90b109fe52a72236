"""What the service remembers of files, uploads and jobs. Times are seconds since the epoch."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vtune_client.provider import State

# Ids are ours alone and stand in file names: nothing else gets near the disk.
ID = re.compile(r"[a-z]+-[0-9a-f]{24}")


def new_id(kind: str) -> str:
    return f"{kind}-{secrets.token_hex(12)}"


@dataclass(frozen=True)
class FileRecord:
    """`status`: reserved (no content yet), uploaded, processed or error, `detail` saying which.

    `rows`, `tokens` (an estimate) and `format` are those of a training file that was found good."""

    id: str
    filename: str
    purpose: str
    created: float = field(default_factory=time.time)
    bytes: int = 0
    sha256: str = ""
    status: str = "reserved"
    detail: str | None = None
    rows: int | None = None
    tokens: int | None = None
    format: str | None = None


@dataclass(frozen=True)
class UploadRecord:
    """A file that comes in parts; `parts` in the order they came."""

    id: str
    filename: str
    purpose: str
    bytes: int
    expires: float
    created: float = field(default_factory=time.time)
    status: str = "pending"
    parts: tuple[str, ...] = ()
    file_id: str | None = None


@dataclass(frozen=True)
class JobRequest:
    """What a client asks for, in the words of both shapes.

    `learning_rate_multiplier` is on the recipe's rate. `name` is what the delivered model shall be
    called (default: OpenAI's way); `options` are the trainer's own; `asked` is kept for the shape
    to show again."""

    base: str
    file_id: str
    validation_file: str | None = None
    method: str = "supervised"
    epochs: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    learning_rate_multiplier: float | None = None
    seed: int | None = None
    suffix: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    name: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    asked: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class JobRecord:
    """A job. `raw_status`, where set, is to be shown in place of what `status` would be.

    `model` is the name of the delivered model, `delivered` what the provider's endpoint takes for
    it; `remote_file` and `remote_job` are the trainer's ids; `tuned` is the model that a vendor who
    trains twice goes on from; `faults` those drawn for this job."""

    id: str
    request: JobRequest
    model_name: str
    created: float = field(default_factory=time.time)
    status: State = State.VALIDATING
    raw_status: str | None = None
    model: str | None = None
    error: str | None = None
    error_code: str | None = None
    error_param: str | None = None
    progress: float | None = None
    steps: int | None = None
    started: float | None = None
    finished: float | None = None
    trained_tokens: int | None = None
    result_files: tuple[str, ...] = ()
    remote_file: str | None = None
    remote_validation: str | None = None
    remote_job: str | None = None
    tuned: str | None = field(default=None, repr=False)
    delivered: str | None = field(default=None, repr=False)
    model_deleted: bool = False
    faults: Mapping[str, float] = field(default_factory=dict)

    @property
    def base(self) -> str:
        return self.request.base

    @property
    def file_id(self) -> str:
        return self.request.file_id

    @property
    def metadata(self) -> Mapping[str, str]:
        return self.request.metadata

    @property
    def suffix(self) -> str | None:
        return self.request.suffix


@dataclass(frozen=True)
class EventRecord:
    """One line of a job's log; `kind` is message or metrics, `level` info, warn or error."""

    id: str
    at: float
    message: str
    kind: str = "message"
    level: str = "info"
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class CheckpointRecord:
    """A model saved on the way, and the name it is asked by."""

    id: str
    job_id: str
    step: int
    model: str
    created: float
    metrics: Mapping[str, float] = field(default_factory=dict)
