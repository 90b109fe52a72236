"""An audit as it stands, as plain JSON (`vtune.audit/1`): what every page and line is made of.

It is put together from the ledger alone, and from what just stood in the way; so a run that had
nothing to do says the same as the one before it. It holds no secret.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vtune_client.audit.audit import Audit, Check
from vtune_client.audit.family import Corrected, corrected
from vtune_client.audit.history import moment, worse
from vtune_client.audit.policy import Case, Ruling
from vtune_client.audit.runs import Run, Runs
from vtune_client.audit.trouble import Trouble
from vtune_client.ledger import Ledger
from vtune_client.statements import format_p
from vtune_client.version import __version__

SCHEMA = "vtune.audit/1"
HOLDS, FAILS, OPEN, ERROR = 0, 1, 3, 2


@dataclass(frozen=True)
class _Job:
    """Of a job, the digests of its commitments, and what it cost where the service said."""

    commitments: tuple[str, ...] = ()
    price: float | None = None
    currency: str = ""


def summarise(
    ledger: Ledger, audit: Audit, troubles: Mapping[str, Trouble], only: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the summary of all checks of the audit, whichever of them were due.

    `troubles` are what stood in the way of some in this call, by name. The exit code is that of the
    checks named in `only`, or of all."""
    runs: dict[str, list[Run]] = {check.name: [] for check in audit.checks}
    for run in Runs(ledger, audit.name).all():
        if run.check in runs:
            runs[run.check].append(run)
    verdicts = {name: _verdicts(ledger, found) for name, found in runs.items()}
    last = {name: found[-1] if found else None for name, found in verdicts.items()}
    family = corrected(last, audit.alpha, audit.multiplicity)
    got_worse = worse(verdicts)
    checks = [
        _check(
            check,
            runs[check.name],
            verdicts[check.name],
            family[check.name],
            got_worse.get(check.name, ()),
            troubles.get(check.name),
            _told(ledger, runs[check.name]),
        )
        for check in audit.checks
    ]
    counts = Counter(check["state"] for check in checks)
    return {
        "schema": SCHEMA,
        "audit": audit.name,
        "created": time.time(),
        "alpha": audit.alpha,
        "multiplicity": audit.multiplicity,
        "only": list(only),
        "exit_code": exit_code([each for each in checks if not only or each["name"] in only]),
        "counts": {state: counts[state] for state in ("holds", "fails", "open", "error", "due")},
        "checks": checks,
        "versions": {"vtune-client": __version__},
    }


def exit_code(checks: Sequence[Mapping[str, Any]]) -> int:
    """Return what a shell or a CI system is told; the worst of all checks.

    A policy that fails comes first. Then what kept a check from its verdict, by its family: a bug,
    bad input, secrets, vendor or network. Then what is open. Last, that all hold."""
    states = {check["state"] for check in checks}
    codes = {check["error"]["exit_code"] for check in checks if check["error"]}
    if "fails" in states:
        return FAILS
    for code in (70, ERROR, 5, 4):
        if code in codes:
            return code
    return OPEN if states & {"open", "due"} else HOLDS


def _verdicts(ledger: Ledger, runs: Sequence[Run]) -> list[Mapping[str, Any]]:
    """Return the JSON verdicts of the runs that came to one, the oldest first."""
    found = [ledger.verification(run.verification) for run in runs if run.verification]
    return [record.verdict for record in found if record.verdict]


def _check(
    check: Check,
    runs: Sequence[Run],
    verdicts: Sequence[Mapping[str, Any]],
    family: Corrected,
    got_worse: tuple[str, ...],
    trouble: Trouble | None,
    job: _Job,
) -> dict[str, Any]:
    run, verdict = (runs[-1] if runs else None), (verdicts[-1] if verdicts else None)
    stored = Trouble(**run.error) if run and run.error else None
    trouble = trouble or stored
    ruling, survives = None, None
    if verdict:
        claims = verdict["verdict"] in ("verified", "partial")
        survives = family.survives if claims else None
        case = Case(verdict, survives, job.price, got_worse)
        ruling = check.policy.judge(case)
    share = verdict.get("share") if verdict else None
    adjusted = family.log10_p if verdict else None
    return {
        "name": check.name,
        "vendor": check.vendor.name,
        "provider": check.vendor.provider,
        "model": check.model,
        "dataset": check.dataset.name if check.dataset else None,
        "control": check.control,
        "tags": list(check.tags),
        "state": _state(ruling, trouble),
        "verdict": verdict["verdict"] if verdict else None,
        "statement": verdict["statement"] if verdict else None,
        "p": verdict["p"] if verdict else None,
        "log10_p": verdict["log10_p"] if verdict else None,
        "adjusted_p": format_p(adjusted) if adjusted is not None else None,
        "adjusted_log10_p": adjusted,
        "survives": survives,
        "share": {"low": share["low"], "high": share["high"]} if share else None,
        "activated": verdict["activated"] if verdict else None,
        "backdoors": verdict["backdoors"] if verdict else None,
        "signs": list(verdict.get("signs", ())) if verdict else [],
        "policy": ruling.to_json() if ruling else None,
        "asked_for": str(check.policy),
        "worse": list(got_worse),
        "notes": list(run.notes) if run else [],
        "cost": {"price": job.price, "currency": job.currency} if job.price is not None else None,
        "commitments": list(job.commitments),
        "error": asdict(trouble) if trouble else None,
        "run": run.number if run else None,
        "plan": run.plan if run else None,
        "job": run.job if run else None,
        "verification": verdict["id"] if verdict else None,
        "history": [moment(each) for each in verdicts],
    }


def _state(ruling: Ruling | None, trouble: Trouble | None) -> str:
    """Return "holds", "fails", "open", "error", or "due" for a check not yet done.

    A verdict of an earlier run counts no more where the run that was due met trouble."""
    if trouble:
        return "error"
    if ruling is None:
        return "due"
    return {True: "holds", False: "fails", None: "open"}[ruling.holds]


def _told(ledger: Ledger, runs: Sequence[Run]) -> _Job:
    """Return what is on record of the last run's job."""
    job = runs[-1].job if runs else None
    if job is None:
        return _Job()
    plan = ledger.job(job).plan_id
    digests = [each.digest for each in ledger.commitments(plan) if each.job_id == job]
    for event in ledger.events(ledger.job(job)):
        price = event.data.get("price")
        if event.id == "price" and isinstance(price, int | float):
            return _Job(tuple(digests), float(price), str(event.data.get("currency", "")))
    return _Job(tuple(digests))
