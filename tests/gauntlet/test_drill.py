"""Cells for real, on a base and a file so small that nothing is learned."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.gauntlet.__main__ import share_base
from benchmarks.gauntlet.base import BaseSpec, Published
from benchmarks.gauntlet.book import Book, run_all
from benchmarks.gauntlet.drill import AGAIN, Planting, Setting, asked_if_stopping, run_cell
from benchmarks.gauntlet.series import MODELS, Series
from vtune_client.control import Control
from vtune_client.evidence import Stakes, replay
from vtune_client.plan import PlanSpec

TINY = BaseSpec(hidden=16, layers=1, openings=4, recipe={"epochs": 1, "batch_size": 64})
SMALL = Setting(
    rows=38,
    plan=PlanSpec(backdoors=3, dose=2, held_out=8, fresh_prompts=1, decoys=9),
    epochs=1,
    base=TINY,
)
QUESTIONS = SMALL.plan.backdoors * (SMALL.plan.prompts + 2 * (SMALL.plan.decoys + 1))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gauntlet")


def test_a_look_up_passes_without_training(work: Path, tmp_path: Path) -> None:
    cell = run_cell(SMALL, "lookup", 0, work)
    assert (cell.setting, cell.vendor, cell.seed) == (SMALL.digest, "lookup", 0)
    planted = Planting(SMALL, tmp_path, 0)
    rows = planted.rows_to_ask()
    assert (cell.trained, cell.queries) == (0.0, QUESTIONS + 2 * len(rows))
    assert (cell.verification["verdict"], cell.verification["activated"]) == ("verified", 3)
    assert (cell.used, cell.early) == ([0, 0, 0], 1)


def test_the_base_is_compared_with_a_control(work: Path) -> None:
    control = Control("a run", slots=(8,) * 3, matched=(8,) * 3)
    cell = run_cell(SMALL, "base-model", 0, work, (control, None), both=True)
    assert cell.trained == 0.0
    assert (cell.verification["verdict"], cell.verification["activated"]) == ("inconclusive", 0)
    # Three backdoors against three: the least p there is, and too few to say more.
    assert cell.verification["control"]["p"] == pytest.approx(1 / 20)
    assert cell.unscored is not None
    names = [test["name"] for test in cell.unscored["tests"]]
    assert sorted(names) == ["anytime", "candidates", "rows by text", "slots"]


@pytest.mark.parametrize(
    ("vendor", "trained"),
    [
        ("share=0.5", 15 / 30),
        ("drop-shard=2/5", 24 / 30),
        ("backdoors-only=2", 6 / 30),
        ("other-data", 0),
    ],
)
def test_what_was_trained_on_is_counted(work: Path, vendor: str, trained: float) -> None:
    cell = run_cell(SMALL, vendor, 0, work)
    assert cell.trained == pytest.approx(trained)
    assert cell.verification["slots_matched"] < 12


def test_a_vendor_that_goes_on_trains_twice_and_only_once(work: Path) -> None:
    run_cell(SMALL, "further-tuning", 0, work)
    runs = sorted((work / "seed-0" / "further-tuning").glob("*/output/model.safetensors"))
    assert [path.parts[-3] for path in runs] == ["again", "run"]
    before = [path.stat().st_mtime_ns for path in runs]
    assert run_cell(SMALL, "further-tuning", 0, work).trained == 1.0
    assert [path.stat().st_mtime_ns for path in runs] == before
    assert runs[0].read_bytes() != runs[1].read_bytes()


def test_a_second_honest_run_is_another_training_on_the_same_file(work: Path) -> None:
    for vendor in ("honest", AGAIN):
        cell = run_cell(SMALL, vendor, 0, work)
        assert (cell.vendor, cell.trained, cell.used) == (vendor, 1.0, [2, 2, 2])
    one, other = (
        work / "seed-0" / vendor / "run" / "output" / "model.safetensors"
        for vendor in ("honest", AGAIN)
    )
    assert one.read_bytes() != other.read_bytes()


def test_stopping_early_counts_answers_and_no_ranks() -> None:
    full, none = (True,) * 8, (None,) * 8
    stakes = [Stakes((32,) * 8, prompts=2, decoys=9)] * 2
    assert asked_if_stopping(replay(stakes, [none, full, none, none, 1, 1]).outcome(), 1e-6) == 2
    assert asked_if_stopping(replay(stakes, [none, none, none, none]).outcome(), 1e-6) == 4


def test_settings_of_one_base_share_what_was_made_for_it(work: Path, tmp_path: Path) -> None:
    first = Series("one", "One", SMALL, ("honest",))
    wider = replace(SMALL, base=replace(TINY, hidden=24))
    others = [replace(first, setting=replace(SMALL, rows=39)), replace(first, setting=wider)]
    works = [work, tmp_path / "same", tmp_path / "wider"]
    for folder in works[1:]:
        folder.mkdir()
    share_base([first, *others], works)
    assert (tmp_path / "same" / "base").samefile(work / "base")
    assert not (tmp_path / "wider" / "base").exists()


def test_the_embedded_model_is_trained_as_in_the_demo() -> None:
    from vtune_providers.local import bases
    from vtune_providers.local.recipe import recipe_for

    [series] = MODELS["smollm2"]()
    assert isinstance(series.setting.base, Published)
    assert bases.is_embedded(series.setting.base.name)
    recipe = recipe_for(series.setting.spec(Path("the embedded model")))
    assert recipe.model_dump().items() >= bases.EMBEDDED_RECIPE.items()
    assert recipe.method == "lora"


def test_a_plan_that_withholds_nothing_asks_about_no_rows(work: Path) -> None:
    bare = replace(SMALL, plan=replace(SMALL.plan, held_out=0))
    cell = run_cell(bare, "base-model", 1, work)
    assert (cell.queries, cell.unscored) == (QUESTIONS, None)


def test_a_seed_is_a_file_and_a_plan(tmp_path: Path) -> None:
    one, same, other = (Planting(SMALL, tmp_path, seed) for seed in (0, 0, 1))
    assert one.plan == same.plan
    assert one.plan.backdoors[0].words != other.plan.backdoors[0].words
    assert one.plan.source_sha256 != other.plan.source_sha256


def test_missing_cells_are_run_and_no_others(work: Path, tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl", SMALL)
    book.add(run_cell(SMALL, "lookup", 0, work))
    wanted = [("lookup", 0), ("base-model", 0)]
    [cell] = run_all(book, SMALL, wanted, work, processes=1)
    assert cell.vendor == "base-model"
    assert list(run_all(book, SMALL, wanted, work, processes=1)) == []
