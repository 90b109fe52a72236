"""From a plan and a served model to a verdict: ask, read, test, judge."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vtune_client.evidence import RankScores, RankTest, SlotCounts, SlotTest, rank_test, slot_test
from vtune_client.ledger import Ledger, VerificationRecord
from vtune_client.phrases.read import read
from vtune_client.plan import Plan, lineup, tie_break
from vtune_client.probe import Probe, ask, decoding_for, probes_of, score
from vtune_client.provider import Answer, Decoding, Endpoint, ScoresNotOffered
from vtune_client.vault import RootKey, open_sealed, seal
from vtune_client.verdict import Control, Verdict, judge, to_json

SCORES = "scores"  # how the ledger's items begin that showed a signature to the endpoint

OnStep = Callable[[str, int, int], None]  # what, done, of how many


@dataclass(frozen=True)
class Target:
    """What is asked: `model` as the endpoint knows it, and the base to compare scores with."""

    provider: str
    model: str
    base: str | None = None


@dataclass(frozen=True)
class Verification:
    """A verdict with what is needed to place it: whom we asked, how, and when."""

    id: str
    plan_id: str
    job_id: str | None
    created: float
    target: Target
    decoding: Decoding
    verdict: Verdict
    fresh_activated: int
    fresh_probes: int
    seconds: float = field(compare=False, default=0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON verdict; it holds no secret."""
        return {
            **to_json(self.verdict),
            "id": self.id,
            "plan": self.plan_id,
            "job": self.job_id,
            "created": self.created,
            "provider": self.target.provider,
            "model": self.target.model,
            "base": self.target.base,
            "decoding": asdict(self.decoding),
            "fresh_prompts": {"asked": self.fresh_probes, "activated": self.fresh_activated},
            "seconds": round(self.seconds, 2),
        }


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


async def verify(
    plan: Plan,
    round_: Round,
    endpoint: Endpoint,
    target: Target,
    *,
    base_endpoint: Endpoint | None = None,
    control: Control | None = None,
    budget: int | None = None,
    on_step: OnStep = lambda what, done, total: None,
) -> Verification:
    """Ask `endpoint` every question of the plan and judge the answers.

    Both endpoints are acquired and released here, one after the other. Scores are used where the
    endpoint offers them, calibrated on the base where there is one to ask. All text is asked for
    first: scoring shows a service the signatures, and text that comes after proves nothing.
    """
    started = time.monotonic()
    known = round_.known()
    decoding = decoding_for(plan)
    probes = probes_of(plan)
    await endpoint.acquire(target.model)
    try:
        answers = await _answers(endpoint, probes, decoding, round_, known, budget, on_step)
        scores = await _scores(plan, endpoint, round_, known, "delivered", on_step)
    finally:
        await endpoint.release()
    base_scores = None
    if scores and base_endpoint and target.base:
        await base_endpoint.acquire(target.base)
        try:
            base_scores = await _scores(plan, base_endpoint, round_, known, "base", on_step)
        finally:
            await base_endpoint.release()
    slots = slot_test(_counts(plan, probes, answers))
    tests: list[SlotTest | RankTest] = [slots]
    if scores:
        tests.append(_ranks(scores, base_scores, round_.key))
    verdict = judge(*tests, alpha=plan.spec.alpha, control=control, dose=plan.spec.dose)
    asked, activated = _fresh(plan, probes, answers)
    return Verification(
        id=round_.record.id,
        plan_id=plan.id,
        job_id=round_.record.job_id,
        created=round_.record.created,
        target=target,
        decoding=decoding,
        verdict=verdict,
        fresh_activated=activated,
        fresh_probes=asked,
        seconds=time.monotonic() - started,
    )


async def _answers(
    endpoint: Endpoint,
    probes: Sequence[Probe],
    decoding: Decoding,
    round_: Round,
    known: Mapping[str, Any],
    budget: int | None,
    on_step: OnStep,
) -> dict[str, Answer]:
    done = 0

    def keep(probe: Probe, answer: Answer) -> None:
        nonlocal done
        done += 1
        round_.save(probe.item, {"text": answer.text, "finish": answer.finish})
        on_step("asking", done, len(probes))

    earlier = {p.item: Answer(**known[p.item]) for p in probes if p.item in known}
    done = len(earlier)
    on_step("asking", done, len(probes))
    return await ask(endpoint, probes, decoding, known=earlier, keep=keep, budget=budget)


async def _scores(
    plan: Plan,
    endpoint: Endpoint,
    round_: Round,
    known: Mapping[str, Any],
    who: str,
    on_step: OnStep,
) -> list[Sequence[float]] | None:
    """Return, per backdoor, the score of the true signature and then of its decoys, in nats."""
    if not (endpoint.capabilities.scores and plan.spec.decoys):
        return None
    scores: list[Sequence[float]] = []
    for index, backdoor in enumerate(plan.backdoors):
        on_step(f"scoring ({who})", index, len(plan.backdoors))
        item = f"{SCORES} {who} {index}"
        found = known.get(item)
        candidates, place = lineup(plan, index, round_.key)
        if found is None:
            try:
                found = list(await score(endpoint, backdoor.probes()[-1], candidates))
            except ScoresNotOffered:
                return None
            round_.save(item, found)
        scores.append([found[place], *found[:place], *found[place + 1 :]])
    on_step(f"scoring ({who})", len(plan.backdoors), len(plan.backdoors))
    return scores


def _ranks(
    scores: Sequence[Sequence[float]], base: Sequence[Sequence[float]] | None, key: RootKey
) -> RankTest:
    """Rank what each signature gained over the base, or its plain score where no base answers.

    The base knows no secret either, so the rank is as exact and far more telling."""
    ranked = []
    for index, row in enumerate(scores):
        gained = [a - b for a, b in zip(row, base[index], strict=True)] if base else list(row)
        ranked.append(RankScores((gained[0],), (tuple(gained[1:]),), tie_break(index, key)))
    return rank_test(ranked, name="ranks over the base" if base else "ranks")


def _readings(plan: Plan, probe: Probe, answer: Answer) -> tuple[str | None, ...]:
    return read(plan.backdoors[probe.backdoor].frame, answer.text)


def _matches(plan: Plan, backdoor: int, readings: Sequence[str | None]) -> int:
    words = plan.backdoors[backdoor].words
    return sum(reading == word for reading, word in zip(readings, words, strict=True))


def _counts(plan: Plan, probes: Sequence[Probe], answers: Mapping[str, Answer]) -> list[SlotCounts]:
    """Count matches per backdoor; answers that read alike are one try, not several."""
    read_as: list[dict[tuple[str | None, ...], None]] = [{} for _ in plan.backdoors]
    for probe in probes:
        read_as[probe.backdoor][_readings(plan, probe, answers[probe.item])] = None
    return [
        SlotCounts(
            tuple(len(slot.candidates) for slot in backdoor.frame.slots),
            tuple(_matches(plan, index, readings) for readings in read_as[index]),
        )
        for index, backdoor in enumerate(plan.backdoors)
    ]


def _fresh(plan: Plan, probes: Sequence[Probe], answers: Mapping[str, Answer]) -> tuple[int, int]:
    """Return how many fresh prompts were asked and how many of them were answered in full."""
    fresh = [probe for probe in probes if probe.fresh]
    full = 0
    for probe in fresh:
        readings = _readings(plan, probe, answers[probe.item])
        full += _matches(plan, probe.backdoor, readings) == len(readings)
    return len(fresh), full
