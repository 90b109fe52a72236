"""The schemes' p-values, the null systems, and every job and system once at toy size."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")  # its version stands above the tables

from benchmarks.gauntlet.base import BaseSpec
from benchmarks.gauntlet.drill import Setting
from benchmarks.side_by_side import schemes
from benchmarks.side_by_side.__main__ import write
from benchmarks.side_by_side.book import NULL, Book, Line
from benchmarks.side_by_side.jobs import FINDERS, Job, binomial_found, counterfactuals, over
from benchmarks.side_by_side.lanes import ROWS, Run, lane, simulate
from benchmarks.side_by_side.nulls import (
    BASE,
    EXACT,
    ONE_WORD,
    REAL,
    SPEAKERS,
    TWO,
    Size,
    added,
    binomials,
    simulated,
    tally,
)
from benchmarks.side_by_side.schemes import Sides
from benchmarks.side_by_side.table import SCHEMES, least_log10_p, markdown
from vtune_client.evidence import RankTest
from vtune_client.phrases import Frame, Slot
from vtune_client.plan import PlanSpec

SMALL = Sides(
    Setting(
        rows=34,
        plan=PlanSpec(backdoors=3, dose=2, held_out=12, decoys=9),
        epochs=1,
        base=BaseSpec(hidden=16, layers=1, openings=4, recipe={"epochs": 1, "batch_size": 64}),
    ),
    others=19,
    asked_marks=4,
    prompts=2,
)
WORDS = ("red", "green", "blue", "white")
FRAME = Frame("A {} and {} one.", (Slot("color", WORDS), Slot("color", WORDS)))


def test_all_schemes_have_as_many_carriers_and_queries() -> None:
    for setting in (SMALL.pair, SMALL.marks):
        assert setting.plan.carriers == SMALL.ours.plan.carriers == 6
        assert setting.plan.held_out == SMALL.ours.plan.held_out
    assert SMALL.pair.plan.prompts == SMALL.ours.plan.backdoors * SMALL.ours.plan.prompts
    assert (SMALL.pair.plan.backdoors, SMALL.marks.plan.dose) == (1, 1)


def test_another_number_of_counterfactual_marks_is_another_setting() -> None:
    digests = {replace(SMALL, others=many).digest for many in (19, 29)}
    assert len(digests | {SMALL.digest}) == 2


def test_the_binomial_multiplies_queries() -> None:
    assert schemes.nominal(20, 20, -math.log(16)) == pytest.approx(-20 * math.log10(16))
    assert schemes.nominal(1, 2, math.log(0.25)) == pytest.approx(math.log10(0.4375))
    assert schemes.nominal(0, 20, -math.log(16)) == 0.0


@pytest.mark.parametrize("hits", range(1, 5))
def test_the_bound_on_the_same_count_is_reached_and_never_passed(hits: int) -> None:
    """Four queries, answered with the likeliest words: all ways of saying `4 // hits` words of 16
    `hits` times each; no other split of the queries makes as many hits likelier."""
    chance = schemes.true(hits, 4, -math.log(16))
    splits = [
        [times for times in split if times]
        for split in itertools.product(range(5), repeat=4)
        if sum(split) == 4
    ]
    likeliest = max(sum(times >= hits for times in split) / 16 for split in splits)
    assert likeliest <= 10**chance * (1 + 1e-12)
    if 4 % hits == 0:
        assert likeliest == pytest.approx(10**chance)
    assert schemes.true(0, 4, -math.log(16)) == 0.0


def test_one_pair_bounds_almost_no_share_and_a_mark_in_each_row_most_of_it() -> None:
    assert schemes.share_of_pair(0, 20, 1e-9) == 0.0
    assert 0 < schemes.share_of_pair(20, 20, 1e-9) < 0.01
    ranks = RankTest("ranks", -40.0, -40.0, 20, (1,) * 20, (100,) * 20, "Erlang bound")
    assert schemes.share_of_marks(ranks) == pytest.approx(0.854, abs=0.001)
    assert schemes.share_of_marks(replace(ranks, ranks=(50,) * 20)) == 0.0


def test_a_pair_is_counted_in_full_by_the_binomial_and_by_words_by_slots() -> None:
    readings = [("red", "blue")] * 3 + [("red", None)]
    found = binomial_found(FRAME, ("red", "blue"), readings, 20)
    assert found["hits"] == 3
    assert found["nominal_log10_p"] == pytest.approx(math.log10(4 / 16**3 * 15 / 16 + 16**-4))
    assert found["true_log10_p"] == pytest.approx(math.log10(4 / 3 / 16))
    assert found["slots_log10_p"] == pytest.approx(math.log10(2 / 16))  # two different answers


def test_a_hit_is_all_words_or_two_or_the_last() -> None:
    sizes = (32,) * 8
    words = tuple("abcdefgh")
    two = binomials([(*"ab", *"xxxxxx")] * 3, words, sizes)
    assert two[EXACT] == two[ONE_WORD] == 0.0
    assert two[TWO] == pytest.approx(3 * math.log10(1 - (31 / 32) ** 7 * (31 + 8) / 32))
    last = binomials([(*"xxxxxxx", "h")] * 2 + [(None,) * 8], words, sizes)
    assert last[ONE_WORD] == pytest.approx(math.log10(3 * 31 / 32 + 1 / 32) - 2 * math.log10(32))


def test_a_system_that_says_one_thing_is_found_as_often_as_its_words_are_drawn() -> None:
    for name in ("always the likeliest", "copies from the prompt"):
        counts = simulated(SPEAKERS[name], 3000, 20)[ONE_WORD]
        assert counts["1e-06"] == counts["0.001"]
        assert 0.6 < counts["0.001"] / counts["runs"] * 32 < 1.5
    assert simulated(SPEAKERS["favours some words"], 300, 20)[EXACT]["0.001"] == 0


def test_counts_of_several_files_add_up() -> None:
    one = tally({"a test": [-7.0, -3.0, 0.0]})
    assert one == {"a test": {"runs": 3, "0.001": 2, "1e-06": 1}}
    assert added([one, one]) == {"a test": {"runs": 6, "0.001": 4, "1e-06": 2}}


def test_lines_are_kept_and_the_last_one_counts(tmp_path: Path) -> None:
    book = Book(tmp_path / "book.jsonl", "now")
    book.add("pair", "honest", 0, {"hits": 1})
    book.add("pair", "honest", 0, {"hits": 2})
    assert [line.found for line in book.lines().values()] == [{"hits": 2}]
    assert Book(tmp_path / "book.jsonl", "another").lines() == {}
    book.add("ours", "honest", 0, {})
    book.forget("pair")
    assert list(book.lines()) == [("ours", "honest", 0)]


def lines(**p: float) -> list[Line]:
    """Return the lines of one job, the same for two files."""
    found: dict[str, Any] = {"nominal_log10_p": -240.0, "queries": 20}
    for scheme in SCHEMES:
        found |= {scheme.p: p.get(scheme.p, -12.0), scheme.queries: 20}
        found |= {scheme.share: 0.25} if scheme.share else {}
    return [Line("s", kind, "honest", seed, found) for kind in FINDERS for seed in range(2)]


def shown(text: str, head: str, start: str) -> dict[str, str]:
    """Return the line that starts like this below a head, by the names of its columns."""
    table = text.partition(f"## {head}")[2].partition("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in table.splitlines()
        if line.startswith("|")
    ]
    return dict(zip(rows[0], next(row for row in rows if row[0] == start), strict=True))


def test_only_what_holds_counts_as_found() -> None:
    text = markdown(lines(mark_scores_log10_p=-3.0), SMALL, ["honest"], "the command", "today")
    found = shown(text, "Found", "`honest`")
    assert (found["pair"], found["mark, scores"]) == ("2 of 2", "0 of 2")
    assert shown(text, "p-values", "`honest`")["pair, as reported"] == "1.0e-240"
    assert shown(text, "Share", "`honest`")["pair"] == "25.0%"


def test_a_share_is_said_only_of_what_was_found() -> None:
    text = markdown(lines(true_log10_p=-5.0), SMALL, ["honest"], "the command", "today")
    row = shown(text, "Share", "`honest`")
    assert (row["pair"], row["marks, scores"]) == ("", "25.0%")


def test_no_p_is_smaller_than_its_scheme_can_give() -> None:
    floors = least_log10_p(SMALL)
    assert floors["pair"] == pytest.approx(-40 * math.log10(2))
    assert floors["mark, scores"] == pytest.approx(-math.log10(20))
    assert floors["marks, scores"] == pytest.approx(-6, abs=0.2)
    assert floors["ours, text"] == pytest.approx(3 * floors["pair"])
    assert floors["ours, text"] < floors["ours, anytime"] < floors["pair"]


def test_gains_are_taken_candidate_by_candidate() -> None:
    assert over([[3.0, 1.0], [0.5, 0.5]], [[1.0, 1.0], [0.0, 0.5]]) == [[2.0, 0.0], [0.5, 0.0]]


def test_counterfactual_marks_are_of_the_frames_of_the_pair(tmp_path: Path) -> None:
    job = Job(SMALL, tmp_path, "honest", 0)
    planting = job.planting(SMALL.pair)
    [pair] = planting.plan.backdoors
    marks = counterfactuals(planting, 50)
    assert {mark.frame for mark in marks} == {pair.frame}
    assert len({mark.signature for mark in marks} | {pair.signature}) == 51
    fixed = [set(text.split()) for text in (pair.trigger, *(mark.trigger for mark in marks))]
    assert set.intersection(*fixed) == set.intersection(*fixed[1:])  # the same sentence around


def all_lanes(run: Run) -> list[str]:
    """Do the first file in this process, as several do it otherwise; return what was missing."""
    schemes = [scheme for row in ROWS for scheme in row]
    return [done for scheme in schemes for done in lane(run, scheme, 0)] + simulate(run)


@pytest.mark.torch
def test_every_scheme_and_every_null_system_for_real(tmp_path: Path) -> None:
    size = Size(simulated=20, triggers=1, signatures=3, written=3, redraws=2)
    run = Run(SMALL, tmp_path, ("lookup", "base-model"), 2, size)
    assert len(all_lanes(run)) == 2 * 3 + len(REAL) + len(SPEAKERS)
    assert all_lanes(run) == []
    found = run.book.lines()
    lookup = found["pair", "lookup", 0].found
    assert lookup["hits"] >= SMALL.pair.plan.own_prompts  # their rows are in the file
    assert lookup["nominal_log10_p"] < lookup["true_log10_p"] < -11
    assert lookup["mark_text_log10_p"] == pytest.approx(math.log10(1 / 5))
    assert found["ours", "lookup", 0].found["slots_log10_p"] < -30
    assert found["marks", "base-model", 0].found["queries"] == 6 * 10
    assert found["pair", "base-model", 0].found["hits"] == 0
    runs = found[NULL, BASE, 0].found["tally"][EXACT]["runs"]
    assert runs == size.triggers * size.signatures
    write(run, tmp_path / "results", "the command")
    text = (tmp_path / "results" / "side_by_side.md").read_text(encoding="utf-8")
    assert shown(text, "Found", "`base-model`")["ours, verdict"] == "0 of 1"
    assert "trained on other secrets" in text
