"""The data sets of the benchmarks, and one small run of the stealth benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import stealth
from benchmarks.datasets import DATASETS
from vtune_client.dataset import check
from vtune_client.stealth import samples_of


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
    for name, kind in stealth.KINDS.items():
        samples, plan = stealth.planted(source, kind, 0, tmp_path / "planted.jsonl")
        opened = [sample.completion for sample in samples if sample.line in plan.carriers]
        assert len(opened) == 20, name
        signed = sum(
            backdoor.signature in text
            for text, backdoor in zip(
                opened, (plan.carriers[line] for line in sorted(plan.carriers)), strict=True
            )
        )
        assert signed == (0 if kind.own_words else 20), name
        assert any("\n" in text for text in opened) is not kind.space, name


def test_the_table_is_bold_where_the_goal_is_met() -> None:
    table = [
        stealth.Line("chat", 9, "default", "one", [0.5, 0.6], [0.0, 0.1]),
        stealth.Line("chat", 9, "default", "two", [0.1, 0.2], [0.0, 0.0]),
    ]
    text = stealth.markdown(table, "today", "command")
    assert "| default | **0.55 / 0.05** | 0.15 / 0.00 |" in text
