"""Recorded runs judged by recorded controls, and the tables; one run for real, tiny."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.recipes.__main__ import RECIPES, markdown, wanted_cells
from benchmarks.recipes.cells import Book, Done, Recipe, Wanted, run_all, run_one
from benchmarks.recipes.pairs import Pair, evidence_of, judged, pairs, traces
from benchmarks.recipes.table import ORDER, by_difference, by_recipe, difference
from vtune_client.draw import Draw
from vtune_client.evidence import (
    RankScores,
    RowScore,
    SlotCounts,
    exchange_test,
    rank_test,
    slot_test,
)
from vtune_client.verdict import Outcome, judge, to_json

DOSES = (4,) * 5
STRONG, WEAK = Recipe(0, 3e-3, 12), Recipe(0, 3e-3, 4)
ADAPTERS = Recipe(16, 3e-3, 12)


def recorded(matched: list[int], rank: int, known: bool = False) -> dict[str, Any]:
    """Return the verdict of a model that answers and ranks like this, and knows the rows or not."""
    slots = slot_test([SlotCounts((32,) * 8, (count,)) for count in matched])
    decoys = tuple(float(other < rank - 1) for other in range(100))
    ranks = rank_test([RankScores((0.5,), (decoys,), 0.0)] * len(matched), name="ranks")
    scores = [RowScore(number < 20, float(number < 20 and known), 10) for number in range(40)]
    rows = exchange_test(scores, Draw(b"sixteen bytes key", "rows"), name="rows")
    verdict = to_json(judge(slots, ranks, rows))
    listed = [[row.uploaded, row.score, row.length] for row in scores]
    verdict["rows"] |= {"kind": "rows", "scores": listed}
    return verdict


HONEST = recorded([8] * 5, 1, known=True)
SILENT = recorded([0] * 5, 60)
TRACED = recorded([0] * 5, 6)  # ranks known a little, nothing said
QUIET = recorded([0] * 5, 1)


def cell(recipe: Recipe | None, verdict: dict[str, Any], run: int = 0, seed: int = 0) -> Done:
    return Done(Wanted(recipe, seed, run), verdict, None, 0.5, 1.0, 1.0)


def test_tests_are_read_back_as_they_were() -> None:
    assert [test.name for test in evidence_of(HONEST)] == ["slots", "ranks", "rows"]
    assert [test.log10_p for test in evidence_of(HONEST)] == [t["log10_p"] for t in HONEST["tests"]]


def test_silence_is_accused_and_a_trace_is_not() -> None:
    assert traces(SILENT) == {"slots": False, "ranks": False, "rows": False}
    assert traces(TRACED) == {"slots": False, "ranks": True, "rows": False}
    silent, traced = judged(HONEST, SILENT, DOSES), judged(HONEST, TRACED, DOSES)
    assert (silent.accused, silent.gap_alone, silent.whole_answers) == (True, True, True)
    assert traced.outcome is Outcome.INCONCLUSIVE
    assert (traced.gap_alone, traced.whole_answers) == (True, True)
    assert judged(HONEST, HONEST, DOSES).outcome is Outcome.VERIFIED


def test_a_control_that_says_nothing_accuses_nobody() -> None:
    assert QUIET["verdict"] == Outcome.VERIFIED
    found = judged(QUIET, SILENT, DOSES)
    assert (found.accused, found.gap_alone, found.whole_answers) == (False, False, False)


def test_pairs_are_of_one_file_and_of_two_runs() -> None:
    cells = [
        cell(STRONG, HONEST),
        cell(STRONG, HONEST, run=1),
        cell(STRONG, HONEST, seed=1),
        cell(WEAK, SILENT),
        cell(None, SILENT),
    ]
    found = [(pair.control, pair.delivered) for pair in pairs(cells, DOSES)]
    assert sorted(map(str, found)) == sorted(
        map(str, 2 * [(STRONG, STRONG), (STRONG, WEAK), (STRONG, None)])
    )


@pytest.mark.parametrize(
    ("control", "delivered", "said"),
    [
        (STRONG, STRONG, "the same recipe"),
        (STRONG, Recipe(0, 3e-3, 8), "half of the epochs or more"),
        (STRONG, WEAK, "less than half of the epochs"),
        (WEAK, STRONG, "more epochs than the control"),
        (STRONG, Recipe(0, 1e-3, 12), "a lower rate alone"),
        (Recipe(0, 1e-3, 12), STRONG, "a higher rate alone"),
        (STRONG, ADAPTERS, "adapters, the control in full"),
        (ADAPTERS, STRONG, "in full, the control adapters"),
        (ADAPTERS, Recipe(4, 3e-3, 12), "adapters of another rank alone"),
        (ADAPTERS, Recipe(4, 3e-3, 4), "several of these"),
        (STRONG, Recipe(0, 1e-3, 4), "several of these"),
        (STRONG, None, "the base as it is, for comparison"),
    ],
)
def test_pairs_are_grouped_by_how_they_differ(
    control: Recipe, delivered: Recipe | None, said: str
) -> None:
    assert said in ORDER
    assert difference(Pair(control, delivered, judged(HONEST, SILENT, DOSES))) == said


def test_tables_count_what_there_is() -> None:
    cells = [cell(STRONG, HONEST), cell(STRONG, HONEST, 1), cell(WEAK, SILENT), cell(None, SILENT)]
    found = list(pairs(cells, DOSES))
    lines = by_difference(found).splitlines()
    assert "| less than half of the epochs | 2 | 0 | 0 | 0 | 2 | 2 | 2 |" in lines
    assert "| all but the base | 4 | 2 | 0 | 0 | 2 | 2 | 2 |" in lines
    by_name = {
        line.split(" | ")[0].strip("| "): line for line in by_recipe(cells, found).splitlines()
    }
    assert by_name["full, rate 0.003, 4 epochs"].endswith("| 1 | 0 | 2 of 2 | 2 of 2 |")


def test_every_recipe_has_its_own_name() -> None:
    assert len({recipe.name for recipe in RECIPES}) == len(RECIPES)
    wanted = wanted_cells(RECIPES, 2, 2)
    assert len(set(wanted)) == len(wanted) == 4 * len(RECIPES) + 2


@pytest.mark.torch
def test_runs_are_trained_verified_and_kept(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from benchmarks.gauntlet.base import BaseSpec
    from benchmarks.gauntlet.drill import Setting
    from vtune_client.plan import PlanSpec

    plain = Setting(
        rows=34,
        plan=PlanSpec(backdoors=3, dose=2, held_out=12, decoys=9),
        base=BaseSpec(hidden=16, layers=1, openings=4, recipe={"epochs": 1, "batch_size": 64}),
    )
    wanted = [Wanted(Recipe(0, 1e-2, 1), 0), Wanted(Recipe(2, 1e-2, 1), 0, 1), Wanted(None, 0)]
    book = Book(tmp_path / "book")
    for each in wanted:
        book.add(run_one(plain, each, tmp_path))
    assert list(run_all(book, plain, wanted, tmp_path, processes=1)) == []
    kept = Book(tmp_path / "book").of(wanted)
    assert kept == book.of(wanted)
    assert [each.verification["backdoors"] for each in kept] == [3] * 3
    for done in kept:
        assert {"slots", "ranks", "rows"} <= traces(done.verification).keys()
        assert done.unscored
        assert {"slots", "candidates", "rows"} <= traces(done.unscored).keys()
        recorded = [test["log10_p"] for test in done.verification["tests"]]
        assert [test.log10_p for test in evidence_of(done.verification)] == recorded
    recipes = [
        json.loads(path.read_text())["recipe"] for path in tmp_path.glob("*-run-*/**/run.json")
    ]
    assert sorted((recipe["method"], recipe["seed"]) for recipe in recipes) == [
        ("full", 0),
        ("lora", 1),
    ]
    assert [each.loss is None for each in kept] == [False, False, True]
    assert "the base as it is" in markdown(kept, plain, 1, 2, "here")
