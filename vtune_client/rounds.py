"""Rounds of questions in the ledger: what one has learned, and which may be begun.

A round that was cut short is gone on with. A service that somebody else runs is not asked again
once it was shown a plan's signatures to score: its answers could be what it was shown. A plan's
reserve has been shown to nobody then, and can still be asked, in a round of its own.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from vtune_client.control import Control
from vtune_client.control import control_of as control_of
from vtune_client.errors import InputError
from vtune_client.ledger import Ledger, VerificationRecord
from vtune_client.plan import Plan
from vtune_client.vault import RootKey, open_sealed, seal

SCORES = "scores"  # how the ledger's items begin that showed a signature to the endpoint


@dataclass(frozen=True)
class Round:
    """One round of questions, kept in the ledger as it goes; answers are sealed there."""

    ledger: Ledger
    record: VerificationRecord
    key: RootKey

    def save(self, item: str, value: Any) -> None:
        sealed = seal(self.key, json.dumps(value).encode(), purpose=self._purpose(item))
        self.ledger.save_answer(self.record, item, sealed)

    def known(self) -> dict[str, Any]:
        """Return what an earlier, cut-short attempt at this round has learned, by item."""
        return {
            item: json.loads(open_sealed(self.key, sealed, purpose=self._purpose(item)))
            for item, sealed in self.ledger.answers(self.record).items()
        }

    def _purpose(self, item: str) -> str:
        return f"verification {self.record.id} {item}"


def open_round(
    ledger: Ledger,
    plan_id: str,
    job_id: str | None,
    target: Mapping[str, Any],
    *,
    remembers: bool,
) -> VerificationRecord:
    """Return the round to go on with: the same one that was cut short, or else a new one.

    `target` is all that tells one round from another; `remembers` is the endpoint's word on itself.
    Raises `InputError` where this service has seen the plan's signatures in another round.
    """
    unfinished = ledger.unfinished(plan_id, target)
    if remembers:
        _refuse_if_shown(ledger, plan_id, target, unfinished)
    if unfinished:
        return unfinished
    verification_id = f"verification-{secrets.token_hex(4)}"
    record = VerificationRecord(verification_id, plan_id, job_id, time.time(), target, None)
    ledger.add_verification(record)
    return record


def part_of(plan: Plan, target: Mapping[str, Any]) -> Plan:
    """Return the part of a plan that a round with this target asks."""
    return plan.in_reserve if _of_reserve(target) else plan.asked


def require_closed(ledger: Ledger, part: Plan) -> None:
    """Raise `InputError` where the part of a plan that is to be asked is empty, or was opened."""
    if not part.backdoors:
        raise InputError(
            f"{part.id} keeps no backdoors in reserve, so there is nothing left to ask.",
            "Plant with --reserve to be able to ask again.",
        )
    opened, numbers = ledger.opened(part.id), range(part.first, part.first + len(part.backdoors))
    whys = {why for number, why in opened.items() if number in numbers}
    if whys:
        anew = "train with a new plan"
        raise InputError(
            f"Backdoors of {part.id} that are to be asked were opened ({', '.join(sorted(whys))}), "
            "so answers prove nothing any more.",
            f"Ask the reserve where there is one (`vtune reprobe`), or {anew}."
            if not part.first
            else f"{anew.capitalize()}.",
        )


RECIPE = {
    "epochs": "epochs",
    "batch_size": "batch size",
    "learning_rate": "learning rate",
    "method": "method",
}


def control_from(
    ledger: Ledger, verification_id: str, plan_id: str, job_id: str | None = None
) -> Control:
    """Return the positive control that a verified verification of the same plan is.

    Where both its job and the job `job_id` are known, their recipes are compared in what both say.
    Raises `InputError` where it is unfinished, of another plan, or did not verify its model."""
    record = ledger.verification(verification_id)
    if record.plan_id != plan_id or not record.verdict:
        raise InputError(
            f"{verification_id} is no finished verification of plan {plan_id}.",
            "Name one of the same plan: the control must have seen the same secrets.",
        )
    if _of_reserve(record.target):
        raise InputError(
            f"{verification_id} asked the reserve, so it compares with no other backdoors.",
            "Name one that `vtune verify` made.",
        )
    if record.verdict["verdict"] != "verified":
        raise InputError(
            f"{verification_id} did not verify its model, so it controls for nothing.",
            "Name a verification that ended as verified.",
        )
    control = control_of(record.verdict, f"the reference run ({record.id})")
    if control is None:
        raise InputError(
            f"{verification_id} stopped asking early, so it cannot be compared with.",
            "Name one that asked every question (`vtune verify` without --stop-early).",
        )
    return replace(control, differs=_differences(ledger, record.job_id, job_id))


def _differences(ledger: Ledger, one: str | None, other: str | None) -> tuple[str, ...]:
    """Return what of the recipe differs; what a job left to its service is not known."""
    if one is None or other is None:
        return ()
    here, there = ledger.job(one).spec, ledger.job(other).spec
    return tuple(
        words
        for name, words in RECIPE.items()
        if None not in (getattr(here, name), getattr(there, name))
        and getattr(here, name) != getattr(there, name)
    )


def _refuse_if_shown(
    ledger: Ledger,
    plan_id: str,
    target: Mapping[str, Any],
    current: VerificationRecord | None,
) -> None:
    reserve = _of_reserve(target)
    left = "" if reserve else "ask the reserve where there is one (`vtune reprobe`), "
    for earlier in ledger.verifications():
        if earlier.plan_id != plan_id or _service(earlier.target) != _service(target):
            continue
        if current and earlier.id == current.id:
            continue  # all its text was asked for before its first score
        if _of_reserve(earlier.target) != reserve:
            continue  # it was about other backdoors
        if any(item.startswith(SCORES) for item in ledger.answers(earlier)):
            raise InputError(
                f"{earlier.id} has shown this plan's signatures to this service to be scored, "
                "so its answers prove nothing any more.",
                f"Use that verdict (`vtune report {earlier.id}`), {left}or train with a new plan.",
            )


def _of_reserve(target: Mapping[str, Any]) -> bool:
    return bool(target.get("reserve"))


def _service(target: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return what tells one service from another: the provider and, where it has one, the host."""
    return target["provider"], urlsplit(target.get("endpoint") or "").hostname
