"""Bounds on the share used where carriers were dealt over some of the rows alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.test_plan import draw
from tests.written import plain, write
from vtune_client.amount import Layout, share
from vtune_client.evidence import SlotCounts, slot_test
from vtune_client.foresight import foresight
from vtune_client.plan import PlanSpec

ANSWERS = slot_test([SlotCounts((32,) * 8, (8,))] * 20)
LAYOUT = Layout((1,) * 20, (None,) * 20)


def test_of_the_rows_that_could_not_be_chosen_nothing_is_said() -> None:
    whole = share(ANSWERS, None, LAYOUT, None, 0.95)
    part = share(ANSWERS, None, replace(LAYOUT, eligible=0.75), None, 0.95)
    assert whole.low > 0.8
    assert part.low == pytest.approx(0.75 * whole.low)
    assert (part.high, part.confidence) == (1.0, 0.95)
    assert part.reasoning.startswith(whole.reasoning)
    assert "75.0% of the rows that could carry" in part.reasoning


def test_a_plan_says_over_which_rows_its_carriers_were_dealt(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain)
    assert Layout.of(draw(path)).eligible == 1.0
    plan = replace(draw(path, PlanSpec(choose_rows=True)), eligible=0.8)
    assert Layout.of(plan).eligible == 0.8
    assert any("80.0% of the rows" in sentence for sentence in foresight(plan))
    assert not any("Carriers stand in" in sentence for sentence in foresight(draw(path)))
