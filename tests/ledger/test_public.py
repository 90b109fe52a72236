"""Commitments, receipts, signers, openings and audits come back as they were given."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.ledger.records import PLAN
from vtune_client.errors import LedgerError
from vtune_client.ledger import AuditEntry, CommitmentRecord, Ledger, SignerRecord

pytestmark = pytest.mark.usefixtures("database")

RECEIPT = {"kind": "rfc3161", "witness": "w", "at": "2026-01-01T00:00:00Z", "data": "AA=="}
DOCUMENT = {"schema": "vtune.commitment/1", "z": 1, "a": [1.5, None, "\u00e9"]}
COMMITMENT = CommitmentRecord("ab" * 32, "plan-1", "job-1", 1.0, DOCUMENT, (RECEIPT,))
SIGNER = SignerRecord("SHA256:00", "key-2", bytes(range(32)), 2.0)
ENTRY = AuditEntry("audit", "entry", "run-1", 1.0, data={"state": "begun"})


def test_a_commitment_is_kept_with_its_receipts(filled: Ledger, tmp_path: Path) -> None:
    alone = replace(COMMITMENT, digest="cd" * 32, job_id=None, receipts=(), created=0.5)
    filled.add_plan(replace(PLAN, id="plan-2"))
    other = replace(alone, digest="abcd" * 16, plan_id="plan-2", created=2.0)
    for record in (COMMITMENT, alone, other):
        filled.add_commitment(record)
    filled.add_receipt(f"sha256:{COMMITMENT.digest}", {"kind": "second"})
    with Ledger(tmp_path) as again:
        kept = replace(COMMITMENT, receipts=(RECEIPT, {"kind": "second"}))
        assert again.commitments() == [alone, kept, other]
        assert again.commitments("plan-1") == [alone, kept]
        assert again.commitments("plan-3") == []
        assert again.commitment(f"sha256:{COMMITMENT.digest}") == kept
        assert again.commitment("cd") == alone
        assert list(again.commitment("cd").document) == list(DOCUMENT)  # in its order
        with pytest.raises(LedgerError, match="more than one commitment 'ab'"):
            again.commitment("sha256:ab")
        with pytest.raises(LedgerError, match="no commitment ''"):
            again.commitment("sha256:")


def test_a_commitment_is_to_a_plan_and_a_receipt_for_a_commitment(filled: Ledger) -> None:
    for wrong in (replace(COMMITMENT, plan_id="plan-2"), replace(COMMITMENT, job_id="job-2")):
        with pytest.raises(LedgerError, match="cannot be written"):
            filled.add_commitment(wrong)
    with pytest.raises(LedgerError, match="cannot be written"):
        filled.add_receipt("ef" * 32, RECEIPT)
    assert filled.commitments() == []


def test_what_a_plan_commits_to_comes_back(ledger: Ledger) -> None:
    committed = {"root_key": "00", "merkle_root": "11", "leaves": ["22", "33"]}
    ledger.add_plan(replace(PLAN, committed=committed))
    assert ledger.plan("plan-1").committed == committed


def test_signers_come_newest_last(ledger: Ledger) -> None:
    older = replace(SIGNER, fingerprint="SHA256:11", created=1.0)
    for signer in (SIGNER, older):
        ledger.add_signer(signer)
    assert ledger.signers() == [older, SIGNER]
    with pytest.raises(LedgerError, match="cannot be written"):
        ledger.add_signer(SIGNER)


def test_a_backdoor_is_opened_once_for_the_first_reason(filled: Ledger) -> None:
    filled.open_backdoors("plan-1", [3, 1], "re-audit")
    filled.open_backdoors("plan-1", [1, 2], "dispute")
    assert filled.opened("plan-1") == {1: "re-audit", 2: "dispute", 3: "re-audit"}
    assert filled.opened("plan-2") == {}


def test_an_audit_entry_is_what_was_last_said_of_it(ledger: Ledger) -> None:
    later = replace(ENTRY, run="run-2", created=2.0)
    for entry in (later, ENTRY, replace(ENTRY, audit="other")):
        ledger.save_audit_entry(entry)
    done = replace(ENTRY, job_id="job-1", verification_id="v", data={"state": "done"})
    ledger.save_audit_entry(done)
    assert ledger.audit_entries("audit") == [done, later]
    assert ledger.audit_entries("nothing") == []
