"""Forgetting plans for good: their keys, all that is sealed under them, and the files.

In this order, so that a purge that was cut short can be done again and never leaves a secret that
nobody knows of: what is sealed in the ledger, the files, the root key in the vault (from here on a
copy of the sealed parts opens no more), the records, and then what the database left lying.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vtune_client.client.adoption import sweep
from vtune_client.errors import InputError, KeyMissing, VTuneError
from vtune_client.job import lock_path, planted_path
from vtune_client.ledger import Job, Ledger, LogEntry, PlanRecord, Step, VerificationRecord
from vtune_client.ledger.erasure import PURGED, still_running
from vtune_client.ledger.log import iso
from vtune_client.plant import remove
from vtune_client.provider import trainer_of
from vtune_client.signing import Signer
from vtune_client.vault import Vault
from vtune_client.version import __version__

SCHEMA = "vtune.purge/1"
PAYLOAD_TYPE = "application/vnd.vtune.purge+json"
DAY_S = 86400.0
HANDED_OVER = "plan handed over"  # as `handover` tells the log

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Holding:
    """What there is of one plan, as far as it is kept here. Shows no secret."""

    plan: PlanRecord
    jobs: tuple[Job, ...]
    verifications: tuple[VerificationRecord, ...]
    commitments: tuple[str, ...]
    answers: int
    sealed_bytes: int
    files: tuple[Path, ...] = field(repr=False)

    @property
    def running(self) -> list[str]:
        """The jobs that stand in the way."""
        return [job.id for job in self.jobs if job.step is not Step.DONE]

    def to_json(self) -> dict[str, Any]:
        committed = self.plan.committed or {}
        return {
            "plan": self.plan.id,
            "created": iso(self.plan.created),
            "source_sha256": self.plan.source_sha256,
            "root_key_sha256": committed.get("root_key"),
            "merkle_root": committed.get("merkle_root"),
            "commitments": list(self.commitments),
            "jobs": [_job_json(job) for job in self.jobs],
            "verifications": [record.id for record in self.verifications],
            "answers": self.answers,
            "sealed_bytes": self.sealed_bytes,
            "files": len(self.files),
        }


@dataclass(frozen=True)
class Purged:
    """What was done: a certificate for whoever asks for proof of it."""

    at: float
    actor: str
    kept_verdicts: bool
    swept: bool
    plans: tuple[dict[str, Any], ...]

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "at": iso(self.at),
            "actor": self.actor,
            "deleted": _DELETED if self.kept_verdicts else [*_DELETED, *_RECORDS],
            "kept": [*_RECORDS, "log"] if self.kept_verdicts else ["log"],
            "database_swept": self.swept,
            "plans": list(self.plans),
            "versions": {"vtune-client": __version__},
        }

    def signed(self, signer: Signer) -> bytes:
        """Return the certificate in a signed envelope."""
        from vtune_client.commitment import canonical

        return signer.sign(canonical(self.to_json()), PAYLOAD_TYPE)


_DELETED = ["root keys", "sealed plans", "sealed answers", "planted files"]
_RECORDS = ["plans' public facts", "jobs", "verdicts", "commitments and receipts"]


def holding(ledger: Ledger, home: Path, plan: PlanRecord) -> Holding:
    """Return what there is of a plan."""
    jobs = tuple(job for job in ledger.jobs() if job.plan_id == plan.id)
    rounds = tuple(each for each in ledger.verifications() if each.plan_id == plan.id)
    answers = [sealed for each in rounds for sealed in ledger.answers(each).values()]
    return Holding(
        plan,
        jobs,
        rounds,
        tuple(commitment.digest for commitment in ledger.commitments(plan.id)),
        len(answers),
        len(plan.sealed) + sum(map(len, answers)),
        tuple(path for job in jobs for path in _spooled(home, job) if path.exists()),
    )


def of_item(ledger: Ledger, home: Path, item: str) -> Holding:
    """Return what there is of a plan, or of the plan of a job.

    Raises `LedgerError` where one of its jobs may still run, and `InputError` for a job whose plan
    has others: they live by the same key."""
    job = None if item.startswith("plan-") else ledger.job(item)
    found = holding(ledger, home, ledger.plan(job.plan_id if job else item))
    others = [other.id for other in found.jobs if job and other.id != job.id]
    if others:
        raise InputError(
            f"{found.plan.id} is the plan of {', '.join(others)}, too, and has one key.",
            f"Name the plan to purge them all: vtune purge {found.plan.id}",
        )
    if found.running:
        raise still_running(found.plan.id, found.running)
    return found


def older_than(
    ledger: Ledger, home: Path, days: float, *, keep_verdicts: bool, now: float | None = None
) -> tuple[list[Holding], list[Holding]]:
    """Return what has not been used for so many days: what can be purged, and what still runs.

    With `keep_verdicts`, plans of which nothing else is left are not named again."""
    before = (time.time() if now is None else now) - days * DAY_S
    gone = {entry.subject for entry in ledger.log() if entry.action == PURGED}
    uses: list[Job | VerificationRecord] = [*ledger.jobs(), *ledger.verifications()]
    recent = {use.plan_id for use in uses if use.created >= before}
    plans = [plan for plan in ledger.plans() if plan.created < before and plan.id not in recent]
    wanted = [plan for plan in plans if not (keep_verdicts and plan.id in gone)]
    old = [holding(ledger, home, plan) for plan in wanted]
    return [each for each in old if not each.running], [each for each in old if each.running]


async def purge(
    ledger: Ledger,
    vault: Vault,
    home: Path,
    holdings: Iterable[Holding],
    *,
    keep_verdicts: bool = False,
    tell: Tell = lambda what: None,
) -> Purged:
    """Forget plans for good; the log keeps that they were there, and that they were purged.

    Raises `SecretsError` before anything is deleted where the vault does not open, `LedgerError`
    where a job was begun meanwhile. Cut short, the same call goes on."""
    holdings = list(holdings)
    keys = {found.plan.key_id: _holds(vault, found.plan.key_id) for found in holdings}
    handed = Counter(each.subject for each in ledger.log() if each.action == HANDED_OVER)
    done = []
    entry: LogEntry | None = None
    for found in holdings:
        tell(found.plan.id)
        plan = found.plan
        ledger.erase(plan.id)
        left = await _delete_files(home, found.jobs)
        vault.delete(plan.key_id)
        told = {
            "root_key_deleted": keys[plan.key_id],
            "handed_over": handed[plan.id],
            "left_elsewhere": left,
        }
        counted = {"answers": found.answers, "files": len(found.files), "jobs": len(found.jobs)}
        entry = ledger.forget(plan.id, keep_verdicts=keep_verdicts, **counted, **told)
        log = {"seq": entry.seq, "digest": entry.digest}
        done.append({**found.to_json(), **told, "log": log})
    sweep(home / "spool", home / "locks")
    swept = ledger.sweep()
    entry = entry or ledger.record("nothing to purge", "ledger")
    return Purged(time.time(), entry.actor, keep_verdicts, swept, tuple(done))


def _holds(vault: Vault, key_id: str) -> bool:
    """Return whether the vault has a key; one of a colleague's is in another vault."""
    try:
        vault.get(key_id)
    except KeyMissing:
        return False
    return True


async def _delete_files(home: Path, jobs: Iterable[Job]) -> list[dict[str, Any]]:
    """Delete what jobs have left on this disk; return what lies elsewhere, or stays."""
    left: list[dict[str, Any]] = []
    for job in jobs:
        remove(planted_path(home, job))
        lock_path(home, job).unlink(missing_ok=True)
        kept = await _delete_uploads(job)
        left += [{"job": job.id, "provider": job.provider, "file": each} for each in kept]
        if job.model:
            left.append({"job": job.id, "provider": job.provider, "model": job.model})
    return left


async def _delete_uploads(job: Job) -> list[str]:
    """Delete the copies that a provider on this disk has; return those that stay."""
    uploads = [file_id for file_id in (job.file_id, job.validation_id) if file_id]
    if not uploads:
        return []
    try:
        trainer = trainer_of(job.provider, job.connection)
    except VTuneError:  # it is not installed any more, or wants a key
        return uploads
    try:
        if not trainer.capabilities.on_this_disk:
            return uploads
        for file_id in uploads:
            await trainer.clean_up(file_id)
        return []
    finally:
        await trainer.aclose()


def _spooled(home: Path, job: Job) -> tuple[Path, ...]:
    return planted_path(home, job), lock_path(home, job)


def _job_json(job: Job) -> dict[str, Any]:
    return {
        "job": job.id,
        "provider": job.provider,
        "remote_job": job.remote_id,
        "planted_sha256": job.planted_sha256,
    }
