"""What is done is kept and not done again; cells become tables."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.gauntlet.__main__ import VENDORS, Book
from benchmarks.gauntlet.drill import Cell, Setting
from benchmarks.gauntlet.rows import all_rows, base_rows, file_rows
from benchmarks.gauntlet.table import COLUMNS, as_json, comma_separated, markdown
from vtune_client.control import Control
from vtune_client.serve.vendor import parse_vendor

pytest.importorskip("torch")  # its version stands above the table

SETTING = Setting()


def cell(vendor: str, seed: int, verdict: str = "verified", activated: int = 5) -> Cell:
    verification: dict[str, Any] = {
        "verdict": verdict,
        "log10_p": -12.5,
        "activated": activated,
        "backdoors": 5,
        "slots_matched": 8 * activated,
        "tests": [
            {
                "name": "slots",
                "log10_p": -13.0,
                "slot_sizes": [[32] * 8] * 5,
                "matched": [8] * activated + [0] * (5 - activated),
            }
        ],
        "share": {"low": 0.104} if verdict == "verified" else None,
        "control": None,
    }
    return Cell(SETTING.digest, vendor, seed, 0.5, 1030, 9.5, 2.0, verification)


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
    book.add(cell("honest", 0, activated=4))
    book.add(cell("honest", 1, "inconclusive"))
    book.add(cell("lookup", 2))
    assert book.control(0) == Control("the honest run of this file", (8,) * 5, (8, 8, 8, 8, 0))
    assert (book.control(1), book.control(2)) == (None, None)


def test_a_line_of_the_table_is_a_vendor() -> None:
    cells = [cell("honest", 0), cell("honest", 1, activated=4), cell("lookup", 0, "not verified")]
    lines = markdown(cells, SETTING, "the command", "today").splitlines()
    heads, _, honest, lookup = ([c.strip() for c in ln.split("|")[1:-1]] for ln in lines[-4:])
    assert heads == ["vendor", "seeds", *(column.head or column.name for column in COLUMNS)]
    shown = dict(zip(heads, honest, strict=True))
    assert (shown["vendor"], shown["seeds"], shown["verdict"]) == ("`honest`", "2", "verified")
    assert (shown["activated"], shown["share at least"]) == ("4 .. 5", "0.10")
    assert shown["ranks: p"] == ""
    assert dict(zip(heads, lookup, strict=True))["verdict"] == "not verified"
    mixed = [cell("honest", 0), cell("honest", 1), cell("honest", 2, "inconclusive")]
    assert "| verified (2), inconclusive (1) |" in markdown(mixed, SETTING, "c", "today")


def test_a_line_of_the_csv_is_a_cell() -> None:
    cells = [cell("honest", 0), cell("drop-shard=2/5", 1)]
    rows = list(csv.DictReader(io.StringIO(comma_separated(cells))))
    assert [(row["vendor"], row["seed"]) for row in rows] == [
        ("honest", "0"),
        ("drop-shard=2/5", "1"),
    ]
    assert float(rows[0]["slots: log10 p"]) == -13.0
    [one, other] = json.loads(as_json(cells, SETTING, "the command", "today"))["cells"]
    assert (one["vendor"], other["verdict"]) == ("honest", "verified")


def test_every_vendor_of_the_gauntlet_is_one() -> None:
    assert [parse_vendor(vendor, (1,)).name for vendor in VENDORS] == list(VENDORS)


def test_no_file_has_a_row_that_the_base_has_read() -> None:
    read = set(base_rows())
    files = [file_rows(SETTING.rows, seed) for seed in range(3)]
    assert all(len(set(rows)) == SETTING.rows and not read & set(rows) for rows in files)
    assert files[0] != files[1]
    assert files[0] == file_rows(SETTING.rows, 0)
    assert len(all_rows()) > 4 * SETTING.rows
