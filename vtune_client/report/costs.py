"""What a verification cost: the price of the job, and what was asked of the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vtune_client.foreign import said
from vtune_client.report.figures import finite
from vtune_client.report.schema import Anytime, Rank, VerdictDocument

if TYPE_CHECKING:
    from vtune_client.report.gather import Report


def costs(report: Report) -> list[tuple[str, str]]:
    """Return names and values; what is not known is left out."""
    found = [(f"{what}", f"{count}") for what, count in _questions(report.verdict) if count]
    if report.verdict.seconds is not None:
        found.append(("time of asking", f"{report.verdict.seconds:g} s"))
    for event in report.events:
        price = finite(event.data.get("price"))
        if event.id == "price" and price is not None:
            who = f" ({said(event.data['source'])})" if event.data.get("source") else ""
            found.append(
                ("price of training", f"{price:g} {said(event.data.get('currency'))}{who}")
            )
    if report.job and report.job.budget is not None:
        found.append(("budget for training", f"{report.job.budget:g}"))
    return found


def _questions(verdict: VerdictDocument) -> list[tuple[str, int]]:
    """Return what was asked; retries are not on record."""
    anytime = next((test for test in verdict.tests if isinstance(test, Anytime)), None)
    ranked = [test for test in verdict.tests if isinstance(test, Rank)]
    ranks = next((test for test in ranked if test.name.startswith("ranks")), None)
    asked = verdict.anytime.asked if verdict.anytime else 0
    if anytime:
        asked = sum(not isinstance(result, int) for result in anytime.results)
    scored = sum(count + 1 for count in ranks.decoys) if ranks else 0
    runs = 2 if ranks and "base" in ranks.name else 1
    return [
        ("questions about backdoors", asked),
        ("questions about rows", len(verdict.rows.scores) if verdict.rows else 0),
        ("signatures and decoys scored", scored * runs),
        ("backdoors kept in reserve", 0 if verdict.reprobes else verdict.reserve or 0),
    ]
