"""Nothing can be changed about a statement, or beside it, that `vtune check` does not find."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from tests.check import forged, misdated, tampered
from tests.check.evidence import Evidence, Tamper
from tests.cli.conftest import Cli

MUTATIONS = [param for by in (tampered, forged, misdated) for param in by.found_at.params]
REFUTED, UNREADABLE = 1, 2


@pytest.fixture
def evidence(honest: Evidence) -> Evidence:
    return copy.deepcopy(honest)


@pytest.mark.parametrize(("tamper", "what", "words"), MUTATIONS)
def test_what_was_tampered_with_is_found_and_named(
    cli: Cli,
    evidence: Evidence,
    tmp_path: Path,
    tamper: Tamper,
    what: str,
    words: tuple[str, ...],
) -> None:
    tamper(evidence)
    ran = cli("check", *evidence.write(tmp_path), "--format", "json")
    if not what:
        assert (ran.code, ran.out) == (UNREADABLE, "")
        assert ran.err.startswith("error: ")
        assert all(word in ran.err for word in words), ran.err
        return
    assert (ran.code, ran.err) == (REFUTED, "")
    assert ran.json["holds"] is False
    refuted = [f for f in ran.json["findings"] if f["standing"] == "refuted" and f["what"] == what]
    said = " ".join(finding["why"] for finding in refuted)
    assert refuted, [f["what"] for f in ran.json["findings"] if f["standing"] == "refuted"]
    assert all(word in said for word in words), said


@misdated.TIMESTAMP
def test_a_timestamp_of_an_authority_that_was_not_given_confirms_nothing(
    cli: Cli, evidence: Evidence, tmp_path: Path
) -> None:
    evidence.roots = misdated.other_roots(tmp_path)
    ran = cli("check", *evidence.write(tmp_path), "--format", "json")
    [found] = [f for f in ran.json["findings"] if f["what"] == "receipt 2"]
    assert found["standing"] == "open"
    assert "root" in found["why"]


def test_no_two_mutations_are_the_same(evidence: Evidence) -> None:
    assert len({param.id for param in MUTATIONS}) == len(MUTATIONS)


def test_what_nobody_touched_holds_in_every_point(
    cli: Cli, evidence: Evidence, tmp_path: Path
) -> None:
    ran = cli("check", *evidence.write(tmp_path), "--format", "json")
    assert (ran.code, ran.err, ran.json["holds"]) == (0, "", True)
    left = {f["what"] for f in ran.json["findings"] if f["standing"] != "confirmed"}
    assert left == {"the transcript's origin"}


def test_everything_opened_holds_too(cli: Cli, evidence: Evidence, tmp_path: Path) -> None:
    evidence.commit_from_the_outset()
    ran = cli("check", *evidence.write(tmp_path), "--format", "json")
    assert (ran.code, ran.json["holds"]) == (0, True)
    confirmed = {f["what"] for f in ran.json["findings"] if f["standing"] == "confirmed"}
    assert confirmed >= {"the root key", "the words", "the planting", "the whole log"}


def test_an_auditor_who_writes_all_anew_says_the_same(
    cli: Cli, evidence: Evidence, tmp_path: Path
) -> None:
    """What the forgeries are made with changes nothing by itself."""
    before = copy.deepcopy(evidence.verdict)
    evidence.settle()
    assert evidence.verdict == before
    assert cli("check", *evidence.write(tmp_path)).code == 0
