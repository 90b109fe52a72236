"""What the ledger holds, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from vtune_client.provider import JobSpec, State


class Step(StrEnum):
    """How far a job has come. Each is written before what it names is done."""

    PLANTING = "planting"
    UPLOADING = "uploading"
    CREATING = "creating"  # from here on money may have been spent
    CREATED = "created"  # the provider's job id is known
    DONE = "done"


@dataclass(frozen=True)
class PlanRecord:
    """A plan as it is kept: public facts in plain, the rest under `sealed`."""

    id: str
    created: float
    key_id: str
    source: str
    source_sha256: str
    rows: int
    backdoors: int
    carriers: int
    bits: float
    sealed: bytes = field(repr=False)
    committed: Mapping[str, Any] | None = None  # what its commitment says of its secrets; public


@dataclass(frozen=True)
class Job:
    """One fine-tuning job. `remote_id`, `file_id` and `validation_id` are the provider's names.

    `connection` is how the provider is reached, without what is secret; `budget` the most that
    training may cost, in the service's currency."""

    id: str
    plan_id: str
    created: float
    provider: str
    spec: JobSpec
    token: str
    step: Step
    keep_planted: bool = False
    planted_sha256: str | None = None
    file_id: str | None = None
    remote_id: str | None = None
    state: State | None = None
    progress: float | None = None
    model: str | None = None
    error: str | None = None
    connection: Mapping[str, Any] = field(default_factory=dict)
    validation_id: str | None = None
    budget: float | None = None


@dataclass(frozen=True)
class Upload:
    """A planted file that somebody else's code has uploaded: `file_id` is the id that the service
    at `address` gave it."""

    provider: str
    address: str
    file_id: str
    plan_id: str
    planted_sha256: str
    created: float


@dataclass(frozen=True)
class VerificationRecord:
    """One round of questions to one served model; `verdict` is None until it is judged."""

    id: str
    plan_id: str
    job_id: str | None
    created: float
    target: Mapping[str, Any]
    verdict: Mapping[str, Any] | None


@dataclass(frozen=True)
class CommitmentRecord:
    """A commitment document under its SHA-256 in hex, and what witnesses have said of it."""

    digest: str
    plan_id: str
    job_id: str | None
    created: float
    document: Mapping[str, Any]
    receipts: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True)
class SignerRecord:
    """A signing key of the auditor: the 32 public bytes; the seed lies in the vault."""

    fingerprint: str
    key_id: str
    public_key: bytes
    created: float


@dataclass(frozen=True)
class LogEntry:
    """One action in the hash-chained log. `data` holds ids, digests, counts and states alone."""

    seq: int
    at: float
    actor: str
    action: str
    subject: str
    data: Mapping[str, Any]
    previous: str
    digest: str


@dataclass(frozen=True)
class AuditEntry:
    """How far one entry of an audit file has come in one run of it."""

    audit: str
    entry: str
    run: str
    created: float
    job_id: str | None = None
    verification_id: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
