"""A verdict that accuses rests on its control: whose own statement can be asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.check.conftest import Case, signed_anew
from vtune_client import VTune
from vtune_client.check import Beside, Finding, Standing, Trusted, check_envelope

Attested = Callable[..., Case]


@dataclass(frozen=True)
class Accused:
    """A base model that was not verified, and the statement of the honest run beside it."""

    case: Case
    control: bytes

    def findings(self, control: bytes | None) -> list[Finding]:
        beside = Beside(reveal=self.case.reveal, control=control)
        _, checked = check_envelope(self.case.envelope, Trusted(), beside)
        return [each for each in checked.findings if each.what.startswith("the control")]


@pytest.fixture
def accused(attested: Attested) -> Accused:
    case = attested("text", base=True)
    assert case.statement.predicate.verdict["verdict"] == "not verified"
    with VTune() as vtune:
        honest = next(v for v in vtune.ledger.verifications() if v.target["control"] is None)
        return Accused(case, vtune.attest(honest.id).envelope)


def test_a_control_is_the_auditors_word_until_it_is_shown(accused: Accused) -> None:
    [alone] = accused.findings(None)
    assert alone.standing is Standing.OPEN
    assert "--control" in alone.why
    shown = accused.findings(accused.control)
    assert {each.standing for each in shown} == {Standing.CONFIRMED}
    assert {"the control", "the control: the numbers"} <= {each.what for each in shown}


def test_a_verdict_without_a_control_says_nothing_of_one(attested: Attested) -> None:
    case = attested("text")
    _, checked = check_envelope(case.envelope, Trusted(), Beside())
    assert "the control" not in {finding.what for finding in checked.findings}


def test_another_control_is_refuted(accused: Accused) -> None:
    # The accused run is no control for itself: it did not verify its model.
    assert accused.findings(accused.case.envelope)[0].standing is Standing.REFUTED
    stated = json.loads(accused.case.statement.payload())
    stated["predicate"]["verdict"]["control"]["matched"][0] -= 1
    worse = Accused(Case(**{**vars(accused.case), "envelope": signed_anew(stated)}), b"")
    assert worse.findings(accused.control)[0].standing is Standing.REFUTED


def test_what_is_no_statement_is_no_control(accused: Accused) -> None:
    [refused] = accused.findings(b"{}")
    assert (refused.standing, "no signed envelope" in refused.why) == (Standing.REFUTED, True)
