"""Who signed, what was committed to and when: everything that needs no look at the evidence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from vtune_client.attestation import Predicate
from vtune_client.check.findings import Finding, confirmed, guarded, left_open, refuted, told
from vtune_client.check.openings import asked_numbers
from vtune_client.commitment import DRAWS, digest_of, leaf_hash, merkle_root
from vtune_client.ledger.log import check_chain, from_json, sha256_of
from vtune_client.ledger.log import digest_of as log_digest
from vtune_client.ledger.records import LogEntry
from vtune_client.signing import IN_TOTO, Opened
from vtune_client.signing.sigstore import open_bundle
from vtune_client.witness import FRESH, Receipt, check_receipt

SECRECY = "secrecy"


@dataclass(frozen=True)
class Trusted:
    """What the reader knows from elsewhere: fingerprints of the auditor's keys, the digest of the
    commitment as it was printed before the job, roots of timestamping authorities in PEM, and the
    log of a witness."""

    signers: Sequence[str] = ()
    commitment: str | None = None
    roots: Sequence[bytes] = ()
    witness_log: Path | None = None


@dataclass(frozen=True)
class Bundle:
    """A Sigstore bundle, and who is to have signed it; `trusted_root` as `open_bundle` takes it."""

    content: bytes
    identity: str
    issuer: str
    trusted_root: Path | None = None


def check_signatures(opened: Opened, trusted: Trusted, named: str | None) -> Iterator[Finding]:
    """Look at the envelope's signatures; `named` is the signer that the commitment names."""
    what = "the signature"
    for signature in opened.signatures:
        if not signature.valid:
            yield refuted(what, f"A signature does not hold: {signature.reason}.")
    valid = [each.fingerprint for each in opened.signatures if each.valid]
    if opened.payload_type != IN_TOTO:
        yield refuted(what, "What was signed is not an in-toto statement.")
    if not valid:
        yield refuted(what, "No valid signature is on this statement.")
        return
    known = [each for each in valid if each in trusted.signers]
    if trusted.signers:
        yield told(
            "the signer",
            bool(known),
            f"The statement was signed by the key that you gave, {', '.join(known)}.",
            "None of its signatures is by the key that you gave.",
        )
    else:
        yield left_open(
            "the signer",
            f"The signature of {valid[0]} holds. Whose key that is was not given: compare it with "
            "the auditor's, or name a key file (`--key`).",
        )
    yield _named(named, valid, known)


def _named(named: str | None, valid: Sequence[str], known: Sequence[str]) -> Finding:
    what = "the signer named before the job"
    if named is None:
        return left_open(what, "The commitment names no signer.")
    if named in valid:
        return confirmed(what, f"The commitment names the key that signed, {named}.")
    if known:  # a colleague's, say, to whom the plan was handed over
        return left_open(what, "The commitment names another key than the one that you gave.")
    return refuted(what, "The commitment names another key than the one that signed.")


def check_bundle(bundle: Bundle, opened: Opened) -> Iterator[Finding]:
    """Look whether the bundle holds what the envelope holds, signed by whom the reader names.

    Raises `InputError` for what is no bundle or no trusted root, and `MissingExtra`."""
    what, who, issuer = "the bundle", bundle.identity, bundle.issuer
    found = open_bundle(
        bundle.content, identity=who, issuer=issuer, trusted_root=bundle.trusted_root
    )
    [signature] = found.signatures
    if not signature.valid:
        given = bundle.trusted_root is not None
        root = "you gave" if given else "this machine has (`--trusted-root` names another)"
        yield refuted(
            what, f"It does not hold by the trusted root that {root}: {signature.reason}."
        )
        return
    yield confirmed(what, f"{who} signed it: {issuer} vouched for that, and Sigstore's log has it.")
    yield told(
        "the bundle's statement",
        (found.payload, found.payload_type) == (opened.payload, opened.payload_type),
        "It is this statement, byte for byte.",
        "It is not this statement: other bytes were signed.",
    )


def check_commitment(stated: Predicate, trusted: Trusted) -> Iterator[Finding]:
    """Look whether document, root and leaves belong together, and to the digest known before."""
    what, document = "the commitment", stated.commitment
    yield told(
        what,
        digest_of(document) == stated.commitment_sha256,
        f"Its document has the digest sha256:{stated.commitment_sha256}.",
        "Its document was changed: it has another digest than the statement says.",
    )
    sizes = len(stated.leaves) == document["backdoors"] + 2
    yield told(
        "the plan's leaves",
        sizes and merkle_root(stated.leaves) == document["merkle_root"],
        f"The {len(stated.leaves)} leaves give the Merkle root that was committed to.",
        "The leaves do not give the Merkle root that was committed to.",
    )
    opens = stated.draws["kind"] == DRAWS and leaf_hash(stated.draws) == stated.leaves[-2]
    yield told(
        "the draws",
        opens,
        "The draws that deal labels anew in tests were committed to.",
        "The draws that deal labels anew in tests are not those committed to.",
    )
    if trusted.commitment is None:
        yield left_open(
            "the commitment's digest",
            "Compare it with the one that was printed before the job (`--commitment`).",
        )
        return
    given = trusted.commitment.removeprefix("sha256:").lower()
    yield told(
        "the commitment's digest",
        given == stated.commitment_sha256,
        "It is the one that you gave.",
        "It is not the one that you gave.",
    )


def check_receipts(stated: Predicate, trusted: Trusted) -> Iterator[Finding]:
    """Look at what witnesses said about the commitment."""
    digest = bytes.fromhex(stated.commitment_sha256)
    if not stated.receipts:
        yield left_open(
            "the time of the commitment",
            "No witness was asked: that it was made before the job is the auditor's word, unless "
            "its digest was given to somebody then.",
        )
    for number, receipt in enumerate(stated.receipts, 1):
        what = f"receipt {number}"
        yield from guarded(what, _receipt, receipt, what, digest, trusted, stated)


def _receipt(
    receipt: Mapping[str, Any], what: str, digest: bytes, trusted: Trusted, stated: Predicate
) -> Iterator[Finding]:
    found = check_receipt(
        Receipt.from_json(receipt), digest, roots=trusted.roots, log=trusted.witness_log
    )
    if not found.ok:
        yield refuted(what, found.reason)
        return
    uploaded = stated.job["uploaded"] if stated.job else None
    late = found.at.timestamp() - uploaded if found.at and uploaded else 0.0
    if late > FRESH.total_seconds():
        yield refuted(what, "The witness saw the commitment only after the file was uploaded.")
    elif late > 0:  # two clocks: the witness's, and the auditor's for the upload
        after = f"by the auditor's clock that was {late:.0f} s after the upload"
        yield left_open(what, f"{found.reason} But {after}: ask whether the two clocks agree.")
    elif found.trusted:
        yield confirmed(what, found.reason)
    else:
        yield left_open(what, found.reason)


def check_log(stated: Predicate, log: Sequence[LogEntry] | None) -> Iterator[Finding]:
    """Look at the entries quoted from the auditor's log, and at the whole log where it is given."""
    what = "the log"
    entries = [from_json(each) for each in stated.log.entries]
    wrong = [entry.seq for entry in entries if log_digest(entry) != entry.digest]
    rising = all(a.seq < b.seq for a, b in pairwise(entries))
    head = stated.log.head
    ends = head is not None and all(entry.seq <= head["seq"] for entry in entries)
    yield told(
        what,
        not wrong and rising and ends,
        f"The {len(entries)} entries about this verification are as they were written.",
        "Entries about this verification were changed or put in another order.",
    )
    yield from _order(entries, stated)
    yield from _received(entries, stated)
    yield _recorded(entries, stated)
    yield _unopened(entries, stated)
    yield told(
        "the verdict in the log",
        any(e.data.get("sha256") == sha256_of(stated.verdict) for e in entries),
        "The verdict is the one that was written down when the questions ended.",
        "The verdict is not the one that was written down when the questions ended.",
    )
    if log is None:
        yield left_open(
            "the whole log", "Entries that were left out show only in the whole log (`--log`)."
        )
        return
    broken = check_chain(log)
    if broken:
        yield refuted("the whole log", broken[0])
        return
    yield _quoted(entries, stated, log)
    yield from _others(stated, log)


def _quoted(entries: Sequence[LogEntry], stated: Predicate, log: Sequence[LogEntry]) -> Finding:
    """Look whether all is quoted that the whole log says of this verification until its head."""
    what, head, verdict = "the whole log", stated.log.head, stated.verdict
    if head is None or (head["seq"], head["digest"]) not in {(e.seq, e.digest) for e in log}:
        return refuted(what, "The statement was made from another log: its last entry is not here.")
    subjects = (stated.plan["id"], verdict["job"], verdict["id"], stated.commitment_sha256)
    there = [e.digest for e in log if e.subject in subjects and e.seq <= head["seq"]]
    return told(
        what,
        there == [entry.digest for entry in entries],
        f"Its {len(log)} entries hold together, and all of them about this verification are "
        "quoted.",
        "The entries quoted in the statement are not those that stand in the log.",
    )


def _others(stated: Predicate, log: Sequence[LogEntry]) -> Iterator[Finding]:
    """Say which other verifications there were: of many, one may have been chosen."""
    begun = {
        entry.subject
        for entry in log
        if entry.action == "verification begun" and entry.data.get("plan") == stated.plan["id"]
    }
    others = sorted(begun - {stated.verdict["id"]})
    if others:
        yield left_open(
            "other verifications",
            f"{len(others)} more on the same plan stand in the log, {', '.join(others)}: ask for "
            "their verdicts. Whoever shows the best of n has a p up to n times as large.",
        )


def _recorded(entries: Sequence[LogEntry], stated: Predicate) -> Finding:
    """Compare what is said of plan and job with what was written down as it happened."""
    plan, job, document = stated.plan, stated.job, stated.commitment
    known: dict[str, Any] = {}
    for entry in entries:
        if (entry.subject, entry.action) == (plan["id"], "plan drawn") or (
            job and (entry.subject, entry.action) == (job["id"], "job changed")
        ):
            known |= entry.data
    said = {name: plan[name] for name in ("rows", "carriers")}
    said |= {name: document[name] for name in ("source_sha256", "merkle_root")}
    if job:
        said |= {"remote_id": job["remote_job"], "file_id": job["remote_file"]}
        said |= {name: job[name] for name in ("model", "planted_sha256")}
    wrong = [name for name, value in said.items() if known.get(name, value) != value]
    return told(
        "plan and job in the log",
        not wrong,
        "What is said of the plan and the job was written down as it happened.",
        f"Something else was written down for {', '.join(wrong)}.",
    )


def _unopened(entries: Sequence[LogEntry], stated: Predicate) -> Finding:
    """Look whether a backdoor was known to others before it was asked about."""
    begun = [e.seq for e in entries if e.action == "verification begun"]
    early = [e for e in entries if e.action == "backdoors opened" and e.seq < max(begun, default=0)]
    known = {number for entry in early for number in entry.data["backdoors"]}
    return told(
        SECRECY,
        known.isdisjoint(asked_numbers(stated)),
        "No backdoor was opened before it was asked about.",
        "Backdoors were opened before they were asked about, so answers about them prove nothing.",
    )


def _received(entries: Sequence[LogEntry], stated: Predicate) -> Iterator[Finding]:
    """Look whether the receipts are here that were written down, where the log has their hash."""
    came = [
        e for e in entries if (e.action, e.subject) == ("receipt added", stated.commitment_sha256)
    ]
    kept = {e.data["sha256"] for e in came if "sha256" in e.data}
    if kept:
        yield told(
            "the receipts in the log",
            kept <= {sha256_of(receipt) for receipt in stated.receipts},
            "The receipts are those that were written down when they came.",
            "A receipt that was written down was left out or changed.",
        )


def _order(entries: Sequence[LogEntry], stated: Predicate) -> Iterator[Finding]:
    """Look whether the commitment was written before the file was sent."""
    made = ("commitment added", stated.commitment_sha256)
    committed = [e.seq for e in entries if (e.action, e.subject) == made]
    sent = [e.seq for e in entries if e.data.get("file_id")]
    if not committed:
        yield refuted("the order of the log", "The commitment does not stand in the log.")
    elif sent:
        yield told(
            "the order of the log",
            committed[0] < sent[0],
            "The commitment was written before the file was uploaded.",
            "The commitment was written after the file was uploaded.",
        )
