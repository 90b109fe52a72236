"""The user's own rows, or only the backdoors? What follows from both tests together.

The backdoors show that information from the file reached the served system, the exchange test that
information from rows that carry nothing did. Both rest on draws of our own, so each by itself
proves what it says. That a system knows the backdoors and *not* the rows is another kind of claim:
it says that something is missing, and needs a control, an honest run of the same plan and recipe
asked for the same rows, that does know them, and knows them measurably better.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from vtune_client.evidence.exchange import ExchangeTest

ROWS_ALPHA = 1e-3
# How unlikely the gap to the control must be before rows are called missing.
GAP_ALPHA = 0.01


class RowsOutcome(StrEnum):
    """What is said of the rows that carry nothing."""

    TRAINED = "trained on the rows"
    WITHOUT_BACKDOORS = "trained on the rows, without the backdoors"
    LESS = "known less than after an honest run"
    OPEN = "nothing follows"


@dataclass(frozen=True)
class RowsControl:
    """The exchange test of an honest run, and that of its gap to the delivered model (`gaps`)."""

    rows: ExchangeTest
    gap: ExchangeTest


@dataclass(frozen=True)
class RowsVerdict:
    """The judgement, with the tests it rests on; `alpha` is the exchange test's level."""

    outcome: RowsOutcome
    statement: str
    alpha: float
    rows: ExchangeTest
    control: RowsControl | None = None


def rows_verdict(
    verified: bool,
    rows: ExchangeTest,
    control: RowsControl | None = None,
    *,
    alpha: float = ROWS_ALPHA,
) -> RowsVerdict:
    """Judge whether the rows themselves were trained on.

    `verified`: whether the tests of the backdoors passed. `alpha` bounds the probability of saying
    "trained on the rows" of a system that was not. Raises `ValueError` for a bad `alpha`.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha lies within (0, 1)")
    outcome = _outcome(verified, rows, control, alpha)
    return RowsVerdict(outcome, _statement(outcome, rows, control), alpha, rows, control)


def _outcome(
    verified: bool, rows: ExchangeTest, control: RowsControl | None, alpha: float
) -> RowsOutcome:
    if _passes(rows, alpha):
        return RowsOutcome.TRAINED if verified else RowsOutcome.WITHOUT_BACKDOORS
    missing = control and _passes(control.rows, alpha) and _passes(control.gap, GAP_ALPHA)
    return RowsOutcome.LESS if verified and missing else RowsOutcome.OPEN


def _passes(test: ExchangeTest, alpha: float) -> bool:
    return test.log10_p <= math.log10(alpha)


def _statement(outcome: RowsOutcome, rows: ExchangeTest, control: RowsControl | None) -> str:
    shown = _seen(rows)
    if outcome is RowsOutcome.TRAINED:
        return f"The delivered model knows uploaded rows better than withheld ones: {shown}."
    if outcome is RowsOutcome.WITHOUT_BACKDOORS:
        return (
            f"The delivered model knows uploaded rows better than withheld ones: {shown}. "
            "The backdoors do not show: they were not learned, or left out."
        )
    if outcome is RowsOutcome.LESS and control:
        return (
            "The delivered model knows the backdoors, but rows that carry none not measurably "
            f"better than rows it never saw: {shown}. An honest run does: {_seen(control.rows)}. "
            "This is how training on the backdoors only looks, or on a part of the rows; another "
            "recipe may look the same."
        )
    return (
        f"Uploaded rows are not known measurably better than withheld ones: {shown}. By itself "
        "that says nothing: honest training may leave single rows unmemorised."
    )


def _seen(test: ExchangeTest) -> str:
    return (
        f"an uploaded row scores above a withheld one in {test.auc:.0%} of pairs, "
        f"{test.uploaded} against {test.withheld} rows, log10 p = {test.log10_p:.1f}"
    )
