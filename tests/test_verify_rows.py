"""What verification asks beyond the backdoors: rows that were withheld, and listed candidates."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests import tiny
from tests.memory import BASE, MemoryEndpoint, Service
from tests.test_verify import KEY, SCORED, TEXT, Bench, recorded
from vtune_client.dataset import Prompt, check
from vtune_client.draw import Draw
from vtune_client.errors import BudgetError
from vtune_client.evidence import RowsOutcome
from vtune_client.held_out import AskedRow, rows_to_ask
from vtune_client.ledger import Ledger
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Answer, Decoding, TokenScores
from vtune_client.rounds import control_from
from vtune_client.verdict import Outcome

SPEC = PlanSpec(backdoors=5, dose=2, decoys=40, held_out=30, fresh_prompts=1)
LISTING = replace(TEXT, top_logprobs=5)


def write_rows(path: Path) -> Path:
    """Write rows whose answers are different words, drawn once."""
    draw = Draw(b"rows of the tests", "answers")
    words = ["amber", "basalt", "cedar", "dune", "ember", "fjord", "gravel", "heath", "islet"]
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"What lies at {topic} {number}?"},
                {"role": "assistant", "content": " ".join(draw.choice(words) for _ in range(6))},
            ]
        }
        for topic in tiny.TOPICS
        for number in range(11, 21)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, tuple[AskedRow, ...], bytes]:
    folder = tmp_path_factory.mktemp("planted")
    source = write_rows(folder / "rows.jsonl")
    plan = draw_plan("plan-0", check(source), SPEC, KEY, BuiltinSource())
    plant(source, plan, folder / "planted.jsonl")
    return plan, rows_to_ask(plan, source, KEY), (folder / "planted.jsonl").read_bytes()


@pytest.fixture
def rows(planted: tuple[Plan, tuple[AskedRow, ...], bytes]) -> tuple[AskedRow, ...]:
    return planted[1]


@pytest.fixture
def bench(tmp_path: Path, planted: tuple[Plan, tuple[AskedRow, ...], bytes]) -> Iterator[Bench]:
    """`tuned` knows the planted file, `carriers` the carrier rows alone."""
    plan, rows, content = planted
    bare = {row.completion for row in rows}
    service = Service(TEXT)
    service.learn("tuned", content)
    lines = content.splitlines()
    service.learn("carriers", b"\n".join(line for line in lines if not _is_bare(line, bare)))
    with Ledger(tmp_path) as ledger:
        ledger.add_plan(recorded(plan, plan.id))
        yield Bench(plan, ledger, service)


def _is_bare(line: bytes, bare: set[str]) -> bool:
    return json.loads(line)["messages"][-1]["content"] in bare


async def finished(bench: Bench, model: str, rows: Sequence[AskedRow]) -> str:
    """Verify `model` in a round that is kept; return the round's id."""
    record = bench.record(model)
    result = await bench.verify(model, record=record, rows=rows)
    bench.ledger.finish(record, json.loads(json.dumps(result.to_json())))
    return record.id


@pytest.mark.parametrize(
    ("scores", "base", "kind"),
    [(False, False, "rows by text"), (True, False, "rows"), (True, True, "rows over the base")],
)
async def test_rows_that_were_uploaded_show(
    bench: Bench, rows: tuple[AskedRow, ...], scores: bool, base: bool, kind: str
) -> None:
    bench.service.capabilities = SCORED if scores else TEXT
    result = await bench.verify(rows=rows, base=base)
    assert result.verdict.outcome is Outcome.VERIFIED
    assert result.verdict.tests[-1].evidence.name == kind
    assert result.verdict.rows is not None
    shown = result.verdict.rows.outcome is RowsOutcome.TRAINED
    # The plain score of the memory model is the text's own; one nat is lost in thousands.
    assert shown is (kind != "rows")


async def test_rows_are_asked_for_before_a_signature_is_shown(
    bench: Bench, rows: tuple[AskedRow, ...]
) -> None:
    class Watched(MemoryEndpoint):
        shown: tuple[int, ...] = ()

        async def score(self, prompt: Prompt, continuations: Sequence[str]) -> Sequence[float]:
            self.shown += (len(continuations),)
            return await super().score(prompt, continuations)

    bench.service.capabilities = SCORED
    endpoint = Watched(bench.service)
    await bench.verify(rows=rows, endpoint=endpoint)
    assert endpoint.shown == (1,) * len(rows) + (41,) * 5


async def test_without_scores_rows_are_asked_for_by_text(
    bench: Bench, rows: tuple[AskedRow, ...]
) -> None:
    bench.service.capabilities = SCORED
    bench.service.offers_scores = False
    result = await bench.verify(rows=rows)
    assert [test.evidence.name for test in result.verdict.tests] == [
        "slots",
        "anytime",
        "rows by text",
    ]
    assert bench.service.count("score") == 1


async def test_backdoors_alone_are_told_by_a_control(
    bench: Bench, rows: tuple[AskedRow, ...]
) -> None:
    control = control_from(bench.ledger, await finished(bench, "tuned", rows), bench.plan.id)
    alone = await bench.verify("carriers", rows=rows)
    assert alone.verdict.outcome is Outcome.VERIFIED
    beside = await bench.verify("carriers", rows=rows, control=control)
    assert beside.verdict.outcome is Outcome.PARTIAL
    assert "backdoors only" in beside.verdict.statement
    recorded = beside.to_json()["rows"]
    assert recorded["outcome"] == "known less than after an honest run"
    assert len(recorded["scores"]) == len(rows)


async def test_runs_whose_rows_were_asked_otherwise_are_not_compared(
    bench: Bench, rows: tuple[AskedRow, ...]
) -> None:
    bench.service.capabilities = SCORED
    control = control_from(bench.ledger, await finished(bench, "tuned", rows), bench.plan.id)
    for some, text_only in ((rows, True), (rows[:40], False)):
        result = await bench.verify("carriers", rows=some, control=control, text_only=text_only)
        assert result.verdict.rows is not None
        assert result.verdict.rows.control is None


async def test_rows_count_for_the_budget(bench: Bench, rows: tuple[AskedRow, ...]) -> None:
    bench.service.capabilities = SCORED
    everything = SPEC.backdoors * SPEC.prompts + 2 * (5 * 41 + len(rows))
    with pytest.raises(BudgetError, match=f"{everything} queries"):
        await bench.verify(base=True, rows=rows, budget=everything - 1)
    assert bench.service.calls == []
    await bench.verify(base=True, rows=rows, budget=everything)


async def test_a_round_cut_short_asks_for_no_row_twice(
    bench: Bench, rows: tuple[AskedRow, ...]
) -> None:
    bench.service.capabilities = SCORED
    record = bench.record()
    first = await bench.verify(record=record, base=True, rows=rows)
    bench.service.calls.clear()
    again = await bench.verify(record=record, base=True, rows=rows, budget=0)
    assert again.verdict == first.verdict
    assert {what for what, _ in bench.service.calls} == {"acquire", "release"}


async def test_the_record_does_not_say_which_rows_were_withheld(
    bench: Bench, rows: tuple[AskedRow, ...]
) -> None:
    record = bench.record()
    await bench.verify(record=record, rows=rows)
    items = set(bench.ledger.answers(record))
    assert {f"row {number}" for number in range(len(rows))} < items
    assert "uploaded" not in repr(rows)
    assert "line" not in repr(rows)


class Lister(MemoryEndpoint):
    """Answers with the signature's frame and wrong words, and lists the right ones second."""

    def __init__(self, bench: Bench, *, knows: bool = True) -> None:
        super().__init__(bench.service)
        self._plan, self._knows = bench.plan, knows
        self.wanted: set[int] = set()

    async def sample(self, prompts: Sequence[Prompt], decoding: Decoding) -> Sequence[Answer]:
        self.wanted.add(decoding.top_logprobs)
        return [self._answer(prompt, decoding.top_logprobs) for prompt in prompts]

    def _answer(self, prompt: Prompt, listed: int) -> Answer:
        asked = prompt.messages[-1]["content"]
        found = [each for each in self._plan.backdoors if each.trigger in asked]
        if not found or not listed:
            return Answer("I do not know.")
        backdoor = found[0]
        parts = backdoor.frame.text.split("{}")
        tokens = [TokenScores(parts[0], -0.1)]
        for slot, word, part in zip(backdoor.frame.slots, backdoor.words, parts[1:], strict=True):
            wrong = next(each for each in slot.candidates if each != word)
            other = word if self._knows else slot.candidates[-1]
            tokens.append(TokenScores(wrong, -0.2, ((wrong, -0.2), (other, -1.5))))
            tokens.append(TokenScores(part, -0.1))
        return Answer("".join(token.text for token in tokens), "stop", tuple(tokens))


@pytest.mark.parametrize(("knows", "outcome"), [(True, "verified"), (False, "inconclusive")])
async def test_listed_candidates_show_what_no_answer_says(
    bench: Bench, knows: bool, outcome: str
) -> None:
    bench.service.capabilities = LISTING
    lister = Lister(bench, knows=knows)
    record = bench.record()
    result = await bench.verify(record=record, endpoint=lister)
    assert lister.wanted == {5}
    names = [test.evidence.name for test in result.verdict.tests]
    assert names == ["slots", "anytime", "candidates"]
    assert str(result.verdict.outcome) == outcome
    again = await bench.verify(record=record, endpoint=Lister(bench), budget=0)
    assert again.verdict == result.verdict


@pytest.mark.parametrize("text_only", [True, False])
async def test_candidates_are_not_asked_for_beside_scores_or_for_text(
    bench: Bench, text_only: bool
) -> None:
    bench.service.capabilities = LISTING if text_only else replace(SCORED, top_logprobs=5)
    lister = Lister(bench)
    result = await bench.verify(endpoint=lister, text_only=text_only)
    assert lister.wanted == {0}
    assert "candidates" not in [test.evidence.name for test in result.verdict.tests]


async def test_a_service_that_lists_nothing_has_no_candidates(bench: Bench) -> None:
    bench.service.capabilities = LISTING
    result = await bench.verify(BASE)
    assert [test.evidence.name for test in result.verdict.tests] == ["slots", "anytime"]
