"""From a plan and a served model to a verdict: ask, read, test, judge."""

from __future__ import annotations

import asyncio
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from vtune_client.amount import Layout
from vtune_client.asking import Asking, acquired
from vtune_client.asking import OnStep as OnStep
from vtune_client.control import Control
from vtune_client.evidence import AnytimeTest, RankTest, SlotTest, first_ranks_test
from vtune_client.facts import Evidence
from vtune_client.held_out import AskedRow
from vtune_client.notebook import fragment
from vtune_client.plan import Plan
from vtune_client.probe import Meter, Probe, Query, Sleep, decoding_for, probes_of
from vtune_client.provider import Answer, Decoding, Endpoint
from vtune_client.readings import (
    RowsFound,
    candidates_of,
    evidence_so_far,
    fresh_of,
    ranks_of,
    rows_answered,
    rows_control,
    rows_scored,
    slots_of,
    take,
    trend_of,
)
from vtune_client.rounds import Round
from vtune_client.verdict import Verdict, format_p, judge, to_json
from vtune_client.version import __version__

MOST_LISTED = 20  # candidates per token that answers are to list
MOST_ROW_TOKENS = 256  # of an answer that is compared with a row's completion


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
    rows: RowsFound | None = None
    reprobes: str | None = None  # the verification after which this one asked the reserve
    first: int = 0  # the number of the first backdoor asked, in the whole plan
    reserve: int = 0  # how many backdoors of the plan are kept for another time
    seconds: float = field(compare=False, default=0.0)

    def _repr_html_(self) -> str:
        return fragment(self.to_json())

    def to_json(self) -> dict[str, Any]:
        """Return the versioned JSON verdict; it holds no secret."""
        verdict = to_json(self.verdict)
        if self.rows:
            scores = [[row.uploaded, row.score, row.length] for row in self.rows.scores]
            verdict["rows"] |= {"kind": self.rows.kind, "scores": scores}
        return {
            **verdict,
            "id": self.id,
            "plan": self.plan_id,
            "job": self.job_id,
            "reprobes": self.reprobes,
            "first": self.first,
            "reserve": self.reserve,
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
            "versions": {"vtune-client": __version__, "python": platform.python_version()},
            "seconds": round(self.seconds, 2),
        }


async def verify(
    plan: Plan,
    round_: Round,
    endpoint: Endpoint,
    target: Target,
    *,
    base_endpoint: Endpoint | None = None,
    rows: Sequence[AskedRow] = (),
    control: Control | None = None,
    budget: int | None = None,
    text_only: bool = False,
    stop_early: bool = False,
    on_step: OnStep = silent,
    sleep: Sleep = asyncio.sleep,
) -> Verification:
    """Ask `endpoint` every question of the plan and judge the answers.

    `rows` are those to ask about besides (`held_out.rows_to_ask`): whether the model knows uploaded
    ones better than withheld ones. With `stop_early` the backdoors' text alone is asked for, and
    only until the evidence suffices or cannot any more; the verdict then rests on the anytime-valid
    test alone (`evidence.sequential`), since a share or a comparison with a control supposes that
    nobody chose when to stop.

    Both endpoints are acquired and released here, one after the other. Scores are used where the
    endpoint offers them, unless `text_only`, calibrated on the base where there is one to ask; an
    endpoint without them is asked to list likely tokens, and about rows by text. `budget` is the
    most queries to send, see `Meter`; `sleep` waits before retries.
    """
    started = time.monotonic()
    asking = Asking(plan, round_, Meter(budget), round_.known(), on_step, sleep)
    probes = probes_of(plan)
    scored = endpoint.capabilities.scores and not (text_only or stop_early)
    listed = 0 if scored or text_only or stop_early else endpoint.capabilities.top_logprobs
    decoding = decoding_for(plan, min(listed, MOST_LISTED))
    if stop_early:
        found = await _until_enough(asking, endpoint, target, probes, decoding)
    else:
        base = base_endpoint if scored else None
        found = await _everything(asking, endpoint, base, target, probes, decoding, rows, scored)
    asked = [probe for probe in probes if probe.item in found.answers]
    slots = slots_of(plan, asked, found.answers)
    running = evidence_so_far(plan)
    take(running, plan, asked, found.answers)
    anytime = running.outcome()
    if stop_early:
        verdict = judge(anytime, alpha=plan.spec.alpha, read=slots)
    else:
        verdict = _judged(plan, slots, anytime, found, control, round_)
    fresh, activated = fresh_of(plan, asked, found.answers)
    return Verification(
        id=round_.record.id,
        plan_id=plan.id,
        job_id=round_.record.job_id,
        created=round_.record.created,
        target=target,
        decoding=decoding,
        verdict=verdict,
        fresh_activated=activated,
        fresh_probes=fresh,
        anytime=anytime,
        rows=found.rows,
        reprobes=round_.record.target.get("reprobes"),
        first=plan.first,
        reserve=plan.spec.reserve,
        seconds=time.monotonic() - started,
    )


@dataclass(frozen=True)
class _Found:
    """What a round has learned; scores are None where they were not asked for or not offered."""

    answers: Mapping[str, Answer]
    ranks: RankTest | None = None
    rows: RowsFound | None = None


async def _everything(
    asking: Asking,
    endpoint: Endpoint,
    base_endpoint: Endpoint | None,
    target: Target,
    probes: Sequence[Probe],
    decoding: Decoding,
    rows: Sequence[AskedRow],
    scored: bool,
) -> _Found:
    """Ask all there is: text first, since scoring shows a service the signatures."""
    ups = scored and asking.plan.spec.decoys > 0
    key = asking.round.key
    who = ["delivered", *(["base"] if base_endpoint and target.base else [])] if scored else []
    texts: list[Query] = [*probes, *(rows if not scored else ())]
    asking.check_budget(texts, rows, who, ups)
    base_rows = base_ups = None
    async with acquired(endpoint, target.model):
        answers = await asking.answers(endpoint, probes, decoding)
        own_rows = await asking.rows(endpoint, "delivered", rows) if scored and rows else None
        if rows and own_rows is None:
            row_decoding = _decoding_for_rows(rows)
            answers |= await asking.answers(endpoint, rows, row_decoding, "asking about rows")
        offered = ups and (own_rows is not None or not rows)
        own_ups = await asking.line_ups(endpoint, "delivered") if offered else None
    if base_endpoint and target.base and (own_rows or own_ups):
        async with acquired(base_endpoint, target.base):
            base_rows = await asking.rows(base_endpoint, "base", rows) if own_rows else None
            base_ups = await asking.line_ups(base_endpoint, "base") if own_ups else None
    found_rows = None
    if rows and own_rows:
        found_rows = rows_scored(rows, own_rows, base_rows, key)
    elif rows:
        found_rows = rows_answered(rows, answers, key)
    ranks = ranks_of(asking.plan, own_ups, base_ups, key) if own_ups else None
    return _Found(answers, ranks, found_rows)


async def _until_enough(
    asking: Asking,
    endpoint: Endpoint,
    target: Target,
    probes: Sequence[Probe],
    decoding: Decoding,
) -> _Found:
    """Ask the first questions, until they suffice or cannot any more.

    A wave is looked at only once all of it is in, in the order of the plan: which answer came first
    must not matter."""
    size = max(1, endpoint.capabilities.batch * endpoint.capabilities.concurrency)
    answers: dict[str, Answer] = {}
    evidence, alpha = evidence_so_far(asking.plan), asking.plan.spec.alpha
    async with acquired(endpoint, target.model):
        for start in range(0, len(probes), size):
            wave = probes[start : start + size]
            answers |= await asking.answers(endpoint, wave, decoding)
            take(evidence, asking.plan, wave, answers)
            if evidence.reached(alpha) or evidence.hopeless(alpha) or evidence.unlikely(alpha):
                break
    return _Found(answers)


def _judged(
    plan: Plan,
    slots: SlotTest,
    anytime: AnytimeTest,
    found: _Found,
    control: Control | None,
    round_: Round,
) -> Verdict:
    # The sum over all backdoors hides a few that answer among many that do not; bets do not.
    tests: list[Evidence] = [slots, anytime]
    listed = candidates_of(plan, found.answers, round_.key) if not found.ranks else None
    tests += [found.ranks, first_ranks_test(found.ranks)] if found.ranks else []
    tests += [listed] if listed else []
    tests += [found.rows.test] if found.rows else []
    compared = rows_control(found.rows, control, round_.key) if found.rows and control else None
    return judge(
        *tests,
        alpha=plan.spec.alpha,
        layout=Layout.of(plan),
        control=control,
        rows_control=compared,
        trend=trend_of(plan, slots, round_.key),
    )


def _decoding_for_rows(rows: Sequence[AskedRow]) -> Decoding:
    """Return greedy decoding, long enough for the longest completion: 3 characters a token."""
    longest = max(row.length for row in rows)
    return Decoding(max_tokens=min(MOST_ROW_TOKENS, longest // 3 + 16))
