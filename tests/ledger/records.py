"""Records to fill a ledger with."""

from __future__ import annotations

from vtune_client.ledger import Job, PlanRecord, Step, VerificationRecord
from vtune_client.provider import JobSpec

PATH, DIGEST = "/data/r\u00e9.jsonl", "ab" * 32
PLAN = PlanRecord("plan-1", 1.5, "key-1", PATH, DIGEST, 60, 5, 20, 201.3, b"\0\1")
SPEC = JobSpec("base", 3, 8, 1e-4, 7, "suffix", {"rank": 4, "layers": [1, 2], "deep": {"a": None}})
JOB = Job("job-1", "plan-1", 2.5, "local", SPEC, "token-1", Step.PLANTING)
TARGET = {"provider": "local", "model": "m", "base": None, "job": "job-1", "control": None}
ROUND = VerificationRecord("verification-1", "plan-1", "job-1", 3.5, TARGET, None)
