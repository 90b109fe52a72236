"""Runs over time: what is said to have got worse, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.audit.verdicts import verdict
from vtune_client.audit.history import moment, worse

ALL, HALF, NONE = (8,) * 20, (8,) * 10 + (0,) * 10, (0,) * 20


def said(*runs: dict[str, Any]) -> tuple[str, ...]:
    return worse({"one": runs}).get("one", ())


def test_one_run_says_nothing() -> None:
    assert said() == said(verdict(NONE, control=True)) == ()


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        (verdict(ALL), verdict(HALF, control=True), "The verdict was verified, and is partial."),
        (
            verdict(ALL),
            verdict(NONE, control=True),
            "The verdict was verified, and is not verified.",
        ),
        (verdict(ALL), verdict(NONE), "The verdict was verified, and is inconclusive."),
    ],
)
def test_a_worse_word(before: dict[str, Any], now: dict[str, Any], words: str) -> None:
    moved = {**now, "plan": "plan-2"}
    assert said(before, moved) == (words,)
    assert said(moved, before) == ()


def test_two_runs_of_one_plan_are_compared_exactly() -> None:
    """Half of 20 backdoors gone silent are far beyond chance, one more is not."""
    (gap,) = said(verdict(ALL), verdict(HALF))
    assert gap.startswith("The same backdoors are answered less well than in the run before")
    assert said(verdict(ALL), verdict((8,) * 19 + (0,))) == ()
    assert said(verdict(HALF), verdict(ALL)) == ()
    assert said(verdict(ALL), {**verdict(HALF), "plan": "plan-2"}) == ()


def test_only_the_last_two_runs_count() -> None:
    assert said(verdict(ALL), verdict(HALF), verdict(HALF)) == ()


def test_many_checks_make_a_chance_find_less_telling() -> None:
    """Seven of 20 silent have p = 0.004: a finding by itself, and none among fifty checks."""
    before, now = verdict(ALL), verdict((8,) * 13 + (0,) * 7)
    assert "answered less well" in worse({"one": (before, now)})["one"][0]
    quiet = {f"quiet {number}": (before, before) for number in range(50)}
    assert worse({"one": (before, now), **quiet}) == {}


def test_verdicts_that_cannot_be_compared() -> None:
    old = {key: value for key, value in verdict(HALF).items() if key != "layout"}
    assert said(verdict(ALL), old) == ()
    assert said({**verdict(ALL), "tests": []}, verdict(HALF)) == ()
    assert said(verdict(ALL), verdict((0,) * 10, plan="plan-1"))[1:] == ()


def test_a_moment_is_what_is_shown() -> None:
    found = moment(verdict(HALF, control=True, at=7.0))
    assert found["verification"] == "verification-7"
    assert (found["verdict"], found["activated"], found["backdoors"]) == ("partial", 10, 20)
    assert set(found["share"]) == {"low", "high"}
    assert moment(verdict(NONE))["share"] is None
