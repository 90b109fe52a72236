"""Everything that one report shows, from the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pydantic import ValidationError

from vtune_client.errors import InputError
from vtune_client.report.schema import VerdictDocument

if TYPE_CHECKING:
    from vtune_client.client import Exchange
    from vtune_client.ledger import CommitmentRecord, Job, Ledger, LogEntry, PlanRecord
    from vtune_client.provider import JobEvent


@dataclass(frozen=True)
class Report:
    """A recorded verdict with the records around it. `transcript` is None unless it is to be shown.

    `events` are the vendor's word and ours on the job; a report takes numbers and times from them,
    never the text: a vendor may quote the planted file in it."""

    verdict: VerdictDocument
    plan: PlanRecord = field(repr=False)
    job: Job | None = field(default=None, repr=False)
    events: tuple[JobEvent, ...] = field(default=(), repr=False)
    steps: tuple[LogEntry, ...] = field(default=(), repr=False)  # what the log says of the job
    commitments: tuple[CommitmentRecord, ...] = ()
    opened: tuple[int, ...] = ()  # backdoors of the plan that somebody was shown, from 0
    transcript: tuple[Exchange, ...] | None = field(default=None, repr=False)


def gather(
    ledger: Ledger, verification_id: str, transcript: Sequence[Exchange] | None = None
) -> Report:
    """Return the report of a verification; with `transcript` it will show secrets.

    Raises `InputError` where the verification was not finished, or its record is no verdict."""
    record = ledger.verification(verification_id)
    if not record.verdict:
        raise InputError(
            f"{record.id} was cut short and has no verdict.",
            "Run the same `vtune verify` again: it goes on where it stopped.",
        )
    try:
        verdict = VerdictDocument.model_validate(record.verdict)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        raise InputError(
            f"The record of {record.id} is no verdict of this program's kind (see {place}).",
            "Read it with the program that wrote it: vtune report --format json.",
        ) from None
    job = ledger.job(record.job_id) if record.job_id else None
    return Report(
        verdict=verdict,
        plan=ledger.plan(record.plan_id),
        job=job,
        events=tuple(ledger.events(job)) if job else (),
        steps=tuple(
            entry
            for entry in ledger.log()
            if (entry.subject, entry.action) == (record.job_id, "job changed")
        ),
        commitments=tuple(
            each
            for each in ledger.commitments(record.plan_id)
            if each.job_id in (None, record.job_id) and each.created <= record.created
        ),
        opened=tuple(sorted(ledger.opened(record.plan_id))),
        transcript=None if transcript is None else tuple(transcript),
    )
