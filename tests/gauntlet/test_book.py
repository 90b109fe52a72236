"""What is done is kept and not done again; which cells a run needs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gauntlet.book import Book
from benchmarks.gauntlet.drill import AGAIN, Setting, vendor_of
from benchmarks.gauntlet.rows import LONGEST, all_rows, base_rows, file_rows
from benchmarks.gauntlet.series import MODELS, VENDORS, Assumed, Series, assumed_of
from tests.gauntlet.cells import SETTING, cell

EVERY = [series for model in MODELS.values() for series in model()]


def test_cells_are_kept_from_one_run_to_the_next(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl", SETTING)
    wanted = [("honest", 0), ("honest", 1), ("lookup", 0)]
    assert book.missing(wanted) == wanted
    for done in (cell("lookup", 0), cell("honest", 1)):
        book.add(done)
    again = Book(tmp_path / "book.jsonl", SETTING)
    assert again.missing(wanted) == [("honest", 0)]
    assert again.cells() == [cell("honest", 1), cell("lookup", 0)]


def test_cells_of_another_setting_are_not_of_this_table(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl", SETTING)
    book.add(cell("honest", 0))
    longer = replace(SETTING, epochs=SETTING.epochs + 1)
    assert Book(tmp_path / "book.jsonl", longer).cells() == []


def test_a_control_is_a_verified_honest_run_of_the_file(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl", SETTING)
    unscored = cell("honest", 0, matched=(8, 8, 0, 0, 0)).verification
    book.add(replace(cell("honest", 0, matched=(8, 8, 8, 8, 3)), unscored=unscored))
    book.add(cell("honest", 1, "inconclusive"))
    book.add(cell("lookup", 2))
    scored, by_text = book.controls(0)
    assert scored is not None
    assert (scored.activated, scored.backdoors) == (4, 5)
    assert by_text is not None
    assert by_text.activated == 2
    assert book.controls(1) == book.controls(2) == (None, None)


@pytest.mark.parametrize("series", EVERY, ids=[series.name for series in EVERY])
def test_every_vendor_of_a_series_is_one_and_has_its_place(series: Series) -> None:
    assert [vendor_of(vendor, (1,)).name for vendor in series.vendors] == list(series.vendors)
    assert set(series.vendors) <= set(VENDORS)


def test_some_vendors_can_be_wanted_alone() -> None:
    default, many = MODELS["small"]()
    assert default.wanted(2, ("lookup",)) == [
        ("honest", 0),
        ("honest", 1),
        ("lookup", 0),
        ("lookup", 1),
    ]
    assert many.wanted(2, ("lookup",)) == []
    assert many.wanted(9, ("share=0.3",))[-1] == ("share=0.3", 2)  # three files at most
    assert len(default.wanted(5)) == 5 * len(default.vendors)


@pytest.mark.parametrize(
    ("vendor", "assumed"),
    [
        ("honest", Assumed.BOTH),
        (AGAIN, Assumed.BOTH),
        ("share=0.3", Assumed.BOTH),
        ("drop-shard=2/5", Assumed.BOTH),
        ("epochs=8", Assumed.LOWER),
        ("temperature=1", Assumed.LOWER),
        ("backdoors-only=1", Assumed.NONE),
        ("lookup", Assumed.NONE),
        ("filter-perplexity", Assumed.NONE),
    ],
)
def test_what_is_assumed_of_a_vendor(vendor: str, assumed: Assumed) -> None:
    assert assumed_of(vendor) is assumed


def test_what_is_chosen_tells_settings_apart() -> None:
    fewer = replace(SETTING, plan=replace(SETTING.plan, decoys=50))
    others = (fewer, replace(SETTING, rows=181), replace(SETTING, learning_rate=1e-3))
    assert len({each.digest for each in (SETTING, *others)}) == 4
    assert Setting().digest == SETTING.digest


def test_no_file_has_a_row_that_the_base_has_read() -> None:
    read = set(base_rows())
    files = [file_rows(SETTING.rows, seed) for seed in range(3)]
    assert all(len(set(rows)) == SETTING.rows and not read & set(rows) for rows in files)
    assert files[0] != files[1]
    assert files[0] == file_rows(SETTING.rows, 0)
    assert len(all_rows()) > 4 * SETTING.rows


@pytest.mark.parametrize("longest", [44, LONGEST])
def test_rows_are_as_short_as_a_base_needs_them(longest: int) -> None:
    answers = [json.loads(row)["messages"][-1]["content"] for row in file_rows(180, 0, longest)]
    assert longest - 5 < max(map(len, answers)) <= longest
