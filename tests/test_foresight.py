"""What is said of a plan before anything is uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.written import plain, write
from vtune_client.dataset import check
from vtune_client.foresight import foresight
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import PlanSpec, draw_plan
from vtune_client.vault import RootKey


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write(tmp_path / "rows.jsonl", plain, rows=200)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (PlanSpec(), "No rows are withheld"),
        (PlanSpec(), "at least 18 % of the rows"),
        (PlanSpec(), "Even with a control"),
        (PlanSpec(backdoors=20, dose=1, own_prompts=0), "uses 43 % of the rows or less"),
        (PlanSpec(held_out=60, fresh_prompts=1), "55 of them are left to show"),
        (PlanSpec(held_out=10, fresh_prompts=1), "8 of them are left to hint at"),
        (PlanSpec(held_out=3, fresh_prompts=3), "none is left"),
    ],
)
def test_a_plan_says_what_it_will_tell(source: Path, spec: PlanSpec, words: str) -> None:
    key = RootKey(bytes(range(32)))
    plan = draw_plan("plan-1", check(source), spec, key, BuiltinSource())
    assert words in " ".join(foresight(plan))
