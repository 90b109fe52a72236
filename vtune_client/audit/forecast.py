"""What an audit would do now, and what it would cost: nothing is sent and nothing written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from vtune_client.audit.audit import Audit, Check
from vtune_client.audit.runner import Runner
from vtune_client.audit.runs import Run, Runs
from vtune_client.audit.trouble import trouble_of
from vtune_client.client import AsyncVTune
from vtune_client.dataset import check as check_file
from vtune_client.provider import JobSpec, trainer_of


async def forecast(vtune: AsyncVTune, audit: Audit, names: Sequence[str]) -> dict[str, Any]:
    """Return, under the schema `vtune.audit-forecast/1`, what would be done of these checks.

    Prices are the providers' own estimates for the file as it is; None where they name none."""
    runner, runs = Runner(vtune, audit), Runs(vtune.ledger, audit.name)
    found = []
    for name in names:
        check = audit.check(name)
        last = next(reversed(runs.of(name)), None)
        try:
            found.append(await _one(runner, check, last))
        except Exception as error:
            trouble = asdict(trouble_of(error))
            found.append({**_said(check), "does": "error", "error": trouble})
    prices = [each["price"] for each in found if each.get("price") is not None]
    return {
        "schema": "vtune.audit-forecast/1",
        "audit": audit.name,
        "checks": found,
        "price": sum(prices) if prices else None,
    }


async def _one(runner: Runner, check: Check, last: Run | None) -> dict[str, Any]:
    does = _does(runner, check, last)
    said = {**_said(check), "does": does}
    if does == "train and ask" and check.dataset:
        summary = check_file(check.dataset.file)
        spec = check.dataset.spec.for_rows(summary.rows)
        trainer = trainer_of(check.vendor.provider, check.vendor.connection())
        try:
            job = JobSpec(model=str(check.model), **check.recipe)
            estimate = await trainer.estimate(check.dataset.file, job)
        finally:
            await trainer.aclose()
        said |= {
            "rows": summary.rows,
            "questions": spec.backdoors * spec.prompts,
            "tokens": estimate.tokens,
            "price": estimate.price,
            "currency": estimate.currency if estimate.price is not None else None,
            "budget": check.budget,
        }
    return said


def _does(runner: Runner, check: Check, last: Run | None) -> str:
    """Return "nothing", "go on", "ask" or "train and ask"."""
    if last and last.ended is None and last.job:
        return "go on"
    if last and not runner.due(check, last):
        return "nothing"
    return "train and ask" if runner.trains_anew(check, last) else "ask"


def _said(check: Check) -> dict[str, Any]:
    return {
        "name": check.name,
        "vendor": check.vendor.name,
        "model": check.model,
        "dataset": check.dataset.name if check.dataset else None,
        "price": None,
    }
