"""The ledger: plans, jobs, uploads and verifications, each write in the log with what it did."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sqlalchemy import select, update

from vtune_client.errors import InputError
from vtune_client.ledger.base import insert_or_keep, insert_or_replace, row_of
from vtune_client.ledger.erasure import Erasure
from vtune_client.ledger.log import sha256_of
from vtune_client.ledger.public import PublicRecords
from vtune_client.ledger.records import Job, PlanRecord, Step, Upload, VerificationRecord
from vtune_client.ledger.tables import (
    ANSWERS,
    EVENTS,
    JOBS,
    PLANS,
    ROWID,
    UPLOADS,
    VERIFICATIONS,
    storable,
)
from vtune_client.provider import JobEvent, JobSpec, State

# What of a job is told in the log when it changes.
TOLD = ("step", "state", "planted_sha256", "file_id", "validation_id", "remote_id", "model")


class Ledger(PublicRecords, Erasure):
    """The record of one user, or of a team. Safe for several processes; one thread at a time."""

    def add_plan(self, plan: PlanRecord) -> None:
        if storable(plan.source) != plan.source:
            raise InputError(
                f"The path {plan.source!a} is not text in UTF-8, so it cannot be kept.",
                "Rename the file.",
            )
        told = {"source_sha256": plan.source_sha256, "rows": plan.rows}
        told |= {"backdoors": plan.backdoors, "carriers": plan.carriers}
        if plan.committed:
            told["merkle_root"] = plan.committed.get("merkle_root")
        self._add(PLANS, row_of(plan), "plan drawn", plan.id, **told)

    def plan(self, plan_id: str) -> PlanRecord:
        return PlanRecord(**self._one(PLANS, plan_id, "plan"))

    def plans(self) -> list[PlanRecord]:
        found = self._rows(select(PLANS).order_by(PLANS.c.created, ROWID))
        return [PlanRecord(**row) for row in found]

    def add_job(self, job: Job) -> None:
        spec = asdict(job.spec)
        try:
            json.dumps([spec, dict(job.connection)])
        except (TypeError, ValueError) as error:
            raise InputError(
                f"The options of the job cannot be kept: {error}.",
                "Give words, numbers, lists and dictionaries.",
            ) from None
        told = {"plan": job.plan_id, "provider": job.provider, "model": job.spec.model}
        self._add(JOBS, {**row_of(job), "spec": spec}, "job added", job.id, **told, step=job.step)

    def job(self, job_id: str) -> Job:
        return _job(self._one(JOBS, job_id, "job"))

    def jobs(self) -> list[Job]:
        return [_job(row) for row in self._rows(select(JOBS).order_by(JOBS.c.created, ROWID))]

    def update(self, job: Job, **changes: Any) -> Job:
        """Write what has changed of a job, on disk before this returns; return the new job.

        A job that is done stays as it is: another process may have seen its end first."""
        open_ = (JOBS.c.id == job.id) & (JOBS.c.step != Step.DONE)
        with self._writing() as connection:
            before = connection.execute(select(JOBS).where(open_)).first()
            connection.execute(update(JOBS).where(open_).values(changes))
            row = connection.execute(select(JOBS).where(JOBS.c.id == job.id)).one()
            old, new = before._mapping if before else row._mapping, row._mapping
            if told := {name: new[name] for name in TOLD if old[name] != new[name]}:
                self._append(connection, "job changed", job.id, told)
        return _job(dict(new))

    def add_upload(self, upload: Upload) -> None:
        """Keep an upload; an id that a service gives out again stands for the new one."""
        told = {"provider": upload.provider, "file_id": upload.file_id}
        told["planted_sha256"] = upload.planted_sha256
        with self._writing() as connection:
            statement = insert_or_replace(connection, UPLOADS, "provider", "address", "file_id")
            connection.execute(statement, row_of(upload))
            self._append(connection, "upload added", upload.plan_id, told)

    def upload(self, provider: str, address: str, file_id: str) -> Upload | None:
        """Return the upload of that id at that service, or None where it is not one of ours."""
        query = select(UPLOADS).where(
            UPLOADS.c.provider == provider,
            UPLOADS.c.address == address,
            UPLOADS.c.file_id == file_id,
        )
        found = self._rows(query)
        return Upload(**found[0]) if found else None

    def add_events(self, job: Job, events: list[JobEvent]) -> None:
        """Keep a job's events; those already kept stay as they are."""
        rows = [{**row_of(event), "job_id": job.id} for event in events]
        if not rows:
            return
        with self._writing() as connection:
            connection.execute(insert_or_keep(connection, EVENTS), rows)

    def events(self, job: Job) -> list[JobEvent]:
        query = select(EVENTS.c.id, EVENTS.c.at, EVENTS.c.message, EVENTS.c.data)
        query = query.where(EVENTS.c.job_id == job.id).order_by(EVENTS.c.at, ROWID)
        return [JobEvent(**row) for row in self._rows(query)]

    def add_verification(self, record: VerificationRecord) -> None:
        told = {"plan": record.plan_id, "job": record.job_id, "target": sha256_of(record.target)}
        self._add(VERIFICATIONS, row_of(record), "verification begun", record.id, **told)

    def unfinished(self, plan_id: str, target: Mapping[str, Any]) -> VerificationRecord | None:
        """Return a round of the same questions to the same model that was cut short."""
        query = select(VERIFICATIONS).where(
            VERIFICATIONS.c.plan_id == plan_id,
            VERIFICATIONS.c.target == target,
            VERIFICATIONS.c.verdict.is_(None),
        )
        found = self._rows(query.order_by(VERIFICATIONS.c.created.desc()).limit(1))
        return VerificationRecord(**found[0]) if found else None

    def finish(self, record: VerificationRecord, verdict: Mapping[str, Any]) -> None:
        this = VERIFICATIONS.c.id == record.id
        with self._writing() as connection:
            connection.execute(update(VERIFICATIONS).where(this).values(verdict=verdict))
            told = {"verdict": verdict.get("verdict"), "sha256": sha256_of(verdict)}
            self._append(connection, "verification finished", record.id, told)

    def verification(self, verification_id: str) -> VerificationRecord:
        return VerificationRecord(**self._one(VERIFICATIONS, verification_id, "verification"))

    def verifications(self) -> list[VerificationRecord]:
        query = select(VERIFICATIONS).order_by(VERIFICATIONS.c.created, ROWID)
        return [VerificationRecord(**row) for row in self._rows(query)]

    def save_answer(self, record: VerificationRecord, item: str, sealed: bytes) -> None:
        row = {"verification_id": record.id, "item": item, "sealed": sealed}
        with self._writing() as connection:
            statement = insert_or_replace(connection, ANSWERS, "verification_id", "item")
            connection.execute(statement, row)

    def answers(self, record: VerificationRecord) -> dict[str, bytes]:
        """Return the sealed answers of a round, by item."""
        query = select(ANSWERS).where(ANSWERS.c.verification_id == record.id)
        return {row["item"]: row["sealed"] for row in self._rows(query)}


def _job(row: Mapping[str, Any]) -> Job:
    return Job(
        **{
            **row,
            "spec": JobSpec(**row["spec"]),
            "step": Step(row["step"]),
            "state": State(row["state"]) if row["state"] else None,
        }
    )
