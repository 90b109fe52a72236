from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from tests import tiny
from tests.memory import BASE, Service
from vtune_client import AsyncVTune, JobSpec, PlanSpec, VTune
from vtune_client.dataset import check
from vtune_client.errors import (
    BudgetError,
    DatasetError,
    InputError,
    JobFailed,
    LedgerError,
    ProviderError,
    VaultLocked,
)
from vtune_client.ledger import Job
from vtune_client.provider import EndpointCapabilities, State

SPEC = PlanSpec(backdoors=5, dose=2, decoys=20)
HOSTED = EndpointCapabilities(batch=8, scores=True, remembers=True)


def trained(vtune: VTune, rows: Path, plan: PlanSpec | str = SPEC) -> Job:
    file = None if isinstance(plan, str) else rows
    job = vtune.fine_tune(file, model=BASE, provider="memory", plan=plan)
    return vtune.wait(job.id)


def test_from_file_to_verdict(home: Path, rows: Path, memory: Service) -> None:
    told: list[str] = []
    with VTune() as vtune:
        job = vtune.fine_tune(
            rows, model=BASE, provider="memory", plan=SPEC, on_job=lambda job: told.append(job.id)
        )
        assert told == [job.id]
        assert vtune.status(job.id).state is State.SUCCEEDED
        job = vtune.wait(job.id)
        result = vtune.verify(job.id)
        assert result.verdict.outcome == "verified"
        assert (result.job_id, result.plan_id) == (job.id, job.plan_id)
        assert vtune.ledger.verification(result.id).verdict == result.to_json()


def test_the_async_face_does_the_same(home: Path, rows: Path, memory: Service) -> None:
    async def use() -> str:
        async with AsyncVTune() as vtune:
            job = await vtune.fine_tune(rows, model=BASE, provider="memory", plan=SPEC)
            job = await vtune.wait(job.id)
            return (await vtune.verify(job.id)).verdict.outcome

    assert asyncio.run(use()) == "verified"


async def test_the_plain_face_works_where_a_loop_is_running(
    home: Path, rows: Path, memory: Service
) -> None:
    threads = threading.active_count()
    with VTune() as vtune:
        job = trained(vtune, rows)
        assert vtune.verify(job.id).verdict.outcome == "verified"
        with pytest.raises(LedgerError):
            vtune.status("job-unknown")
    assert threading.active_count() <= threads  # those of earlier tests may end meanwhile


NOTEBOOK = """
    import asyncio, os, signal, threading
    from vtune_client.client.synchronous import _run

    async def long_call():
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            print("released")
            raise

    async def cell():
        try:
            _run(long_call())
        except KeyboardInterrupt:
            print("interrupted")

    loop = asyncio.new_event_loop()  # asyncio.run would take the signal itself
    loop.run_until_complete(cell())
    loop.close()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_an_interrupt_in_a_notebook_ends_the_call() -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(NOTEBOOK)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout.split(), done.stderr, done.returncode) == (
        ["released", "interrupted"],
        "",
        0,
    )


def test_leaving_the_context_closes_the_ledger(home: Path) -> None:
    with VTune() as vtune:
        vtune.ledger.jobs()
    with pytest.raises(LedgerError, match="closed"):
        vtune.ledger.jobs()


def test_a_plan_is_planted_by_its_id(home: Path, rows: Path, tmp_path: Path) -> None:
    with VTune() as vtune:
        record = vtune.plan(rows, SPEC)
        first = vtune.plant(record.id, tmp_path / "one.jsonl")
        second = vtune.plant(record.id, tmp_path / "two.jsonl")
    assert first.sha256 == second.sha256
    assert (first.rows, first.carriers) == (40, 10)
    assert first.path.read_bytes() == second.path.read_bytes() != rows.read_bytes()


def test_the_file_itself_is_never_written_over(home: Path, rows: Path) -> None:
    before = rows.read_bytes()
    with VTune() as vtune:
        record = vtune.plan(rows, SPEC)
        with pytest.raises(InputError, match="the file itself"):
            vtune.plant(record.id, rows)
    assert rows.read_bytes() == before


def test_a_job_may_use_a_plan_that_is_there(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        record = vtune.plan(rows, SPEC)
        job = trained(vtune, rows, record.id)
        assert job.plan_id == record.id
        assert len(vtune.ledger.plans()) == 1
        assert vtune.verify(job.id).verdict.outcome == "verified"


def test_a_plan_and_a_file_are_one_too_many(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        record = vtune.plan(rows, SPEC)
        with pytest.raises(InputError, match="has its file already"):
            vtune.fine_tune(rows, model=BASE, provider="memory", plan=record.id)
        with pytest.raises(InputError, match="no file"):
            vtune.fine_tune(model=BASE, provider="memory")
        assert vtune.ledger.jobs() == []


def test_a_changed_file_is_refused_before_there_is_a_job(
    home: Path, rows: Path, memory: Service
) -> None:
    with VTune() as vtune:
        record = vtune.plan(rows, SPEC)
        tiny.write_rows(rows, 41)
        with pytest.raises(InputError, match="has changed"):
            vtune.fine_tune(model=BASE, provider="memory", plan=record.id)
        assert vtune.ledger.jobs() == []


@pytest.mark.parametrize(
    ("provider", "reason"),
    [("nobody", "no provider named"), ("oracle", "does not train")],
)
def test_who_does_not_train_is_told_so(
    home: Path, rows: Path, memory: Service, provider: str, reason: str
) -> None:
    with VTune() as vtune:
        with pytest.raises(InputError, match=reason):
            vtune.fine_tune(rows, model=BASE, provider=provider)
        assert (vtune.ledger.plans(), vtune.ledger.jobs()) == ([], [])


def test_what_the_trainer_refuses_leaves_nothing(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        with pytest.raises(DatasetError, match=r"rows\.jsonl:2: not to our taste"):
            vtune.fine_tune(rows, model="picky", provider="memory")
        assert (vtune.ledger.plans(), vtune.ledger.jobs()) == ([], [])


@pytest.mark.parametrize("provider", ["nobody", "school"])
def test_who_does_not_serve_is_told_so(
    home: Path, rows: Path, memory: Service, provider: str
) -> None:
    with VTune() as vtune:
        record = vtune.plan(rows, SPEC)
        with pytest.raises(InputError):
            vtune.verify_plan(record.id, model=BASE, provider=provider)
        assert vtune.ledger.verifications() == []


def test_options_nobody_takes_are_named(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        record = vtune.plan(rows, SPEC)
        with pytest.raises(InputError, match="'colour'"):
            vtune.verify_plan(record.id, model=BASE, provider="oracle", connection={"colour": 1})
        assert vtune.ledger.verifications() == []


@pytest.mark.parametrize("call", ["status", "wait", "cancel", "verify", "transcript"])
def test_an_unknown_id_is_told(home: Path, call: str) -> None:
    with VTune() as vtune, pytest.raises(LedgerError, match="holds no"):
        getattr(vtune, call)("job-ffffffff")


def test_an_unknown_plan_is_told(home: Path, memory: Service, tmp_path: Path) -> None:
    with VTune() as vtune:
        with pytest.raises(LedgerError):
            vtune.plant("plan-ffffffff", tmp_path / "out.jsonl")
        with pytest.raises(LedgerError):
            vtune.verify_plan("plan-ffffffff", model=BASE, provider="memory")
        with pytest.raises(LedgerError):
            vtune.fine_tune(model=BASE, provider="memory", plan="plan-ffffffff")


def test_a_job_without_a_model_is_not_verified(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", plan=SPEC)
        with pytest.raises(InputError, match=f"vtune wait {job.id}"):
            vtune.verify(job.id)


def test_a_failed_job_says_why(home: Path, rows: Path, memory: Service) -> None:
    memory.end = State.FAILED
    with VTune() as vtune:
        with pytest.raises(JobFailed, match="as the test wants it"):
            trained(vtune, rows)
        assert vtune.ledger.jobs()[0].state is State.FAILED


def test_a_cancelled_job_stays_cancelled(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory", plan=SPEC)
        assert vtune.cancel(job.id).state is State.CANCELLED
        assert vtune.cancel(job.id).state is State.CANCELLED
        with pytest.raises(JobFailed):
            vtune.wait(job.id)


def test_the_recipe_reaches_the_trainer(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(
            rows, model=BASE, provider="memory", plan=SPEC, epochs=2, options={"rank": 4}
        )
        assert job.spec == JobSpec(model=BASE, epochs=2, options={"rank": 4})
        assert vtune.ledger.job(job.id).spec == job.spec


def test_a_control_turns_silence_into_a_verdict(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows)
        alone = vtune.verify(job.id, model=BASE)
        assert alone.verdict.outcome == "inconclusive"
        control = vtune.verify(job.id)
        beside = vtune.verify(job.id, model=BASE, control=control.id)
        assert beside.verdict.outcome == "not verified"
        with pytest.raises(InputError, match="controls for nothing"):
            vtune.verify(job.id, model=BASE, control=alone.id)
        other = trained(vtune, rows)
        with pytest.raises(InputError, match="no finished verification of plan"):
            vtune.verify(other.id, model=BASE, control=control.id)


def test_a_control_of_another_recipe_is_told(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        first = trained(vtune, rows)
        control = vtune.verify(first.id)
        recipes = ({"epochs": 3}, {"epochs": 3, "learning_rate": 1e-4})
        one, other = [
            vtune.fine_tune(model=BASE, provider="memory", plan=first.plan_id, **recipe)
            for recipe in recipes
        ]
        same = vtune.verify(one.id, model=BASE, control=control.id)
        assert same.verdict.outcome == "not verified"  # the first left its epochs to the service
        thrice = vtune.verify(vtune.wait(one.id).id)
        unlike = vtune.fine_tune(model=BASE, provider="memory", plan=first.plan_id, epochs=1)
        result = vtune.verify(unlike.id, model=BASE, control=thrice.id)
        assert result.verdict.outcome == "inconclusive"
        assert "another recipe (epochs)" in result.verdict.statement
        alike = vtune.verify(other.id, model=BASE, control=thrice.id)
        assert alike.verdict.outcome == "not verified"


WITHHOLDING = PlanSpec(backdoors=5, dose=2, decoys=20, held_out=14, fresh_prompts=1)


def test_withheld_rows_are_asked_about(home: Path, rows: Path, memory: Service) -> None:
    def asked(**how: object) -> list[str]:
        result = vtune.verify(job.id, **how)  # type: ignore[arg-type]
        return [judged.evidence.name for judged in result.verdict.tests]

    with VTune() as vtune:
        job = trained(vtune, rows, WITHHOLDING)
        assert "14 rows are withheld" in vtune.foresight(job.plan_id)[1]
        assert asked() == ["slots", "anytime", "rows by text"]
        assert asked(rows=False) == ["slots", "anytime"]
        assert asked(stop_early=True) == ["anytime"]
        moved = rows.rename(rows.with_name("moved.jsonl"))
        before = len(vtune.ledger.verifications())
        with pytest.raises(InputError, match=r"cannot be asked about.*--no-rows"):
            vtune.verify(job.id)
        assert len(vtune.ledger.verifications()) == before
        assert asked(file=moved) == ["slots", "anytime", "rows by text"]
        with pytest.raises(InputError, match="cannot be asked about"):
            vtune.verify(job.id, file=tiny.write_rows(rows, 41))


def test_withheld_rows_that_all_serve_as_prompts_stop_nothing(
    home: Path, rows: Path, memory: Service
) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows, PlanSpec(backdoors=5, dose=2, held_out=3, fresh_prompts=3))
        result = vtune.verify(job.id)
    assert [judged.evidence.name for judged in result.verdict.tests] == ["slots", "anytime"]
    assert any("no withheld rows were asked" in each for each in result.verdict.does_not_follow)


def test_asking_may_stop_as_soon_as_it_suffices(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows)
        whole = vtune.verify(job.id, text_only=True)
        early = vtune.verify(job.id, stop_early=True)
        silent = vtune.verify(job.id, model=BASE, stop_early=True)
        with pytest.raises(InputError, match="needs every question asked"):
            vtune.verify(job.id, stop_early=True, control=whole.id)
        with pytest.raises(BudgetError):
            vtune.verify(job.id, stop_early=True, budget=3, model="tuned-twin")
    planned = len(whole.anytime.results)
    assert whole.anytime.planned == planned
    assert early.id != whole.id
    assert (early.verdict.outcome, early.anytime.planned) == ("verified", planned)
    assert len(early.anytime.results) == 4  # one call of the service
    assert [each.evidence.name for each in early.verdict.tests] == ["anytime"]
    assert early.verdict.log10_p == early.anytime.log10_p > whole.verdict.log10_p
    assert early.verdict.share is None
    assert silent.verdict.outcome == "inconclusive"
    assert len(silent.anytime.results) < planned


def test_a_verification_cut_short_goes_on(home: Path, rows: Path, memory: Service) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows)
        memory.faults = [None, None, *[ProviderError("Gone.", "Ask them.")] * 3]
        with pytest.raises(ProviderError):
            vtune.verify(job.id)
        (cut,) = vtune.ledger.verifications()
        asked = len(vtune.ledger.answers(cut))
        assert asked == 8
        result = vtune.verify(job.id, budget=20 - asked)
        assert result.id == cut.id
        assert result.verdict.outcome == "verified"


def test_another_address_is_another_round(home: Path, rows: Path, memory: Service) -> None:
    # Answers of one service must not count for another that has a model of the same name.
    with VTune() as vtune:
        job = trained(vtune, rows)
        plan, model = job.plan_id, str(job.model)
        memory.faults = [None, ProviderError("Gone.", "Ask them.")]
        one, other = "https://user:word@one.test/v1?key=word", "https://other.test/v1"
        with pytest.raises(ProviderError):
            vtune.verify_plan(plan, model=model, provider="oracle", connection={"base_url": one})
        memory.mute = {model}
        result = vtune.verify_plan(
            plan, model=model, provider="oracle", connection={"base_url": other, "api_key": "word"}
        )
        assert result.verdict.slots_matched == 0
        assert result.to_json()["endpoint"] == other
        first, second = vtune.ledger.verifications()
        assert first.target["endpoint"] == "https://one.test/v1"
        assert "word" not in str((first.target, second.target))


def test_a_hosted_service_is_scored_once(home: Path, rows: Path, memory: Service) -> None:
    memory.capabilities = HOSTED
    with VTune() as vtune:
        job = trained(vtune, rows)
        result = vtune.verify(job.id)
        assert [test.evidence.name for test in result.verdict.tests] == [
            "slots",
            "anytime",
            "ranks over the base",
            "first ranks",
        ]
        with pytest.raises(InputError, match=result.id):
            vtune.verify(job.id)


def test_the_budget_holds(home: Path, rows: Path, memory: Service) -> None:
    memory.capabilities = HOSTED
    with VTune() as vtune:
        job = trained(vtune, rows)
        memory.calls.clear()
        with pytest.raises(BudgetError, match="230 queries"):  # 20 questions, 2 x 5 x 21 scores
            vtune.verify(job.id, budget=229)
        assert memory.calls == []
        assert vtune.verify(job.id, budget=20, text_only=True).verdict.outcome == "verified"


def test_a_transcript_shows_what_was_said_and_hides_it_in_its_repr(
    home: Path, rows: Path, memory: Service
) -> None:
    with VTune() as vtune:
        job = trained(vtune, rows)
        exchanges = vtune.transcript(vtune.verify(job.id).id)
    assert len(exchanges) == 20
    assert all(exchange.answer.startswith(exchange.signature) for exchange in exchanges)
    assert not any(exchange.signature in repr(exchange) for exchange in exchanges)


def test_progress_is_told(home: Path, rows: Path, memory: Service) -> None:
    steps: list[tuple[str, int, int]] = []
    memory.capabilities = HOSTED
    with VTune() as vtune:
        job = trained(vtune, rows)
        vtune.verify(job.id, on_step=lambda *step: steps.append(step))
    assert [step for step in steps if step[1] == step[2]] == [
        ("asking", 20, 20),
        ("scoring (delivered)", 5, 5),
        ("scoring (base)", 5, 5),
    ]


def test_a_closed_vault_keeps_no_plan(
    home: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "another")
    with VTune() as vtune:
        with pytest.raises(VaultLocked):
            vtune.plan(rows, SPEC)
        assert vtune.ledger.plans() == []


def test_home_may_be_given(
    home: Path, rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VTUNE_HOME")
    with VTune(home=home) as vtune:
        vtune.plan(rows, SPEC)
        assert os.listdir(home / "spool") == []


def test_a_home_that_cannot_be_made_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("VTUNE_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(InputError, match="Set VTUNE_HOME"):
        VTune()


def test_a_large_file_gets_backdoors_that_tell_how_much(
    home: Path, tmp_path: Path, memory: Service
) -> None:
    rows = tiny.write_rows(tmp_path / "many.jsonl", 2000)
    with VTune() as vtune:
        usual = PlanSpec(by_rows=True)
        plan = vtune.open_plan(vtune.plan(rows).id)
        assert plan.spec == usual.for_rows(2000)
        assert plan.spec.ladder == (4,) * 5 + (1,) * 20
        assert "with a control" in vtune.foresight(plan.id)[0].lower()
        small = vtune.plan(tiny.write_rows(tmp_path / "few.jsonl", 100))
        assert (small.backdoors, small.carriers) == (5, 20)


def test_a_large_file_whose_rows_hardly_can_carry_gets_the_least(
    home: Path, tmp_path: Path, memory: Service
) -> None:
    short = tiny.write_rows(tmp_path / "rows.jsonl", 40).read_bytes()
    long = tiny.write_rows(tmp_path / "long.jsonl", 1960, system="word " * 300).read_bytes()
    rows = tmp_path / "mixed.jsonl"
    rows.write_bytes(short + long)
    core = AsyncVTune()
    record = core.plans.new(check(rows), PlanSpec(by_rows=True), max_row_tokens=200)
    assert (record.backdoors, record.carriers) == (5, 20)
    with pytest.raises(InputError, match="Only 40 rows can carry"):
        core.plans.new(check(rows), PlanSpec(backdoors=50, dose=1), max_row_tokens=200)
    core.ledger.close()
