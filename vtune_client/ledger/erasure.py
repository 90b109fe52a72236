"""Forgetting a plan: first what is secret, then the records, then what the database left lying."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, Executable, delete, func, select, update

from vtune_client.errors import LedgerError
from vtune_client.ledger.base import Base
from vtune_client.ledger.records import LogEntry, Step
from vtune_client.ledger.tables import (
    ANSWERS,
    AUDIT_ENTRIES,
    COMMITMENTS,
    EVENTS,
    JOBS,
    OPENINGS,
    PLANS,
    RECEIPTS,
    UPLOADS,
    VERIFICATIONS,
)

log = logging.getLogger(__name__)

PURGED = "purged"  # the action of the log entry that says so


class Erasure(Base):
    def erase(self, plan_id: str) -> None:
        """Delete all that is sealed under a plan's key: from here on the plan cannot be used.

        The rest stays, so that an erasure that was cut short can be done again. Raises
        `LedgerError` where a job of the plan is not done."""
        with self._writing() as connection:
            open_ = (JOBS.c.plan_id == plan_id) & (JOBS.c.step != Step.DONE)
            running = list(connection.scalars(select(JOBS.c.id).where(open_)))
            if running:
                raise still_running(plan_id, running)
            rounds = select(VERIFICATIONS.c.id).where(VERIFICATIONS.c.plan_id == plan_id)
            sealed = ANSWERS.c.verification_id.in_(rounds)
            answers = connection.scalar(select(func.count()).select_from(ANSWERS).where(sealed))
            connection.execute(delete(ANSWERS).where(sealed))
            connection.execute(update(PLANS).where(PLANS.c.id == plan_id).values(sealed=b""))
            self._append(connection, "purge begun", plan_id, {"answers": answers})

    def forget(self, plan_id: str, *, keep_verdicts: bool, **told: Any) -> LogEntry:
        """Delete the records of an erased plan, or those without a verdict; return what the log
        says of it. `told` is said there, too."""
        with self._writing() as connection:
            for statement in _unjudged(plan_id) if keep_verdicts else _all(plan_id):
                connection.execute(statement)
            kept = {"verdicts_kept": keep_verdicts}
            return self._append(connection, PURGED, plan_id, {**told, **kept})

    def sweep(self) -> bool:
        """Overwrite what deleted rows have left in the files of the database.

        Returns False, and logs why, where another program's reading stood in the way or the tables
        are somebody else's; then it is to be done again. A server's write-ahead log and its
        backups keep what they hold."""
        try:
            with self._database.unbounded() as connection:
                on_file = connection.dialect.name == "sqlite"
                reasons = _sweep_file(connection) if on_file else _sweep_server(connection)
        except LedgerError as error:
            reasons = [error.message]
        for reason in reasons:
            log.warning("deleted rows are not overwritten yet: %s", reason)
        return not reasons


def _sweep_file(connection: Connection) -> list[str]:
    connection.exec_driver_sql("VACUUM")
    busy, *_ = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    return ["another program reads the ledger"] if busy else []


def _sweep_server(connection: Connection) -> list[str]:
    """Return what the server warned of: it passes over tables that are not ours to rewrite."""
    session: Any = connection.connection.driver_connection
    warnings: list[str] = []

    def hear(notice: Any) -> None:
        warnings.append(str(notice.message_primary))

    session.add_notice_handler(hear)
    try:
        for table in (ANSWERS, PLANS, VERIFICATIONS, JOBS, EVENTS, UPLOADS, AUDIT_ENTRIES):
            connection.exec_driver_sql(f"VACUUM FULL {table.name}")
    finally:
        session.remove_notice_handler(hear)
    return warnings


def still_running(plan_id: str, jobs: list[str]) -> LedgerError:
    """Return the error that says why a plan cannot be purged yet."""
    return LedgerError(
        f"{', '.join(jobs)} on {plan_id} may still run and be paid for.",
        f"Wait for it (`vtune wait {jobs[0]}`) or cancel it first.",
    )


def _unjudged(plan_id: str) -> list[Executable]:
    judged = VERIFICATIONS.c.verdict.is_not(None)
    return [delete(VERIFICATIONS).where(VERIFICATIONS.c.plan_id == plan_id, ~judged)]


def _all(plan_id: str) -> list[Executable]:
    """Return what deletes a plan with all that refers to it, in an order that leaves no gap."""
    jobs = select(JOBS.c.id).where(JOBS.c.plan_id == plan_id)
    digests = select(COMMITMENTS.c.digest).where(COMMITMENTS.c.plan_id == plan_id)
    of_plan = (COMMITMENTS, OPENINGS, UPLOADS, VERIFICATIONS, JOBS)
    return [
        delete(RECEIPTS).where(RECEIPTS.c.digest.in_(digests)),
        delete(EVENTS).where(EVENTS.c.job_id.in_(jobs)),
        delete(AUDIT_ENTRIES).where(AUDIT_ENTRIES.c.job_id.in_(jobs)),
        *(delete(table).where(table.c.plan_id == plan_id) for table in of_plan),
        delete(PLANS).where(PLANS.c.id == plan_id),
    ]
