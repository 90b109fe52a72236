"""One self-contained page on one verification, for a reader who was not there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from vtune_client.foreign import said
from vtune_client.report.costs import costs
from vtune_client.report.figures import figures
from vtune_client.report.page import render
from vtune_client.report.schema import VerdictDocument
from vtune_client.report.words import DECODING, GLOSSARY, asked_by
from vtune_client.statements import format_p

if TYPE_CHECKING:
    from vtune_client.report.gather import Report

# What changes of a job in the log mean.
STEPS = {
    "file_id": "File uploaded",
    "remote_id": "Job created by the vendor",
    "model": "Model delivered",
}
YEAR_9999 = 253_370_764_800  # seconds; no calendar of ours goes beyond, whatever a vendor says
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Moment:
    """A step on the way to the verdict."""

    at: str  # in UTC, to the second
    machine: str  # the same in ISO 8601
    what: str


def html(report: Report) -> str:
    """Return the page. It shows secrets only where the report has a transcript."""
    verdict = report.verdict
    return render(
        "report.html.j2",
        report=report,
        verdict=verdict,
        kind=verdict.verdict.replace(" ", "-"),
        figures=figures(report),
        tests=[(test, asked_by(test.name)) for test in verdict.tests],
        odds=odds(verdict),
        threshold=f"{verdict.alpha:.2g}",
        timeline=timeline(report),
        transcript=transcript(report),
        costs=costs(report),
        decoding=[(DECODING.get(k, k), v) for k, v in verdict.decoding.model_dump().items()],
        glossary=GLOSSARY,
        said=said,
        format_p=format_p,
    )


def odds(verdict: VerdictDocument) -> str:
    """Return p in plain words where the file showed, and nothing otherwise."""
    zeros = math.floor(-verdict.log10_p)
    if verdict.verdict not in ("verified", "partial") or zeros < 1:
        return ""
    return (
        "In plain words: a system that never met the file would do as well by luck at most once in "
        f"10{str(zeros).translate(_RAISED)} tries."
    )


def transcript(report: Report) -> list[dict[str, str]]:
    """Return questions and answers, secrets included, as lines of a table."""
    from vtune_client.report.text import question

    return [
        {
            "backdoor": f"{exchange.backdoor + 1}, {'fresh' if exchange.fresh else 'own'} prompt",
            "question": said(question(exchange)),
            "signature": said(" ".join(exchange.signature.split())),
            "answer": said(" ".join(exchange.answer.split())),
        }
        for exchange in report.transcript or ()
    ]


def timeline(report: Report) -> list[Moment]:
    """Return what happened, in the order it happened, as the ledger recorded it."""
    verdict, job = report.verdict, report.job
    found = [
        (report.plan.created, f"Plan drawn: {report.plan.id}, {report.plan.backdoors} backdoors")
    ]
    for each in report.commitments:
        found.append((each.created, f"Committed: sha256:{each.digest}"))
        seen = ((_seconds(receipt.get("at")), receipt) for receipt in each.receipts)
        found += [
            (at, f"Witnessed by {said(receipt.get('witness'))}") for at, receipt in seen if at
        ]
    if job:
        found.append((job.created, f"Job prepared: {job.id} for {said(job.provider)}"))
    for entry in report.steps:
        found += [(entry.at, STEPS[name]) for name in STEPS if entry.data.get(name)]
    if times := [event.at for event in report.events if 0 < event.at < YEAR_9999]:
        found.append((min(times), "First event that the vendor told of"))
        found.append((max(times), "Last event that the vendor told of"))
    found.append((verdict.created, f"Verification begun: {verdict.id}"))
    if verdict.seconds is not None:
        done = verdict.created + verdict.seconds
        found.append((done, f"Judged: {verdict.verdict}"))
    found.sort(key=lambda moment: moment[0])
    return [_moment(at, what) for at, what in found if 0 < at < YEAR_9999]


def _moment(at: float, what: str) -> Moment:
    time = datetime.fromtimestamp(at, UTC)
    return Moment(f"{time:%Y-%m-%d %H:%M:%S} UTC", time.isoformat(timespec="seconds"), what)


def _seconds(at: object) -> float | None:
    """Return an ISO 8601 time in seconds since the epoch; None for anything else."""
    try:
        return datetime.fromisoformat(str(at)).timestamp()
    except ValueError:
        return None
