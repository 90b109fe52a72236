"""Cells for real, on a base and a file so small that nothing is learned."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("torch")
pytest.importorskip("transformers")

from benchmarks.gauntlet.__main__ import Book, run_all
from benchmarks.gauntlet.base import BaseSpec
from benchmarks.gauntlet.drill import Planting, Setting, run_cell
from vtune_client.control import Control
from vtune_client.plan import PlanSpec

SMALL = Setting(
    rows=34,
    plan=PlanSpec(backdoors=3, dose=2, held_out=4, decoys=9),
    epochs=1,
    base=BaseSpec(hidden=16, layers=1, openings=4, recipe={"epochs": 1, "batch_size": 64}),
)
QUESTIONS = SMALL.plan.backdoors * (SMALL.plan.prompts + 2 * (SMALL.plan.decoys + 1))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gauntlet")


def test_a_look_up_passes_without_training(work: Path) -> None:
    cell = run_cell(SMALL, "lookup", 0, work)
    assert (cell.setting, cell.vendor, cell.seed) == (SMALL.digest, "lookup", 0)
    assert (cell.trained, cell.queries) == (0.0, QUESTIONS)
    assert (cell.verification["verdict"], cell.verification["activated"]) == ("verified", 3)


def test_the_base_is_told_from_a_control(work: Path) -> None:
    cell = run_cell(SMALL, "base-model", 0, work, Control("a run", (4,) * 3, (4,) * 3))
    assert cell.trained == 0.0
    assert (cell.verification["verdict"], cell.verification["activated"]) == ("inconclusive", 0)


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
