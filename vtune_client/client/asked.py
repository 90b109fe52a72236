"""Whom to ask about which plan, and by which rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from vtune_client.ledger import Job, VerificationRecord
from vtune_client.provider import bare_address
from vtune_client.telemetry import Attributes, server_of
from vtune_client.verify import Target


@dataclass(frozen=True)
class Asked:
    """Whom to ask about which plan; `connection` may hold an API key.

    The reserve is asked where `reprobes` names the verification that comes before."""

    plan_id: str
    job_id: str | None
    target: Target
    connection: Mapping[str, Any] = field(repr=False)
    control: str | None = None
    stop_early: bool = False
    rows: bool = False
    file: str | Path | None = None
    reprobes: str | None = None

    @classmethod
    def again(
        cls,
        earlier: VerificationRecord,
        job: Job | None,
        model: str | None,
        connection: Mapping[str, Any],
        *,
        stop_early: bool,
    ) -> Asked:
        """Ask the reserve where `earlier` asked the rest, `job` being the job that it was of.

        `model` is asked in place of the one asked then; `connection` goes over what is recorded."""
        then = earlier.target
        kept: Mapping[str, Any] = job.connection if job else {}
        if then.get("endpoint") not in (None, bare_address(kept.get("base_url"))):
            kept = {**kept, "base_url": then["endpoint"]}
        how = {**kept, **connection}
        target = Target(
            then["provider"],
            model or then["model"],
            then.get("base"),
            bare_address(how.get("base_url")),
        )
        return cls(
            earlier.plan_id,
            earlier.job_id,
            target,
            how,
            stop_early=stop_early,
            reprobes=earlier.id,
        )

    @property
    def traced(self) -> Attributes:
        """What a trace tells of it."""
        whom: Attributes = {"provider": self.target.provider, "model": self.target.model}
        return {**whom, **server_of(self.target.endpoint), "plan": self.plan_id, "job": self.job_id}

    @property
    def round(self) -> dict[str, Any]:
        """What tells this round of questions from another one of the same plan."""
        rules: dict[str, Any] = {"stop_early": True} if self.stop_early else {}
        if self.reprobes:
            rules |= {"reserve": True, "reprobes": self.reprobes}
        return {**asdict(self.target), "job": self.job_id, "control": self.control, **rules}
