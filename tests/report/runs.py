"""Verifications of every kind, really made: a service in memory, asked in every way."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.memory import BASE, MemoryEndpoint, Service
from tests.test_verify import KEY, SCORED, TEXT, Bench, recorded
from tests.test_verify_rows import Lister, write_rows
from vtune_client.client.transcript import Exchange, exchanges
from vtune_client.dataset import check
from vtune_client.held_out import rows_to_ask
from vtune_client.ledger import Job, Ledger, Step
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import JobEvent, JobSpec, State
from vtune_client.rounds import Round, control_from, open_round, part_of
from vtune_client.verify import Target, verify

SPEC = PlanSpec(
    doses=(1,) * 10 + (2,) * 4,
    shards=2,
    per_shard=5,
    decoys=40,
    held_out=30,
    fresh_prompts=2,
    reserve=2,
)
HOSTILE = "ft:<script>alert('x')</script> & \"q\" \u202egnp.exe\u0007 [bold]\n| a | b |"
STARTED = 1_760_000_000.0


@dataclass
class Runs:
    """A plan, its job, and the ids of finished verifications by name."""

    plan: Plan
    ledger: Ledger
    ids: dict[str, str]

    def transcript(self, name: str) -> list[Exchange]:
        """What was asked in the verification of that name, secrets included."""
        record = self.ledger.verification(self.ids[name])
        known = Round(self.ledger, record, KEY).known()
        part = part_of(self.plan, record.target)
        return exchanges(part, known)

    def verdict(self, name: str) -> dict[str, Any]:
        return dict(self.ledger.verification(self.ids[name]).verdict or {})


def make_runs(home: Path) -> Runs:
    """Verify models that know all of a file, its carriers alone, a part of it, and nothing."""
    source = write_rows(home / "rows.jsonl")
    plan = draw_plan("plan-0", check(source), SPEC, KEY, BuiltinSource())
    plant(source, plan, home / "planted.jsonl")
    service = _service(plan, (home / "planted.jsonl").read_bytes(), rows_to_ask(plan, source, KEY))
    ledger = Ledger(home)
    ledger.add_plan(replace(recorded(plan, plan.id), created=STARTED))
    runs = Runs(plan, ledger, {})
    _add_job(ledger)
    asyncio.run(_all(runs, service, source))
    return runs


def _service(plan: Plan, content: bytes, asked: Any) -> Service:
    service = Service(SCORED)
    lines = content.splitlines()
    bare = {row.completion for row in asked}
    carriers = [line for line in lines if json.loads(line)["messages"][-1]["content"] not in bare]
    service.learn("tuned", content)
    service.learn(HOSTILE, content)
    service.learn("carriers", b"\n".join(carriers))
    service.learn("part", b"\n".join(lines[len(lines) * 2 // 3 :]))
    return service


async def _all(runs: Runs, service: Service, source: Path) -> None:
    async def done(name: str, model: str, **how: Any) -> None:
        runs.ids[name] = await _finished(runs, service, source, model, **how)

    await done("verified", "tuned", job="job-0")
    control = runs.ids["verified"]
    await done("beside a control", "tuned", control=control)
    await done("a part", "part", control=control)
    await done("carriers alone", "carriers", control=control)
    await done("not verified", BASE, control=control)
    await done("inconclusive", BASE)
    await done("stopped early", "tuned", stop_early=True)
    await done("hostile", HOSTILE, control=control)
    await done("reserve", "tuned", asks_rows=False, reprobes=runs.ids["verified"])
    service.capabilities = TEXT
    await done("text", "tuned", asks_rows=False)
    service.capabilities = replace(TEXT, top_logprobs=5)
    lister = Lister(Bench(runs.plan, runs.ledger, service))
    await done("listed", "lister", asks_rows=False, endpoint=lister)


async def _finished(
    runs: Runs,
    service: Service,
    source: Path,
    model: str,
    *,
    job: str | None = None,
    control: str | None = None,
    stop_early: bool = False,
    asks_rows: bool = True,
    reprobes: str | None = None,
    endpoint: MemoryEndpoint | None = None,
) -> str:
    target: dict[str, Any] = {"provider": "memory", "model": model, "run": len(runs.ids)}
    target |= {"reprobes": reprobes, "reserve": True} if reprobes else {}
    record = open_round(runs.ledger, runs.plan.id, job, target, remembers=False)
    asked = rows_to_ask(runs.plan, source, KEY) if asks_rows and not stop_early else ()
    result = await verify(
        part_of(runs.plan, target),
        Round(runs.ledger, record, KEY),
        endpoint or MemoryEndpoint(service),
        Target("memory", model, BASE),
        base_endpoint=MemoryEndpoint(service),
        rows=asked,
        control=control_from(runs.ledger, control, runs.plan.id) if control else None,
        stop_early=stop_early,
    )
    runs.ledger.finish(record, json.loads(json.dumps(result.to_json())))
    return record.id


def _add_job(ledger: Ledger) -> None:
    """Add a job whose vendor tells losses, and things that are none."""
    spec = JobSpec(model=BASE, epochs=3)
    job = Job("job-0", "plan-0", STARTED + 60, "memory", spec, "token", Step.CREATED)
    ledger.add_job(replace(job, remote_id="remote-0", state=State.SUCCEEDED, model="tuned"))
    told: list[dict[str, Any]] = [
        {"step": step, "loss": 2.4 * 0.93**step + 0.1} for step in range(1, 41)
    ]
    told += [{"step": step, "valid_loss": 2.5 * 0.95**step + 0.2} for step in (10, 20, 30, 40)]
    told += [{"step": "many", "loss": float("nan")}, {"step": 3, "loss": "<b>low</b>"}]
    price = {"price": 1.25, "currency": "USD", "source": "the service's estimate"}
    events = [JobEvent("price", STARTED + 70, "price", price)]
    events += [
        JobEvent(f"event-{index}", STARTED + 100 + 10 * index, "step", data)
        for index, data in enumerate(told)
    ]
    ledger.add_events(ledger.job("job-0"), events)
