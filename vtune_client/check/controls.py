"""Whether the control is what its own statement says: no verdict accuses without one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vtune_client.attestation import Predicate, read_statement
from vtune_client.check.findings import Finding, left_open, told
from vtune_client.check.numbers import check_numbers, control_stated
from vtune_client.control import control_of
from vtune_client.signing import open_envelope


def check_control(stated: Predicate, content: bytes | None) -> Iterator[Finding]:
    """Compare the control's counts with the signed statement of its own verification."""
    what, control = "the control", stated.verdict["control"]
    if control is None:
        return
    if content is None:
        yield left_open(
            what,
            f"The counts of {control['source']} are the auditor's word: its own statement shows "
            "them (`--control`).",
        )
        return
    opened = open_envelope(content)
    theirs = read_statement(opened.payload).predicate
    here, there = control_stated(control), control_of(theirs.verdict, control["source"])
    bound = ("root_key", "merkle_root", "source_sha256")
    same = (
        any(signature.valid for signature in opened.signatures)
        and there is not None
        and replace(here, differs=()) == there
        and theirs.verdict["verdict"] == "verified"
        and all(stated.commitment[name] == theirs.commitment[name] for name in bound)
    )
    yield told(
        what,
        same,
        "Its counts are those of its own signed statement, of the same plan.",
        "Its counts are not those of the statement that you gave, or that is of another plan.",
    )
    for finding in check_numbers(theirs):
        yield replace(finding, what=f"{what}: {finding.what}")
