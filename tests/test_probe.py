from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import tiny
from tests.memory import MemoryEndpoint, Service
from vtune_client.dataset import Prompt, check
from vtune_client.errors import BudgetError, NetworkError, ProviderError
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.probe import ATTEMPTS, Meter, Probe, ask, decoding_for, probes_of, score
from vtune_client.provider import Answer, Decoding, EndpointCapabilities
from vtune_client.vault import RootKey

OUTAGE = NetworkError("No answer came.", "Try again.")
SPEC = PlanSpec(backdoors=3, dose=2, own_prompts=1, fresh_prompts=2)
QUERIES = SPEC.backdoors * SPEC.prompts


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    rows = tiny.write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
    return draw_plan("plan-0", check(rows), SPEC, RootKey(bytes(32)), BuiltinSource())


class Waits:
    """Sleeps by writing down for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


class Kept:
    """Keeps answers in the order in which they came."""

    def __init__(self) -> None:
        self.items: list[str] = []

    def __call__(self, probe: Probe, answer: Answer) -> None:
        self.items.append(probe.item)


async def asked(
    plan: Plan,
    service: Service,
    *,
    known: dict[str, Answer] | None = None,
    keep: Kept | None = None,
    budget: int | None = None,
    waits: Waits | None = None,
) -> dict[str, Answer]:
    return await ask(
        MemoryEndpoint(service),
        probes_of(plan),
        Decoding(),
        known=known or {},
        keep=keep or Kept(),
        meter=Meter(budget),
        sleep=waits or Waits(),
    )


def test_the_first_prompt_of_every_backdoor_comes_first(plan: Plan) -> None:
    probes = probes_of(plan)
    assert [(probe.number, probe.backdoor) for probe in probes] == [
        (number, backdoor) for number in range(3) for backdoor in range(3)
    ]
    assert [probe.fresh for probe in probes] == [False] * 3 + [True] * 6


def test_every_question_holds_its_trigger_and_shows_it_nowhere(plan: Plan) -> None:
    for probe in probes_of(plan):
        trigger = plan.backdoors[probe.backdoor].trigger
        assert probe.prompt.messages[-1]["content"].endswith(trigger)
        assert trigger not in f"{probe!r} {probe.item}"


def test_decoding_is_greedy_and_leaves_room_for_the_signature(plan: Plan) -> None:
    decoding = decoding_for(plan)
    assert decoding.temperature == 0.0
    longest = max(len(backdoor.signature.split()) for backdoor in plan.backdoors)
    assert decoding.max_tokens > longest


async def test_every_probe_is_answered_once(plan: Plan) -> None:
    service, keep = Service(), Kept()
    answers = await asked(plan, service, keep=keep)
    assert set(answers) == {probe.item for probe in probes_of(plan)}
    assert sorted(keep.items) == sorted(answers)
    assert service.count("sample") == 3  # nine questions in batches of four


async def test_known_answers_are_not_asked_for_again(plan: Plan) -> None:
    service, keep = Service(), Kept()
    known = {probe.item: Answer("known") for probe in probes_of(plan)[:7]}
    answers = await asked(plan, service, known=known, keep=keep)
    assert service.count("sample") == 1
    assert sorted(keep.items) == sorted(set(answers) - set(known))
    assert {answers[item].text for item in known} == {"known"}


async def test_nothing_left_to_ask_asks_nothing(plan: Plan) -> None:
    service = Service()
    known = {probe.item: Answer("known") for probe in probes_of(plan)}
    assert await asked(plan, service, known=known, budget=0) == known
    assert service.calls == []


async def test_an_outage_is_waited_out(plan: Plan, caplog: pytest.LogCaptureFixture) -> None:
    service = Service(faults=[OUTAGE, OUTAGE])
    waits = Waits()
    with caplog.at_level(logging.WARNING):
        answers = await asked(plan, service, waits=waits)
    assert len(answers) == QUERIES
    assert service.count("sample") == 5
    assert len(waits.seconds) == 2
    assert all(seconds > 0 for seconds in waits.seconds)
    assert [record.message[:16] for record in caplog.records] == ["No answer came. "] * 2


async def test_an_outage_that_lasts_is_a_network_error(plan: Plan) -> None:
    capabilities = EndpointCapabilities(batch=QUERIES)
    service = Service(capabilities, faults=[OUTAGE] * 100)
    waits = Waits()
    with pytest.raises(NetworkError):
        await asked(plan, service, waits=waits)
    assert service.count("sample") == ATTEMPTS
    assert len(waits.seconds) == ATTEMPTS - 1


async def test_a_refusal_is_not_repeated(plan: Plan) -> None:
    service = Service(faults=[ProviderError("No.", "Ask them.")] * 9)
    waits = Waits()
    with pytest.raises(ProviderError, match="No"):
        await asked(plan, service, waits=waits)
    assert waits.seconds == []


async def test_errors_come_one_at_a_time_also_from_an_adapter_that_groups_them(plan: Plan) -> None:
    group = ExceptionGroup("two", [ExceptionGroup("one", [OUTAGE]), ValueError()])
    with pytest.raises(NetworkError):
        await asked(plan, Service(faults=[group] * 3))


async def test_what_was_answered_before_an_error_is_kept(plan: Plan) -> None:
    keep = Kept()
    with pytest.raises(ProviderError):
        await asked(plan, Service(faults=[None, *[ProviderError("No.")] * 2]), keep=keep)
    assert len(keep.items) == 4


async def test_a_small_budget_stops_it_before_the_first_query(plan: Plan) -> None:
    service = Service()
    with pytest.raises(BudgetError, match=f"{QUERIES} queries"):
        await asked(plan, service, budget=QUERIES - 1)
    assert service.calls == []
    assert len(await asked(plan, service, budget=QUERIES)) == QUERIES


async def test_retries_count_against_the_budget(plan: Plan) -> None:
    service = Service(EndpointCapabilities(batch=QUERIES), faults=[OUTAGE])
    with pytest.raises(BudgetError):
        await asked(plan, service, budget=2 * QUERIES - 1)
    assert service.count("sample") == 1
    service.faults = [OUTAGE]
    assert len(await asked(plan, service, budget=2 * QUERIES)) == QUERIES


class Crowd(MemoryEndpoint):
    """Counts the calls under way at the same time."""

    now = most = 0

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        self.now += 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0)
        self.now -= 1
        return await super().sample(prompts, decoding)


async def test_no_more_calls_are_under_way_than_the_endpoint_bears(plan: Plan) -> None:
    crowd = Crowd(Service(EndpointCapabilities(batch=1, concurrency=2)))
    await ask(crowd, probes_of(plan), Decoding(), known={}, keep=Kept(), meter=Meter())
    assert crowd.most == 2


class Short(MemoryEndpoint):
    """Loses the last of what it should return."""

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        return (await super().sample(prompts, decoding))[:-1]

    async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
        return (await super().score(prompt, continuations))[:-1]


async def test_a_wrong_number_of_answers_blames_the_endpoint(plan: Plan) -> None:
    short = Short(Service())
    with pytest.raises(ProviderError, match="3 answers to 4 prompts"):
        await ask(short, probes_of(plan), Decoding(), known={}, keep=Kept(), meter=Meter())
    with pytest.raises(ProviderError, match="one finite number"):
        await score(short, Prompt(text="a"), ["b", "c"], meter=Meter())


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
async def test_a_score_that_is_no_number_blames_the_endpoint(value: float) -> None:
    class Diverged(MemoryEndpoint):
        async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
            return [value]

    with pytest.raises(ProviderError, match="one finite number"):
        await score(Diverged(Service()), Prompt(text="a"), ["b"], meter=Meter())


async def test_scores_are_retried_and_counted_too() -> None:
    service, waits, meter = Service(faults=[OUTAGE]), Waits(), Meter(5)
    found = await score(
        MemoryEndpoint(service), Prompt(text="a"), ["b", "c"], meter=meter, sleep=waits
    )
    assert len(found) == 2
    assert len(waits.seconds) == 1
    with pytest.raises(BudgetError):
        await score(MemoryEndpoint(service), Prompt(text="a"), ["b", "c"], meter=meter)
    assert service.count("score") == 2


def test_the_source_of_the_prompts_is_this_file(plan: Plan, tmp_path: Path) -> None:
    rows = tiny.write_rows(tmp_path / "rows.jsonl").read_text(encoding="utf-8")
    for backdoor in plan.backdoors:
        for prompt in (*backdoor.own, *backdoor.fresh):
            assert prompt.messages[-1]["content"] in rows
