"""The local record of plans, jobs, events, probes and verdicts: what must survive a crash."""

from vtune_client.ledger.records import Job, PlanRecord, Step, Upload, VerificationRecord
from vtune_client.ledger.store import Ledger

__all__ = ["Job", "Ledger", "PlanRecord", "Step", "Upload", "VerificationRecord"]
