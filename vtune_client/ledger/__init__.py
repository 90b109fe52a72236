"""The record of plans, jobs, events, probes and verdicts: what must survive a crash."""

from vtune_client.ledger.records import (
    AuditEntry,
    CommitmentRecord,
    Job,
    LogEntry,
    PlanRecord,
    SignerRecord,
    Step,
    Upload,
    VerificationRecord,
)
from vtune_client.ledger.store import Ledger

__all__ = [
    "AuditEntry",
    "CommitmentRecord",
    "Job",
    "Ledger",
    "LogEntry",
    "PlanRecord",
    "SignerRecord",
    "Step",
    "Upload",
    "VerificationRecord",
]
