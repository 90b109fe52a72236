"""What follows for the rows, in every case, and that nothing more does."""

from __future__ import annotations

import itertools

import pytest

from vtune_client.evidence.exchange import ExchangeTest
from vtune_client.evidence.rows_verdict import RowsControl, RowsOutcome, rows_verdict


def found(log10_p: float, auc: float = 0.75) -> ExchangeTest:
    return ExchangeTest("rows", log10_p, 40, 40, auc * 1600, auc, "exact count")


CLEAR, AT, SHORT = found(-12.0, 0.9), found(-3.0), found(-2.9, 0.5)
CONTROLS = {
    "none": None,
    "fails": RowsControl(SHORT, CLEAR),
    "no gap": RowsControl(CLEAR, found(-1.9)),
    "passes": RowsControl(CLEAR, found(-2.0)),
}


@pytest.mark.parametrize("control", CONTROLS)
def test_rows_that_are_known_prove_themselves(control: str) -> None:
    for rows in (CLEAR, AT):
        assert rows_verdict(True, rows, CONTROLS[control]).outcome is RowsOutcome.TRAINED
        alone = rows_verdict(False, rows, CONTROLS[control])
        assert alone.outcome is RowsOutcome.WITHOUT_BACKDOORS


def test_only_a_control_that_knows_the_rows_better_says_what_is_missing() -> None:
    for (name, control), verified in itertools.product(CONTROLS.items(), (True, False)):
        missing = name == "passes" and verified
        expected = RowsOutcome.LESS if missing else RowsOutcome.OPEN
        assert rows_verdict(verified, SHORT, control).outcome is expected


def test_alpha_is_the_level_of_both_exchange_tests() -> None:
    assert rows_verdict(True, SHORT, alpha=0.01).outcome is RowsOutcome.TRAINED
    strict = rows_verdict(True, SHORT, CONTROLS["passes"], alpha=1e-13)
    assert strict.outcome is RowsOutcome.OPEN
    for alpha in (0.0, 1.0):
        with pytest.raises(ValueError, match="alpha"):
            rows_verdict(True, AT, alpha=alpha)


def test_the_statement_says_what_was_seen() -> None:
    said = rows_verdict(True, CLEAR).statement
    assert "90% of pairs, 40 against 40 rows, log10 p = -12.0" in said
    said = rows_verdict(True, SHORT, CONTROLS["passes"]).statement
    assert "50% of pairs" in said
    assert "An honest run does: an uploaded row scores above a withheld one in 90%" in said
    assert "may look the same" in said
    assert "says nothing" in rows_verdict(True, SHORT).statement
    assert "not learned, or left out" in rows_verdict(False, CLEAR).statement


def test_a_verdict_holds_what_it_rests_on() -> None:
    verdict = rows_verdict(True, SHORT, CONTROLS["passes"], alpha=1e-4)
    assert (verdict.rows, verdict.control, verdict.alpha) == (SHORT, CONTROLS["passes"], 1e-4)
