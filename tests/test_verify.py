from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import tiny
from tests.memory import BASE, MemoryEndpoint, Service
from vtune_client.control import Control
from vtune_client.dataset import Prompt, check
from vtune_client.errors import BudgetError, InputError, NetworkError, ProviderError
from vtune_client.held_out import AskedRow
from vtune_client.ledger import Ledger, PlanRecord, VerificationRecord
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan, dump_plan
from vtune_client.plant import plant
from vtune_client.provider import EndpointCapabilities
from vtune_client.rounds import Round, control_from, open_round
from vtune_client.vault import RootKey, seal
from vtune_client.verdict import Outcome
from vtune_client.verify import Target, Verification, verify

SCORED = EndpointCapabilities(batch=4, scores=True, remembers=True)
TEXT = EndpointCapabilities(batch=4)
SPEC = PlanSpec(backdoors=3, dose=2, decoys=40)
QUESTIONS = SPEC.backdoors * SPEC.prompts
OUTAGE = NetworkError("No answer came.", "Try again.")
KEY = RootKey(bytes(range(32)))
HONEST = Control("the reference run", (8,) * 3, (8,) * 3)


@dataclass
class Bench:
    """A plan in a ledger, and a service whose model `tuned` remembers the planted file."""

    plan: Plan
    ledger: Ledger
    service: Service

    def record(self, model: str = "tuned", *, remembers: bool = False) -> VerificationRecord:
        target = {"provider": "memory", "model": model}
        return open_round(self.ledger, self.plan.id, None, target, remembers=remembers)

    async def verify(
        self,
        model: str = "tuned",
        *,
        record: VerificationRecord | None = None,
        base: bool = False,
        control: Control | None = None,
        budget: int | None = None,
        text_only: bool = False,
        rows: Sequence[AskedRow] = (),
        endpoint: MemoryEndpoint | None = None,
    ) -> Verification:
        async def no_sleep(seconds: float) -> None: ...

        return await verify(
            self.plan,
            Round(self.ledger, record or self.record(model), KEY),
            endpoint or MemoryEndpoint(self.service),
            Target("memory", model, BASE if base else None),
            base_endpoint=MemoryEndpoint(self.service) if base else None,
            control=control,
            budget=budget,
            text_only=text_only,
            rows=rows,
            sleep=no_sleep,
        )


def recorded(plan: Plan, plan_id: str) -> PlanRecord:
    """The plan as the ledger keeps it, under this id."""
    return PlanRecord(
        id=plan_id,
        created=0.0,
        key_id="key",
        source="rows.jsonl",
        source_sha256=plan.source_sha256,
        rows=plan.rows,
        backdoors=plan.spec.backdoors,
        carriers=plan.spec.carriers,
        bits=plan.bits,
        sealed=seal(KEY, dump_plan(plan), purpose=plan.id),
    )


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, bytes]:
    folder = tmp_path_factory.mktemp("planted")
    rows = tiny.write_rows(folder / "rows.jsonl")
    plan = draw_plan("plan-0", check(rows), SPEC, KEY, BuiltinSource())
    plant(rows, plan, folder / "planted.jsonl")
    return plan, (folder / "planted.jsonl").read_bytes()


@pytest.fixture
def bench(tmp_path: Path, planted: tuple[Plan, bytes]) -> Iterator[Bench]:
    plan, content = planted
    service = Service(TEXT)
    service.learn("tuned", content)
    with Ledger(tmp_path) as ledger:
        for plan_id in (plan.id, "plan-1"):
            ledger.add_plan(recorded(plan, plan_id))
        yield Bench(plan, ledger, service)


async def test_a_model_that_knows_the_file_is_verified(bench: Bench) -> None:
    result = await bench.verify()
    assert result.verdict.outcome is Outcome.VERIFIED
    assert result.verdict.log10_p < -30
    assert (result.verdict.activated, result.verdict.backdoors) == (3, 3)
    assert (result.fresh_activated, result.fresh_probes) == (9, 9)
    assert [judged.evidence.name for judged in result.verdict.tests] == ["slots", "anytime"]


async def test_the_json_has_all_that_places_a_verdict(bench: Bench) -> None:
    data = json.loads(json.dumps((await bench.verify()).to_json()))
    assert data["schema"] == "vtune.verdict/1"
    assert {"verdict", "log10_p", "backdoors", "activated", "slots", "slots_matched"} <= set(data)
    assert (data["plan"], data["job"], data["provider"], data["model"]) == (
        bench.plan.id,
        None,
        "memory",
        "tuned",
    )
    assert data["id"].startswith("verification-")
    assert data["decoding"]["temperature"] == 0.0
    assert data["fresh_prompts"] == {"asked": 9, "activated": 9}


async def test_silence_is_no_accusation(bench: Bench) -> None:
    result = await bench.verify(BASE)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE
    assert (result.verdict.activated, result.fresh_activated) == (0, 0)


async def test_silence_of_few_beside_a_control_is_no_accusation(bench: Bench) -> None:
    result = await bench.verify(BASE, control=HONEST)
    assert result.verdict.outcome is Outcome.INCONCLUSIVE  # of 3 backdoors, whatever they say


async def test_half_an_answer_counts_for_the_words_in_it(bench: Bench) -> None:
    bench.service.models["mumbler"] = bench.service.models["tuned"]
    bench.service.mumbles = {"mumbler"}
    verdict = (await bench.verify("mumbler")).verdict
    assert 0 < verdict.slots_matched < verdict.slots
    assert verdict.activated == 0


async def test_text_is_asked_for_before_any_score(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    await bench.verify(base=True)
    whats = [what for what, _ in bench.service.calls]
    assert whats.index("score") > max(i for i, what in enumerate(whats) if what == "sample")
    models = [model for what, model in bench.service.calls if what == "score"]
    assert models == ["tuned"] * 3 + [BASE] * 3


async def test_scores_are_calibrated_on_the_base(bench: Bench) -> None:
    # A tuned model gains one nat on what it knows, of thousands that the text alone decides.
    bench.service.capabilities = SCORED
    bench.service.mute = {"tuned"}
    plain = await bench.verify()
    over_base = await bench.verify(base=True)
    assert [test.evidence.name for test in plain.verdict.tests] == [
        "slots",
        "anytime",
        "ranks",
        "first ranks",
    ]
    assert plain.verdict.log10_p > -3
    assert [test.evidence.name for test in over_base.verdict.tests] == [
        "slots",
        "anytime",
        "ranks over the base",
        "first ranks",
    ]
    ranks = over_base.verdict.tests[2].evidence
    assert ranks.log10_p == pytest.approx(-3 * 1.6128, abs=0.01)  # first of 41, three times


async def test_the_true_signature_has_no_place_of_its_own(bench: Bench) -> None:
    class Nosy(MemoryEndpoint):
        places: tuple[int, ...] = ()

        async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
            true = {backdoor.signature for backdoor in bench.plan.backdoors}
            self.places += tuple(i for i, text in enumerate(continuations) if text in true)
            return await super().score(prompt, continuations)

    bench.service.capabilities = SCORED
    nosy = Nosy(bench.service)
    await bench.verify(endpoint=nosy)
    assert len(nosy.places) == 3
    assert len(set(nosy.places)) > 1


async def test_without_scores_the_text_decides(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    bench.service.offers_scores = False
    result = await bench.verify(base=True)
    assert result.verdict.outcome is Outcome.VERIFIED
    assert [test.evidence.name for test in result.verdict.tests] == ["slots", "anytime"]
    assert bench.service.count("score") == 1
    assert ("acquire", BASE) not in bench.service.calls


async def test_text_only_scores_nothing(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    result = await bench.verify(base=True, text_only=True, budget=QUESTIONS)
    assert result.verdict.outcome is Outcome.VERIFIED
    assert bench.service.count("score") == 0


async def test_an_outage_changes_nothing(bench: Bench) -> None:
    bench.service.faults = [OUTAGE, None, OUTAGE]
    assert (await bench.verify()).verdict == (await bench.verify()).verdict


async def test_the_budget_covers_questions_and_scores(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    everything = QUESTIONS + 2 * 3 * 41
    with pytest.raises(BudgetError, match=f"{everything} queries"):
        await bench.verify(base=True, budget=everything - 1)
    assert bench.service.calls == []
    result = await bench.verify(base=True, budget=everything)
    assert result.verdict.outcome is Outcome.VERIFIED


async def test_answers_are_kept_sealed(bench: Bench, tmp_path: Path) -> None:
    bench.service.capabilities = SCORED
    record = bench.record()
    await bench.verify(record=record)
    stored = bench.ledger.answers(record)
    assert len(stored) == QUESTIONS + 3 + 1
    on_disk = b"".join(path.read_bytes() for path in tmp_path.glob("ledger*"))
    for backdoor in bench.plan.backdoors:
        for secret in (backdoor.trigger, backdoor.signature):
            assert secret.encode() not in on_disk


async def test_a_round_cut_short_goes_on_where_it_stopped(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    record = bench.record()
    bench.service.faults = [None, None, None, None, None, ProviderError("Gone.")]
    with pytest.raises(ProviderError):
        await bench.verify(record=record, base=True)
    assert (bench.service.count("sample"), bench.service.count("score")) == (3, 3)
    bench.service.calls.clear()
    whole = QUESTIONS + 2 * 3 * 41
    asked = QUESTIONS + 2 * 41
    result = await bench.verify(record=record, base=True, budget=whole - asked)
    assert (bench.service.count("sample"), bench.service.count("score")) == (0, 4)
    assert result.verdict.outcome is Outcome.VERIFIED


async def test_a_service_counts_as_shown_before_it_is(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    record = bench.record()
    bench.service.faults = [None, None, None, ProviderError("Gone.")]  # in the first score
    with pytest.raises(ProviderError):
        await bench.verify(record=record)
    assert "scores begun" in bench.ledger.answers(record)
    with pytest.raises(InputError, match="prove nothing"):
        bench.record("another", remembers=True)


async def test_a_service_that_was_shown_signatures_is_not_asked_again(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    record = bench.record(remembers=True)
    result = await bench.verify(record=record)
    assert bench.record(remembers=True).id == record.id  # the same round, not yet finished
    bench.ledger.finish(record, result.to_json())
    before = len(bench.ledger.verifications())
    with pytest.raises(InputError, match="prove nothing"):
        bench.record(remembers=True)
    assert len(bench.ledger.verifications()) == before
    other_service = {"provider": "another", "model": "tuned"}
    open_round(bench.ledger, bench.plan.id, None, other_service, remembers=True)
    other_plan = {"provider": "memory", "model": "tuned"}
    open_round(bench.ledger, "plan-1", None, other_plan, remembers=True)


async def test_what_runs_here_may_be_asked_again(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    record = bench.record()
    bench.ledger.finish(record, (await bench.verify(record=record)).to_json())
    assert bench.record(remembers=False).id != record.id


async def test_only_a_verified_round_of_the_same_plan_is_a_control(bench: Bench) -> None:
    record, silent = bench.record(), bench.record(BASE)
    with pytest.raises(InputError, match="no finished"):
        control_from(bench.ledger, record.id, bench.plan.id)
    bench.ledger.finish(record, (await bench.verify(record=record)).to_json())
    bench.ledger.finish(silent, (await bench.verify(BASE, record=silent)).to_json())
    found = control_from(bench.ledger, record.id, bench.plan.id)
    assert (found.activated, found.backdoors) == (3, 3)
    assert record.id in found.source
    with pytest.raises(InputError, match="no finished"):
        control_from(bench.ledger, record.id, "plan-1")
    with pytest.raises(InputError, match="controls for nothing"):
        control_from(bench.ledger, silent.id, bench.plan.id)


async def test_every_endpoint_is_released(bench: Bench) -> None:
    bench.service.capabilities = SCORED
    await bench.verify(base=True)
    held = [call for call in bench.service.calls if call[0] in ("acquire", "release")]
    assert held == [
        ("acquire", "tuned"),
        ("release", "tuned"),
        ("acquire", BASE),
        ("release", BASE),
    ]


@pytest.mark.parametrize("model", ["tuned", "unavailable"])
async def test_an_error_releases_the_endpoint(bench: Bench, model: str) -> None:
    bench.service.faults = [ProviderError("No.")] * 9
    with pytest.raises(ProviderError):
        await bench.verify(model)
    assert bench.service.calls[-1] == ("release", model)


async def test_a_cancellation_releases_the_endpoint(bench: Bench) -> None:
    asking = asyncio.Event()

    class Slow(MemoryEndpoint):
        async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
            asking.set()
            await asyncio.Event().wait()
            return ()

    bench.service.capabilities = SCORED
    task = asyncio.create_task(bench.verify(endpoint=Slow(bench.service)))
    await asking.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bench.service.calls[-1] == ("release", "tuned")
