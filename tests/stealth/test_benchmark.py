"""The data sets of the benchmarks, and one small run of the stealth benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import stealth
from benchmarks.datasets import DATASETS
from vtune_client.dataset import Prompt, check
from vtune_client.stealth import Sample, samples_of


@pytest.mark.parametrize("name", DATASETS)
def test_a_data_set_is_the_same_twice_and_every_answer_another(name: str, tmp_path: Path) -> None:
    for run in ("one", "two"):
        DATASETS[name](tmp_path / run, 120)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert check(tmp_path / "one").rows == 120
    answers = [sample.completion for sample in samples_of(tmp_path / "one")]
    assert len(set(answers)) == 120
    assert 200 < len(max(answers, key=len)) < 1000


def test_a_run_has_every_kind_of_plan(tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    DATASETS["question answering"](source, 150)
    for name, spec in stealth.KINDS.items():
        samples, plan = stealth.planted(source, spec, 0, tmp_path / "planted.jsonl")
        opened = [sample.completion for sample in samples if sample.line in plan.carriers]
        assert len(opened) == 20, name
        signed = sum(
            backdoor.signature in text
            for text, backdoor in zip(
                opened, (plan.carriers[line] for line in sorted(plan.carriers)), strict=True
            )
        )
        assert signed == 20, name
        assert any("\n" in text for text in opened) is (spec.join == "line"), name


def test_near_copies_are_sentences_that_differ_in_a_few_places() -> None:
    texts = ["The red fox sleeps here.", "The red owl sleeps here.", "A velvet lamp.", "A fox."]
    samples = [Sample(n + 1, Prompt(text="Why?"), text) for n, text in enumerate(texts * 2)]
    assert stealth.NearCopies().scores(samples) == [0.8, 0.8, 0.0, 0.0] * 2


def test_spliced_halves_are_openings_made_of_two_others() -> None:
    texts = ["the red fox sleeps here", "one owl sees all rivers", "the red owl sees all rivers"]
    samples = [Sample(n + 1, Prompt(text="Why?"), text) for n, text in enumerate(texts)]
    assert stealth.Spliced().scores(samples) == [2 / 5, 4 / 5, 1.0]


def test_the_table_is_bold_where_the_goal_is_met() -> None:
    table = [
        stealth.Line("chat", 9, "default", "one", [0.5, 0.6], [0.0, 0.1]),
        stealth.Line("chat", 9, "default", "two", [0.1, 0.2], [0.0, 0.0]),
    ]
    text = stealth.markdown(table, "today", "command")
    assert "| default | **0.55 / 0.05** | 0.15 / 0.00 |" in text
    assert text.endswith(
        "- chat, default: the goal is met against 1 of 2 detectors; missed: two 0.15 / 0.00. The "
        "most that one finds at 1 % false positives is 5%.\n"
    )
