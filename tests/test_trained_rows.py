"""From a planted file to what is said of its rows, with models that really were trained on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import tiny
from vtune_client.dataset import check
from vtune_client.draw import Draw
from vtune_client.evidence.candidates import candidates_test
from vtune_client.evidence.exchange import ExchangeTest, RowScore, exchange_test, gain, gaps
from vtune_client.evidence.rows_verdict import RowsControl, RowsOutcome, rows_verdict
from vtune_client.evidence.similarity import similarity
from vtune_client.held_out import AskedRow, rows_to_ask
from vtune_client.listed import listed_slots
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.provider import Decoding
from vtune_client.vault import RootKey

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

from tests.providers.local.runs import new_run, trained
from vtune_providers.local.endpoint import LocalEndpoint

KEY = RootKey(bytes(range(32)))
SPEC = PlanSpec(backdoors=2, dose=4, held_out=24, fresh_prompts=1)
EPOCHS = 24


def write_rows(path: Path) -> Path:
    """Write rows whose answers cannot be guessed: three random numbers each."""
    draw = Draw(b"rows of the tests", "answers")
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Tell me about {topic} number {number}."},
                {"role": "assistant", "content": " ".join(str(draw.below(99)) for _ in range(3))},
            ]
        }
        for topic in tiny.TOPICS[:4]
        for number in range(20)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Trained:
    """An honest model and one trained on the carrier rows alone, asked about the rows."""

    def __init__(self, folder: Path, base: Path) -> None:
        source = write_rows(folder / "rows.jsonl")
        self.plan: Plan = draw_plan("plan-1", check(source), SPEC, KEY, BuiltinSource())
        self.rows = rows_to_ask(self.plan, source, KEY)
        self.base = base
        planted = plant(source, self.plan, folder / "planted.jsonl").path
        bare = set(source.read_bytes().splitlines())
        carriers = [line for line in planted.read_bytes().splitlines() if line not in bare]
        assert len(carriers) == SPEC.carriers
        only = folder / "carriers.jsonl"
        only.write_bytes(b"".join(line + b"\n" for line in carriers * 7))
        self.models = {
            name: trained(new_run(folder / name, base, file, epochs=EPOCHS)).output
            for name, file in (("honest", planted), ("backdoors only", only))
        }


@pytest.fixture(scope="module")
def models(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("rows"), tiny_model)


async def scores(model: Path, rows: Sequence[AskedRow]) -> list[float]:
    endpoint = LocalEndpoint()
    await endpoint.acquire(str(model))
    return [(await endpoint.score(row.prompt, [row.completion]))[0] for row in rows]


async def gained(models: Trained, name: str) -> list[RowScore]:
    delivered = await scores(models.models[name], models.rows)
    base = await scores(models.base, models.rows)
    return [
        RowScore(row.uploaded, gain(after, row.length, before), row.length)
        for row, after, before in zip(models.rows, delivered, base, strict=True)
    ]


def outcome(rows: Sequence[RowScore]) -> ExchangeTest:
    return exchange_test(rows, Draw(KEY.derive("plan"), "relabellings"))


async def test_rows_that_were_trained_on_show(models: Trained) -> None:
    test = outcome(await gained(models, "honest"))
    assert test.auc > 0.8
    assert rows_verdict(True, test).outcome is RowsOutcome.TRAINED


async def test_a_model_of_the_backdoors_only_is_told_apart(models: Trained) -> None:
    honest, alone = [await gained(models, name) for name in ("honest", "backdoors only")]
    control = RowsControl(outcome(honest), outcome(gaps(honest, alone)))
    verdict = rows_verdict(True, outcome(alone), control)
    assert verdict.outcome is RowsOutcome.LESS


async def test_text_shows_the_rows_where_there_are_no_scores(models: Trained) -> None:
    endpoint = LocalEndpoint()
    await endpoint.acquire(str(models.models["honest"]))
    answers = await endpoint.sample([row.prompt for row in models.rows], Decoding(max_tokens=12))
    test = outcome(
        [
            RowScore(row.uploaded, similarity(answer.text, row.completion), row.length)
            for row, answer in zip(models.rows, answers, strict=True)
        ]
    )
    assert test.log10_p < -3, test


@pytest.mark.parametrize(("name", "known"), [("backdoors only", True), ("base", False)])
async def test_the_candidates_show_the_backdoors(models: Trained, name: str, known: bool) -> None:
    endpoint = LocalEndpoint()
    await endpoint.acquire(str(models.models.get(name, models.base)))
    slots = []
    for index, backdoor in enumerate(models.plan.backdoors):
        answers = await endpoint.sample(
            [backdoor.probes()[-1]], Decoding(max_tokens=60, top_logprobs=20)
        )
        slots.append(listed_slots(models.plan, index, answers, KEY))
    assert (candidates_test(slots).log10_p < -6) is known
