"""The runs of an audit's checks, as the ledger keeps them: what a later call goes on with.

A run is written down before each of its steps. The ledger's entry of (audit, check, number) is
always the whole run as it stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from vtune_client.ledger import AuditEntry, Ledger

HOOK = "@webhook"  # entries that are no check's: which outcomes were told to whom


@dataclass(frozen=True)
class Run:
    """One time a check was done, or is being done.

    `trains` and `asks` are digests of what was asked for (`Check.trains`, `Check.asks`). `asked` is
    when the questions began, `control` the verification they were compared with, `ended` when it
    was over: with a `verification`, or with an `error` that asking again will not mend. Times are
    seconds since the epoch. `notes` are sentences for the summary."""

    check: str
    number: int
    began: float
    trains: str
    asks: str
    data: str | None = None
    plan: str | None = None
    job: str | None = None
    control: str | None = None
    asked: float | None = None
    verification: str | None = None
    ended: float | None = None
    error: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = field(default=())


class Runs:
    """The runs of one audit. Entries of an audit's file that was edited since stay."""

    def __init__(self, ledger: Ledger, audit: str) -> None:
        self._ledger, self._audit = ledger, audit

    def of(self, check: str) -> list[Run]:
        """Return the runs of a check, the oldest first."""
        return [run for run in self.all() if run.check == check]

    def all(self) -> list[Run]:
        """Return all runs there are, by check and number."""
        found = self._ledger.audit_entries(self._audit)
        runs = [_run(entry) for entry in found if not entry.entry.startswith(HOOK)]
        return sorted(runs, key=lambda run: (run.check, run.number))

    def save(self, run: Run, **changes: Any) -> Run:
        """Write a run with these changes, on disk before this returns; return it."""
        run = replace(run, **changes)
        data = {
            name: value
            for name, value in asdict(run).items()
            if name not in ("check", "number", "began", "job", "verification")
        }
        self._ledger.save_audit_entry(
            AuditEntry(
                audit=self._audit,
                entry=run.check,
                run=str(run.number),
                created=run.began,
                job_id=run.job,
                verification_id=run.verification,
                data=data,
            )
        )
        return run


def _run(entry: AuditEntry) -> Run:
    known = {each.name for each in fields(Run)}
    data = {name: value for name, value in entry.data.items() if name in known}
    data["notes"] = tuple(data.get("notes", ()))
    return Run(
        check=entry.entry,
        number=int(entry.run),
        began=entry.created,
        job=entry.job_id,
        verification=entry.verification_id,
        **data,
    )
