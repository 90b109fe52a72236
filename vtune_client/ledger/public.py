"""What the ledger keeps of what others may check: commitments, signers, openings, audits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import insert, select

from vtune_client.ledger.base import Base, insert_or_keep, insert_or_replace, row_of
from vtune_client.ledger.log import sha256_of
from vtune_client.ledger.records import AuditEntry, CommitmentRecord, SignerRecord
from vtune_client.ledger.tables import (
    AUDIT_ENTRIES,
    COMMITMENTS,
    OPENINGS,
    RECEIPTS,
    ROWID,
    SIGNERS,
    storable,
)


class PublicRecords(Base):
    def add_commitment(self, record: CommitmentRecord) -> None:
        """Keep a commitment and its receipts."""
        row = row_of(record)
        receipts = row.pop("receipts")
        with self._writing() as connection:
            connection.execute(insert(COMMITMENTS).values(row))
            self._append(
                connection,
                "commitment added",
                record.digest,
                {"plan": record.plan_id, "job": record.job_id, "receipts": len(receipts)},
            )
            for receipt in receipts:
                kept = {"digest": record.digest, "receipt": receipt}
                connection.execute(insert(RECEIPTS).values(kept))

    def commitment(self, digest: str) -> CommitmentRecord:
        """Return the commitment of that digest, in hex or as "sha256:...", or how it begins."""
        found = self._one(COMMITMENTS, digest.removeprefix("sha256:"), "commitment", "digest")
        return self._with_receipts(CommitmentRecord(**found))

    def commitments(self, plan_id: str | None = None) -> list[CommitmentRecord]:
        """Return all commitments, or those to one plan, oldest first."""
        query = select(COMMITMENTS).order_by(COMMITMENTS.c.created, ROWID)
        if plan_id is not None:
            query = query.where(COMMITMENTS.c.plan_id == plan_id)
        return [self._with_receipts(CommitmentRecord(**row)) for row in self._rows(query)]

    def add_receipt(self, digest: str, receipt: Mapping[str, Any]) -> None:
        """Keep what a witness says of the commitment with this (whole) digest."""
        digest = digest.removeprefix("sha256:")
        told = {name: receipt[name] for name in ("kind", "witness", "at") if name in receipt}
        told["sha256"] = sha256_of(receipt)
        row = {"digest": digest, "receipt": receipt}
        self._add(RECEIPTS, row, "receipt added", digest, **told)

    def _with_receipts(self, record: CommitmentRecord) -> CommitmentRecord:
        query = select(RECEIPTS).where(RECEIPTS.c.digest == record.digest).order_by(ROWID)
        return replace(record, receipts=tuple(row["receipt"] for row in self._rows(query)))

    def add_signer(self, record: SignerRecord) -> None:
        self._add(SIGNERS, row_of(record), "signer added", record.fingerprint)

    def signers(self) -> list[SignerRecord]:
        """Return the signing keys, newest last."""
        query = select(SIGNERS).order_by(SIGNERS.c.created, ROWID)
        return [SignerRecord(**row) for row in self._rows(query)]

    def open_backdoors(self, plan_id: str, numbers: Iterable[int], why: str) -> None:
        """Write down that backdoors of a plan are no secret any more; the first reason stays."""
        already = self.opened(plan_id)
        rows = [
            {"plan_id": plan_id, "number": number, "why": why}
            for number in sorted(set(numbers) - already.keys())
        ]
        if not rows:
            return
        with self._writing() as connection:
            connection.execute(insert_or_keep(connection, OPENINGS), rows)
            told = {"backdoors": [row["number"] for row in rows], "why": why}
            self._append(connection, "backdoors opened", plan_id, told)

    def opened(self, plan_id: str) -> dict[int, str]:
        """Return why which backdoors of a plan are burned, by their number from 0."""
        query = select(OPENINGS).where(OPENINGS.c.plan_id == plan_id).order_by(OPENINGS.c.number)
        return {row["number"]: row["why"] for row in self._rows(query)}

    def save_audit_entry(self, entry: AuditEntry) -> None:
        """Keep how far an entry of an audit has come, in the place of what was known of it."""
        told = {"run": entry.run, "job": entry.job_id, "verification": entry.verification_id}
        with self._writing() as connection:
            statement = insert_or_replace(connection, AUDIT_ENTRIES, "audit", "entry", "run")
            connection.execute(statement, row_of(entry))
            self._append(connection, "audit entry saved", f"{entry.audit}/{entry.entry}", told)

    def audit_entries(self, audit: str) -> list[AuditEntry]:
        """Return what is known of the entries of an audit, oldest first."""
        query = select(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.audit == storable(audit))
        query = query.order_by(AUDIT_ENTRIES.c.created, ROWID)
        return [AuditEntry(**row) for row in self._rows(query)]
