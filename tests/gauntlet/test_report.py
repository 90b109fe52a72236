"""Cells become tables, sentences and pictures; what a verdict does not hold is a blank."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from benchmarks.gauntlet import plots
from benchmarks.gauntlet.drill import AGAIN
from benchmarks.gauntlet.report import Run, page, pages, reading, run_of
from benchmarks.gauntlet.series import Series
from benchmarks.gauntlet.table import (
    COLUMNS,
    SHARES,
    TESTS,
    UNSCORED,
    comma_separated,
    markdown,
)
from tests.gauntlet.cells import SETTING, cell, ranked, told

pytest.importorskip("torch")  # its version stands above the tables

SERIES = Series("default", "The default plan", SETTING, ("honest", "lookup"))


def lines_of(table: str) -> list[dict[str, str]]:
    heads, _, *lines = ([c.strip() for c in ln.split("|")[1:-1]] for ln in table.splitlines())
    return [dict(zip(heads, line, strict=True)) for line in lines]


def test_a_line_of_the_table_is_a_vendor() -> None:
    cells = [
        cell("honest", 0),
        cell("honest", 1, matched=(8, 8, 8, 8, 3)),
        cell("lookup", 0, "not verified"),
    ]
    honest, lookup = lines_of(markdown(cells, TESTS))
    assert honest == {"vendor": "`honest`", "verdict": "verified", "slots": "13.0"}
    assert lookup["verdict"] == "not verified"
    shares = lines_of(markdown([replace(each, bounds=(0.104, 1.0)) for each in cells], SHARES))[0]
    assert (shares["activated"], shares["words"]) == ("4 .. 5", "35 .. 40")
    ends = (shares["at least"], shares["at most"])
    assert (*ends, shares["trained on"]) == ("10 %", "100 %", "50 %")
    assert shares["stated"] == "2 of 2"
    assert (shares["queries"], shares["stopping early"]) == ("1030", "1")
    mixed = [cell("honest", 0), cell("honest", 1), cell("honest", 2, "inconclusive")]
    assert lines_of(markdown(mixed, TESTS))[0]["verdict"] == "verified (2), inconclusive (1)"


def test_what_some_verdicts_hold_has_a_column() -> None:
    rows = {"name": "rows over the base", "log10_p": -4.26}
    full = ranked(cell("honest", 0), (1,) * 5)
    full = told(
        full,
        tests=[*full.verification["tests"], rows],
        rows={"outcome": "trained on the rows"},
        anytime={"log10_e": 56.9, "log10_p": -56.9, "planned": 20},
        signs=["The answers give the signatures."],
        control={"p": 0.004},
        shards={"dropped": [1, 3]},
    )
    shown, other = lines_of(markdown([full, cell("lookup", 0)], TESTS))
    assert (shown["rows"], shown["ranks"], shown["its rows"]) == ("4.2", "3.0", "trained")
    assert (shown["anytime"], shown["signs"], shown["control: p"]) == ("56.9", "1 of 1", "0.004")
    assert shown["dropped shards"] == "2 and 4"
    assert {other[head] for head in ("rows", "ranks", "anytime", "signs", "control: p")} == {""}


def test_verdicts_without_scores_have_a_table_of_their_own() -> None:
    found = cell("honest", 0)
    test = {"name": "candidates", "log10_p": -20.5}
    both = replace(found, unscored={"verdict": "verified", "tests": [test], "control": None})
    [shown] = lines_of(markdown([both], UNSCORED))
    assert shown == {"vendor": "`honest`", "verdict": "verified", "candidates": "20.5"}
    assert lines_of(markdown([found], UNSCORED)) == [{"vendor": "`honest`"}]


def test_a_line_of_the_csv_is_a_cell() -> None:
    made = comma_separated({"default": [cell("honest", 0)], "many": [cell("drop-shard=2/4", 1)]})
    rows = list(csv.DictReader(io.StringIO(made)))
    assert [(row["series"], row["vendor"], row["seed"]) for row in rows] == [
        ("default", "honest", "0"),
        ("many", "drop-shard=2/4", "1"),
    ]
    assert float(rows[0]["slots: log10 p"]) == -13.0
    assert len({column.name for column in COLUMNS}) == len(COLUMNS)


def test_the_page_says_what_its_cells_say() -> None:
    looked = told(ranked(cell("lookup", 0), (50,) * 5), signs=["Ask how the model is served."])
    only = told(cell("backdoors-only=1", 0), rows={"outcome": "nothing follows"})
    cells = [
        cell("honest", 0),
        cell(AGAIN, 0),
        replace(cell("share=0.5", 0, "partial"), bounds=(0.2, 0.8)),
        cell("share=0.5", 1, "inconclusive", ends=None),
        cell("base-model", 0, "not verified", ends=None),
        looked,
        only,
    ]
    said = "\n".join(reading(Run(SERIES, cells, ())))
    assert "on some files for `share=0.5` (1 of 2); on none for `base-model`" in said
    assert "a second honest run, with the first as its control, is verified (1)" in said
    assert "passes on 1 of 1 files by its text, while its ranks say nothing" in said
    assert "a sign of it is raised on 1" in said
    assert "of the rows of `backdoors-only=1` it is said: nothing follows (1)" in said
    assert "bounded below 1 for `share=0.5` 1 of 2; never for an honest run" in said
    shown = page("gauntlet", [Run(SERIES, cells, ())], "the command", "today")
    assert "`the command`, today" in shown
    assert "2 files" in shown
    assert "## How often the 95 % interval holds the true share" in shown


def test_the_files_of_a_report_are_linked_and_the_same_every_time() -> None:
    pytest.importorskip("matplotlib")
    cells = [ranked(cell("honest", 0, trained=1.0), (1,) * 5), cell("lookup", 0)]
    run = run_of(SERIES, cells)
    made = pages("gauntlet", [run], "the command", "today")
    assert made == pages("gauntlet", [run], "the command", "today")
    pictures = [name for name in made if name.endswith(".svg")]
    assert len(pictures) == 2
    assert all(f"]({name})" in made["gauntlet.md"].decode() for name in pictures)
    record = json.loads(made["gauntlet.json"])
    [one, other] = record["series"][0]["cells"]
    assert (one["vendor"], other["verdict"]) == ("honest", "verified")
    assert record["coverage"]["cells"][0]["cells"] == 1


def test_pictures_are_of_what_there_is() -> None:
    pytest.importorskip("matplotlib")
    bare = cell("base-model", 0, "not verified", ends=None)
    with_ranks = ranked(replace(bare, vendor="honest"), (1,) * 5)
    drawn = plots.evidence([with_ranks, bare], 1e-6, "A title")
    assert drawn.startswith(b"<?xml")
    assert b"<dc:date>" not in drawn
    assert drawn != plots.evidence([bare], 1e-6, "A title")
    stated = cell("base-model", 0)
    panels = [("A title", [replace(each, bounds=(0.1, 0.9))]) for each in (bare, stated)]
    pale, full = (plots.shares([panel]) for panel in panels)
    assert pale.startswith(b"<?xml")
    assert pale != full
