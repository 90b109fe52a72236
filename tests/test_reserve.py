"""Backdoors kept in reserve: planted with the rest, asked only once the rest has been shown."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests import memory as memory_service
from tests.memory import BASE, Service
from tests.test_plan import KEY, draw
from tests.written import plain, write
from vtune_client import PlanSpec, VTune
from vtune_client.amount import Layout
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, ProviderError
from vtune_client.foresight import foresight
from vtune_client.ledger import Job
from vtune_client.listed import listed_slots
from vtune_client.plan import Plan, dump_plan, lineup, load_plan, tie_break
from vtune_client.provider import Answer, EndpointCapabilities
from vtune_client.verify import Verification

ASKED, KEPT = 4, 3
SPEC = PlanSpec(backdoors=ASKED, dose=2, decoys=20, reserve=KEPT)
HOSTED = EndpointCapabilities(batch=8, scores=True, remembers=True)
SILENT = Answer("", "stop")


@dataclass
class Listening(Service):
    """A service that keeps all it is asked."""

    capabilities: EndpointCapabilities = HOSTED
    heard: list[str] = field(default_factory=list)

    def answer(self, model: str, prompt: Prompt) -> str:
        self.heard.append(json.dumps(prompt.messages))
        return super().answer(model, prompt)

    def score(self, model: str, continuation: str) -> float:
        self.heard.append(continuation)
        return super().score(model, continuation)


@pytest.fixture
def service(memory: Service) -> Listening:
    listening = Listening()
    memory_service.serve(listening)
    return listening


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return draw(write(tmp_path / "rows.jsonl", plain), SPEC)


def trained(vtune: VTune, rows: Path, spec: PlanSpec = SPEC) -> Job:
    return vtune.wait(vtune.fine_tune(rows, model=BASE, provider="memory", plan=spec).id)


def names_of(result: Verification) -> list[str]:
    return [judged.evidence.name for judged in result.verdict.tests]


def test_the_reserve_comes_last_and_has_the_largest_dose(plan: Plan) -> None:
    assert PlanSpec(doses=(3, 1), reserve=2).ladder == (3, 1, 3, 3)
    assert PlanSpec(doses=(3, 1), reserve=2).backdoors == 2
    assert PlanSpec.stealthy(backdoors=6, reserve=2).frames == 8
    assert plan.doses == SPEC.ladder == (2,) * (ASKED + KEPT)
    assert len(plan.carriers) == SPEC.carriers == 14
    with pytest.raises(InputError, match="reserve is at least 0"):
        PlanSpec(reserve=-1)


def test_a_plan_has_two_parts_and_each_is_a_plan(plan: Plan) -> None:
    asked, kept = plan.asked, plan.in_reserve
    assert (asked.backdoors, kept.backdoors) == (plan.backdoors[:ASKED], plan.backdoors[ASKED:])
    assert (asked.first, kept.first) == (0, ASKED)
    assert asked.asked == asked
    assert kept.in_reserve == kept
    assert asked.in_reserve.backdoors == kept.asked.backdoors == ()
    for part in (plan, asked, kept):
        assert load_plan(dump_plan(part)) == part
        assert Layout.of(part).doses == (2,) * len(part.backdoors)


def test_a_plan_without_a_reserve_is_asked_as_a_whole(tmp_path: Path) -> None:
    plan = draw(write(tmp_path / "rows.jsonl", plain))
    assert plan.asked == plan
    assert plan.in_reserve.backdoors == ()


def test_the_others_stand_where_they_would_without_a_reserve(plan: Plan, tmp_path: Path) -> None:
    alone = draw(tmp_path / "rows.jsonl", replace(SPEC, reserve=0))
    assert [b.lines for b in plan.asked.backdoors] == [b.lines for b in alone.backdoors]
    assert plan.carriers.keys() > alone.carriers.keys()


def test_what_is_drawn_for_a_backdoor_goes_by_its_number_in_the_whole_plan(plan: Plan) -> None:
    drawn = []
    for number in range(ASKED + KEPT):
        part = plan.asked if number < ASKED else plan.in_reserve
        place = number - part.first
        assert lineup(part, place, KEY) == lineup(plan, number, KEY)
        assert tie_break(part, place, KEY) == tie_break(plan, number, KEY)
        ties = [slot.tie_break for slot in listed_slots(part, place, [SILENT], KEY)]
        assert ties == [slot.tie_break for slot in listed_slots(plan, number, [SILENT], KEY)]
        drawn += [tie_break(plan, number, KEY), *ties]
    assert len(set(drawn)) == len(drawn)


def test_the_owner_is_told_what_the_reserve_is_for(plan: Plan) -> None:
    said = foresight(plan)
    assert said[0].startswith(f"If all {ASKED} backdoors answer")
    assert said[-1].startswith(f"{KEPT} backdoors more are kept in reserve")
    assert not any("reserve" in sentence for sentence in foresight(plan.asked))


def test_a_verification_shows_nothing_of_the_reserve(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows, replace(SPEC, held_out=8, fresh_prompts=1))
        result = vtune.verify(job.id)
        plan = vtune.open_plan(job.plan_id)
        assert {each.backdoor for each in vtune.transcript(result.id)} == set(range(ASKED))
    assert result.verdict.outcome == "verified"
    assert result.verdict.backdoors == ASKED
    assert len(names_of(result)) == 5  # rows among them
    heard = "\n".join(service.heard)
    for backdoor in plan.asked.backdoors:
        assert backdoor.trigger in heard
        assert backdoor.signature in heard
    for backdoor in plan.in_reserve.backdoors:
        assert backdoor.trigger not in heard
        assert backdoor.signature not in heard
        assert not any(prompt.messages[-1]["content"] in heard for prompt in backdoor.own)


def test_the_reserve_is_asked_where_the_others_have_been_shown(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        first = vtune.verify(trained(vtune, rows).id)
        with pytest.raises(InputError, match="prove nothing") as refused:
            vtune.verify(first.job_id or "")
        assert "vtune reprobe" in refused.value.advice
        again = vtune.reprobe(first.id)
        record = vtune.ledger.verification(again.id)
        plan = vtune.open_plan(again.plan_id)
        assert {each.backdoor for each in vtune.transcript(again.id)} == set(range(ASKED, 7))
        signatures = {each.signature for each in vtune.transcript(again.id)}
    assert (again.verdict.outcome, again.verdict.activated) == ("verified", KEPT)
    assert names_of(again)[:2] == ["slots", "anytime"]
    assert signatures == {backdoor.signature for backdoor in plan.in_reserve.backdoors}
    assert (again.target, again.job_id) == (first.target, first.job_id)
    assert record.target["reserve"] is True
    assert record.target["reprobes"] == first.id
    assert record.verdict == again.to_json()
    said = [[each.to_json()[name] for name in ("reprobes", "first")] for each in (first, again)]
    assert said == [[None, 0], [first.id, ASKED]]


def test_a_reserve_bounds_the_share_from_below_alone(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        again = vtune.reprobe(vtune.verify(trained(vtune, rows).id).id)
    assert again.verdict.share is not None
    assert 0 < again.verdict.share.low < again.verdict.share.high == 1
    assert again.verdict.control is None


def test_a_service_that_was_shown_the_reserve_is_not_asked_it_again(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        first = vtune.verify(trained(vtune, rows).id)
        again = vtune.reprobe(first.id, text_only=True)  # shows no signature
        assert vtune.reprobe(first.id).verdict.outcome == "verified"
        before = len(service.heard)
        for earlier in (first, again):
            with pytest.raises(InputError, match="prove nothing") as refused:
                vtune.reprobe(earlier.id)
            assert "reprobe" not in refused.value.advice
        assert len(service.heard) == before


def test_another_model_of_the_service_can_be_asked(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        first = vtune.verify(trained(vtune, rows).id)
        other = vtune.reprobe(first.id, model=BASE, stop_early=True)
    assert (other.target.model, other.verdict.outcome) == (BASE, "inconclusive")


def test_a_plan_that_was_asked_at_an_address_is_asked_there(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows)
        where = {"base_url": "http://one.example/v1"}
        model = job.model or ""
        first = vtune.verify_plan(job.plan_id, model=model, provider="oracle", connection=where)
        again = vtune.reprobe(first.id)
        assert (again.job_id, again.verdict.outcome) == (None, "verified")
        assert again.target == first.target
        # another service was shown nothing
        elsewhere = {"base_url": "http://two.example/v1"}
        moved = vtune.reprobe(first.id, connection=elsewhere)
        assert moved.target.endpoint == "http://two.example/v1"


def test_a_round_cut_short_goes_on(home: Path, rows: Path, service: Listening) -> None:
    with VTune() as vtune:
        first = vtune.verify(trained(vtune, rows).id)
        calls = service.count("sample")
        service.faults = [None, ProviderError("Gone.", "Come back.")]
        with pytest.raises(ProviderError):
            vtune.reprobe(first.id)
        again = vtune.reprobe(first.id)
        questions = KEPT * SPEC.prompts
        assert service.count("sample") - calls <= -(-questions // HOSTED.batch) + 1
        assert again.verdict.activated == KEPT
        rounds = [each for each in vtune.ledger.verifications() if each.target.get("reserve")]
        assert [each.id for each in rounds] == [again.id]


def test_without_a_reserve_there_is_nothing_to_ask(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        first = vtune.verify(trained(vtune, rows, replace(SPEC, reserve=0)).id)
        with pytest.raises(InputError, match="keeps no backdoors in reserve"):
            vtune.reprobe(first.id)


def test_a_reserve_that_was_opened_proves_nothing(
    home: Path, rows: Path, service: Listening
) -> None:
    with VTune() as vtune:
        first = vtune.verify(trained(vtune, rows).id)
        vtune.ledger.open_backdoors(first.plan_id, range(ASKED), "shown to the vendor")
        assert vtune.reprobe(first.id, text_only=True).verdict.outcome == "verified"
        vtune.ledger.open_backdoors(first.plan_id, [ASKED + 1], "shown to a court")
        with pytest.raises(InputError, match="shown to a court"):
            vtune.reprobe(first.id, text_only=True)


def test_a_reserve_is_no_control(home: Path, rows: Path, service: Listening) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows)
        again = vtune.reprobe(vtune.verify(job.id, text_only=True).id, text_only=True)
        with pytest.raises(InputError, match="asked the reserve"):
            vtune.verify(job.id, control=again.id)
