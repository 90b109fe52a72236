"""Commitments before a job, and signed statements after its verification."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from vtune_client.attestation import LIMITS, Item, Log, Predicate, Reveal, Statement, Subject
from vtune_client.check import SECRECY, Beside, Standing, Trusted, check_statement
from vtune_client.client.plans import Plans
from vtune_client.commitment import (
    digest_of,
    document,
    item_digest,
    item_salt,
    job_spec_of,
    openings,
)
from vtune_client.errors import InputError, LedgerError
from vtune_client.ledger import CommitmentRecord, Job, Ledger, LogEntry, VerificationRecord
from vtune_client.ledger.log import to_json
from vtune_client.rounds import SCORES, Round, part_of
from vtune_client.signing import IN_TOTO, Signer, signer_from
from vtune_client.witness import witnesses_from_env

SUBJECTS = {"source": "training file", "planted": "planted file"}
OnCommitment = Callable[[CommitmentRecord], None]


@dataclass(frozen=True)
class Attested:
    """A signed statement, and what opens a part of it where that was asked for: `burned` are the
    numbers of the backdoors, from 0. `bundle` is a Sigstore bundle over the same bytes."""

    statement: Statement
    envelope: bytes
    signer: str  # fingerprint
    reveal: Reveal | None = field(default=None, repr=False)
    burned: tuple[int, ...] = ()
    bundle: bytes | None = None


@dataclass(frozen=True)
class Attesting:
    """Commits to plans and jobs, and attests verifications."""

    ledger: Ledger
    plans: Plans

    async def commit(
        self, plan_id: str, *, job: Job | None = None, planted_sha256: str | None = None
    ) -> CommitmentRecord | None:
        """Return the commitment to a plan or to a job on it, made now where there is none.

        It is shown to the witnesses that the environment names, once to each. Raises as they do:
        whoever asked for one wants nothing sent without it. None for a plan that was drawn before
        plans were committed to."""
        made = self.recorded(plan_id, job, planted_sha256)
        if made is None:
            return None
        seen = {receipt["witness"] for receipt in made.receipts}
        for witness in witnesses_from_env():
            if witness.name not in seen:
                receipt = await witness.witness(bytes.fromhex(made.digest))
                self.ledger.add_receipt(made.digest, receipt.to_json())
        return self.ledger.commitment(made.digest)

    async def before_upload(self, job: Job, tell: OnCommitment | None = None) -> None:
        """Commit to a job whose file is about to be sent."""
        made = await self.commit(job.plan_id, job=job, planted_sha256=job.planted_sha256)
        if tell and made:
            tell(made)

    def recorded(
        self, plan_id: str, job: Job | None, planted_sha256: str | None
    ) -> CommitmentRecord | None:
        """Return the commitment as `commit` does, and ask no witness."""
        record, job_id = self.ledger.plan(plan_id), job.id if job else None
        for known in self.ledger.commitments(plan_id):
            if (known.job_id, known.document["planted_sha256"]) == (job_id, planted_sha256):
                return known
        if record.committed is None:
            return None
        now = time.time()
        content = document(
            self.plans.open(plan_id),
            record.committed,
            created=now,
            signer=signer_from(self.ledger, self.plans.vault).fingerprint,
            job=(job.id, job.provider, job.spec) if job else None,
            planted_sha256=planted_sha256,
        )
        commitment = CommitmentRecord(digest_of(content), plan_id, job_id, now, content)
        self.ledger.add_commitment(commitment)
        return commitment

    async def attest(
        self,
        verification_id: str,
        *,
        reveal: bool = False,
        backdoors: Iterable[int] | None = None,
        rows: bool = True,
        root_key: bool = False,
        sigstore: Signer | None = None,
    ) -> Attested:
        """Return the signed statement of a verification and, with `reveal`, what opens it.

        `backdoors` are the numbers of those to open, from 0, by default of all that were asked
        about. What is opened proves nothing in a later job, and is written down as burned. `rows`
        opens which rows were withheld, too, where they were asked about; `root_key` opens all there
        is, the reserve too. `sigstore` (a `SigstoreSigner`) signs the same bytes besides: the
        commitment names our own key. Raises `LedgerError` where the record does not hold together:
        that is not signed. Raises as `sigstore` does, and nothing is attested or burned then."""
        record = self.ledger.verification(verification_id)
        making = _Making(self.ledger, self.plans, record)
        statement = making.statement()
        _require_whole(statement, making.reveal())
        opened = making.reveal(backdoors, rows=rows, root_key=root_key) if reveal else None
        burned = making.burned(opened) if opened else []
        named = making.commitment.document["signer"]
        signer = signer_from(self.ledger, self.plans.vault, named)
        payload, bundle = statement.payload(), None
        envelope = signer.sign(payload, IN_TOTO)
        if sigstore:  # this late, since what is in its log cannot be taken back
            bundle = await asyncio.to_thread(sigstore.sign, payload, IN_TOTO)
        self.ledger.open_backdoors(record.plan_id, burned, f"revealed with {record.id}")
        told = {"signer": signer.fingerprint}
        told |= {"bundle_sha256": hashlib.sha256(bundle).hexdigest()} if bundle else {}
        self.ledger.record("attested", record.id, told)
        return Attested(statement, envelope, signer.fingerprint, opened, tuple(burned), bundle)


class _Making:
    """One verification's statement, from its record."""

    def __init__(self, ledger: Ledger, plans: Plans, record: VerificationRecord) -> None:
        if not record.verdict or "layout" not in record.verdict:
            raise InputError(
                f"{record.id} has no verdict that can be attested.",
                "Verify again: it is unfinished, or was made by an earlier version.",
            )
        self.ledger, self.record, self.verdict = ledger, record, dict(record.verdict)
        self.key = plans.key(record.plan_id)
        self.plan = plans.open(record.plan_id)
        self.part = part_of(self.plan, record.target)
        self.leaves = openings(self.plan, self.key)
        self.known = Round(ledger, record, self.key).known()
        self.known.pop(f"{SCORES} begun", None)
        self.job = ledger.job(record.job_id) if record.job_id else None
        self.commitment = self._commitment()

    @property
    def asked(self) -> range:
        """The numbers of the backdoors asked about."""
        return range(self.part.first, self.part.first + len(self.part.backdoors))

    def statement(self) -> Statement:
        document, entries = self.commitment.document, list(self.ledger.log())
        committed = self.ledger.plan(self.plan.id).committed or {}
        files = {name: document[f"{which}_sha256"] for which, name in SUBJECTS.items()}
        return Statement(
            subject=[Subject(name=n, digest={"sha256": d}) for n, d in files.items() if d],
            predicate=Predicate(
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                commitment=dict(document),
                commitment_sha256=self.commitment.digest,
                leaves=list(committed["leaves"]),
                draws=self.leaves[-2],
                receipts=[dict(receipt) for receipt in self.commitment.receipts],
                plan=self._public_plan(),
                job=self._public_job(entries),
                verdict=self.verdict,
                transcript={
                    item: item_digest(item, value, item_salt(self.key, self.record.id, item))
                    for item, value in self.known.items()
                },
                log=self._log(entries),
                limits=list(LIMITS),
            ),
        )

    def reveal(
        self, numbers: Iterable[int] | None = None, *, rows: bool = True, root_key: bool = False
    ) -> Reveal:
        """Return what opens these backdoors, all that were asked about by default, and the rows."""
        chosen = self.asked if numbers is None else sorted(set(numbers))
        for number in chosen:
            if number not in self.asked:
                raise InputError(
                    f"Backdoor {number + 1} was not asked about in {self.record.id}.",
                    f"Open some of {self.asked.start + 1} to {self.asked.stop}.",
                )
        # Where no row was withheld, that leaf holds nothing that could be burned.
        rows = rows and bool(self.verdict["rows"] or not self.plan.held_out)
        opened = [*chosen, *([len(self.leaves) - 1] if rows else [])]
        indexes = {str(number - self.asked.start) for number in chosen}
        return Reveal(
            verification=self.record.id,
            commitment_sha256=self.commitment.digest,
            leaves={
                str(number): leaf
                for number, leaf in enumerate(self.leaves)
                if root_key or number in opened
            },
            items={
                item: Item(salt=item_salt(self.key, self.record.id, item).hex(), value=value)
                for item, value in self.known.items()
                if _backdoor_of(item) in indexes or (rows and item.startswith("row "))
            },
            root_key=self.key.bytes.hex() if root_key else None,
        )

    def burned(self, opened: Reveal) -> list[int]:
        """Return the numbers of the backdoors that a reveal opens."""
        return [int(n) for n in opened.leaves if int(n) < len(self.plan.backdoors)]

    def _commitment(self) -> CommitmentRecord:
        """Return the commitment that this verification is about: the job's, or else the plan's."""
        known, job = self.ledger.commitments(self.plan.id), self.job
        own = [c for c in known if job and c.job_id == job.id]
        sent = job.planted_sha256 if job else None
        alike = [c for c in known if sent and c.document["planted_sha256"] == sent]
        plain = [c for c in known if c.job_id is None and c.created <= self.record.created]
        chosen = own or alike or plain
        if not chosen:
            raise _uncommitted(self.plan.id)
        return chosen[-1]

    def _public_plan(self) -> dict[str, Any]:
        plan = self.ledger.plan(self.plan.id)
        return {
            "id": plan.id,
            "created": plan.created,
            "rows": plan.rows,
            "carriers": plan.carriers,
        }

    def _public_job(self, entries: Iterable[LogEntry]) -> dict[str, Any] | None:
        job = self.job
        if job is None:
            return None
        sent = (e for e in entries if e.subject == job.id and e.data.get("file_id"))
        return {
            "id": job.id,
            "provider": job.provider,
            "job_spec": job_spec_of(job.spec),
            "created": job.created,
            "uploaded": next((entry.at for entry in sent), job.created),
            "remote_job": job.remote_id,
            "remote_file": job.file_id,
            "model": job.model,
            "planted_sha256": job.planted_sha256,
        }

    def _log(self, entries: Sequence[LogEntry]) -> Log:
        about = {self.plan.id, self.record.job_id, self.record.id, self.commitment.digest}
        head = entries[-1] if entries else None
        return Log(
            entries=[to_json(entry) for entry in entries if entry.subject in about],
            head={"seq": head.seq, "digest": head.digest} if head else None,
        )


def _backdoor_of(item: str) -> str | None:
    """Return which backdoor something learned is about, by its place among those asked."""
    if item.startswith("answer "):
        return item.removeprefix("answer ").partition(".")[0]
    return item.rpartition(" ")[2] if item.startswith(SCORES) else None


def _uncommitted(plan_id: str) -> InputError:
    return InputError(
        f"{plan_id} was drawn before plans were committed to.",
        "Draw a new plan: a commitment counts only where it was made before the job.",
    )


def _require_whole(statement: Statement, everything: Reveal) -> None:
    """Raise `LedgerError` where the record does not give the verdict that it holds.

    `InputError` where its backdoors were opened before they were asked about."""
    found = check_statement(statement, Trusted(), Beside(reveal=everything))
    for finding in found:
        if finding.standing is Standing.REFUTED and finding.what == SECRECY:
            raise InputError(finding.why, "Ask the reserve (`vtune reprobe`), or train anew.")
        if finding.standing is Standing.REFUTED:
            raise LedgerError(
                f"The record of {statement.predicate.verdict['id']} does not hold together: "
                f"{finding.what}: {finding.why}",
                "It is not signed. Look at the log (`vtune log --verify`), restore the ledger.",
            )
