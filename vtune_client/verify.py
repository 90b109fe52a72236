"""From a plan and a served model to a verdict: ask, read, test, judge."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

from vtune_client.evidence import (
    AnytimeTest,
    RankScores,
    RankTest,
    Running,
    SlotCounts,
    SlotTest,
    Stakes,
    rank_test,
    slot_test,
)
from vtune_client.phrases.read import read
from vtune_client.plan import LAYERS, Backdoor, Plan, lineup, tie_break
from vtune_client.probe import Meter, Probe, Sleep, ask, decoding_for, probes_of, score
from vtune_client.provider import Answer, Decoding, Endpoint, ScoresNotOffered
from vtune_client.rounds import SCORES, Round
from vtune_client.vault import RootKey
from vtune_client.verdict import Control, Verdict, format_p, judge, to_json

OnStep = Callable[[str, int, int], None]  # what, done, of how many


def silent(what: str, done: int, total: int) -> None:
    """Tell nobody how a round goes."""


@dataclass(frozen=True)
class Target:
    """What is asked: `model` as the endpoint knows it, and the base to compare scores with.

    `endpoint` is the service's address where it has one."""

    provider: str
    model: str
    base: str | None = None
    endpoint: str | None = None


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
    anytime: AnytimeTest
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
            "endpoint": self.target.endpoint,
            "model": self.target.model,
            "base": self.target.base,
            "decoding": asdict(self.decoding),
            "fresh_prompts": {"asked": self.fresh_probes, "activated": self.fresh_activated},
            "anytime": {
                "log10_e": self.anytime.log10_e,
                "log10_p": self.anytime.log10_p,
                "p": format_p(self.anytime.log10_p),
                "asked": len(self.anytime.results),
                "planned": self.anytime.planned,
            },
            "seconds": round(self.seconds, 2),
        }


async def verify(
    plan: Plan,
    round_: Round,
    endpoint: Endpoint,
    target: Target,
    *,
    base_endpoint: Endpoint | None = None,
    control: Control | None = None,
    budget: int | None = None,
    text_only: bool = False,
    stop_early: bool = False,
    on_step: OnStep = silent,
    sleep: Sleep = asyncio.sleep,
) -> Verification:
    """Ask `endpoint` every question of the plan and judge the answers.

    With `stop_early` text alone is asked for, and only until the evidence suffices or cannot any
    more; the verdict then rests on the anytime-valid test alone (`evidence.sequential`), since a
    share or a comparison with a control supposes that nobody chose when to stop.

    Both endpoints are acquired and released here, one after the other. Scores are used where the
    endpoint offers them, unless `text_only`, calibrated on the base where there is one to ask. All
    text is asked for first: scoring shows a service the signatures, and text that comes after
    proves nothing. `budget` is the most queries to send, see `Meter`; `sleep` waits before retries.
    """
    started = time.monotonic()
    asking = _Asking(plan, round_, Meter(budget), round_.known(), on_step, sleep)
    decoding = decoding_for(plan)
    probes = probes_of(plan)
    scored = endpoint.capabilities.scores and plan.spec.decoys > 0 and not (text_only or stop_early)
    bases = [base_endpoint] if base_endpoint and target.base else []
    if not stop_early:
        asking.check_budget(probes, ["delivered", *("base" for _ in bases)] if scored else [])
    base_scores = None
    async with _acquired(endpoint, target.model):
        answers = await asking.answers(endpoint, probes, decoding, stop_early=stop_early)
        scores = await asking.scores(endpoint, "delivered") if scored else None
    if scores and base_endpoint and target.base:
        async with _acquired(base_endpoint, target.base):
            base_scores = await asking.scores(base_endpoint, "base")
    asked_probes = [probe for probe in probes if probe.item in answers]
    slots = slot_test(_counts(plan, asked_probes, answers))
    running = _anytime(plan)
    _take(running, plan, asked_probes, answers)
    anytime = running.outcome()
    if stop_early:
        verdict = judge(anytime, alpha=plan.spec.alpha, read=slots)
    else:
        tests: list[SlotTest | RankTest] = [slots]
        if scores:
            tests.append(_ranks(scores, base_scores, round_.key))
        verdict = judge(
            *tests,
            alpha=plan.spec.alpha,
            control=control,
            doses=plan.spec.ladder,
            layered=plan.placement == LAYERS,
        )
    asked, activated = _fresh(plan, asked_probes, answers)
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
        anytime=anytime,
        seconds=time.monotonic() - started,
    )


@asynccontextmanager
async def _acquired(endpoint: Endpoint, model: str) -> AsyncIterator[None]:
    """Release whatever happens: an `acquire` that failed may have started something, too."""
    try:
        await endpoint.acquire(model)
        yield
    finally:
        await endpoint.release()


@dataclass(frozen=True)
class _Asking:
    """One attempt at a round: `known` is what earlier attempts have learned, by item."""

    plan: Plan
    round: Round
    meter: Meter
    known: Mapping[str, Any]
    on_step: OnStep
    sleep: Sleep

    def check_budget(self, probes: Sequence[Probe], scored: Sequence[str]) -> None:
        """Raise `BudgetError` where the budget cannot pay for all that is still to be asked."""
        questions = sum(probe.item not in self.known for probe in probes)
        lineups = [
            index
            for who in scored
            for index in range(len(self.plan.backdoors))
            if _item(who, index) not in self.known
        ]
        texts = sum(len(lineup(self.plan, index, self.round.key)[0]) for index in lineups)
        self.meter.check(questions + texts)

    async def answers(
        self,
        endpoint: Endpoint,
        probes: Sequence[Probe],
        decoding: Decoding,
        *,
        stop_early: bool,
    ) -> dict[str, Answer]:
        """Return the answers by item; with `stop_early` not of all probes, but of the first ones.

        A wave is looked at only once all of it is in, in the order of the plan: which answer came
        first must not matter."""
        if not stop_early:
            return await self._answers(endpoint, probes, decoding)
        size = max(1, endpoint.capabilities.batch * endpoint.capabilities.concurrency)
        answers: dict[str, Answer] = {}
        evidence, alpha = _anytime(self.plan), self.plan.spec.alpha
        for start in range(0, len(probes), size):
            wave = probes[start : start + size]
            answers |= await self._answers(endpoint, wave, decoding)
            _take(evidence, self.plan, wave, answers)
            if evidence.reached(alpha) or evidence.hopeless(alpha) or evidence.unlikely(alpha):
                break
        return answers

    async def _answers(
        self, endpoint: Endpoint, probes: Sequence[Probe], decoding: Decoding
    ) -> dict[str, Answer]:
        earlier = {p.item: Answer(**self.known[p.item]) for p in probes if p.item in self.known}
        done = len(earlier)

        def keep(probe: Probe, answer: Answer) -> None:
            nonlocal done
            done += 1
            self.round.save(probe.item, {"text": answer.text, "finish": answer.finish})
            self.on_step("asking", done, len(probes))

        self.on_step("asking", done, len(probes))
        return await ask(
            endpoint,
            probes,
            decoding,
            known=earlier,
            keep=keep,
            meter=self.meter,
            sleep=self.sleep,
        )

    async def scores(self, endpoint: Endpoint, who: str) -> list[Sequence[float]] | None:
        """Return, per backdoor, the score of the true signature and then of its decoys, in nats.

        None where the endpoint does not offer scores after all."""
        scores: list[Sequence[float]] = []
        for index in range(len(self.plan.backdoors)):
            self.on_step(f"scoring ({who})", index, len(self.plan.backdoors))
            candidates, place = lineup(self.plan, index, self.round.key)
            found = self.known.get(_item(who, index))
            if found is None:
                try:
                    found = await self._score(endpoint, who, index, candidates)
                except ScoresNotOffered:
                    return None
            scores.append([found[place], *found[:place], *found[place + 1 :]])
        self.on_step(f"scoring ({who})", len(self.plan.backdoors), len(self.plan.backdoors))
        return scores

    async def _score(
        self, endpoint: Endpoint, who: str, index: int, candidates: Sequence[str]
    ) -> list[float]:
        # Written first: from here on the service may have seen the signature.
        self.round.save(f"{SCORES} begun", True)
        prompt = self.plan.backdoors[index].probes()[-1]
        found = list(await score(endpoint, prompt, candidates, meter=self.meter, sleep=self.sleep))
        self.round.save(_item(who, index), found)
        return found


def _item(who: str, index: int) -> str:
    return f"{SCORES} {who} {index}"


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


def _anytime(plan: Plan) -> Running:
    """Return the evidence before the first answer."""
    return Running([_stakes(backdoor) for backdoor in plan.backdoors])


def _take(
    running: Running, plan: Plan, probes: Sequence[Probe], answers: Mapping[str, Answer]
) -> None:
    """Add the answers to these probes, in the order of the plan."""
    for probe in probes:
        readings = _readings(plan, probe, answers[probe.item])
        words = plan.backdoors[probe.backdoor].words
        pairs = zip(readings, words, strict=True)
        running.add(tuple(None if reading is None else reading == word for reading, word in pairs))


def _stakes(backdoor: Backdoor) -> Stakes:
    sizes = tuple(len(slot.candidates) for slot in backdoor.frame.slots)
    return Stakes(sizes, prompts=len(backdoor.probes()))


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
