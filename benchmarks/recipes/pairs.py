"""A recorded run judged against a recorded control: by the rule there is, and by two others.

The rule accuses where the delivered model answers measurably less than the control and no test
finds a trace of the file in it. One without the second half, and one that compares whole answers
alone, whatever traces there are, show what that half is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from benchmarks.recipes.cells import Done, Recipe
from vtune_client.amount import Layout
from vtune_client.control import Control, control_of
from vtune_client.draw import Draw
from vtune_client.evidence import (
    AnytimeTest,
    DoseCount,
    ExchangeTest,
    RankTest,
    RowsControl,
    RowScore,
    SlotTest,
    Stakes,
    dose_gap,
    exchange_test,
    gaps,
    holm,
    run_gap,
)
from vtune_client.verdict import Outcome, judge

ALPHA = 1e-6
GAP_ALPHA = TRACE = 0.01
Verdict = Mapping[str, Any]  # the versioned JSON verdict
Evidence = SlotTest | RankTest | ExchangeTest | AnytimeTest


@dataclass(frozen=True)
class Accused:
    """What each rule says of one delivered run, given one control."""

    outcome: Outcome
    whole_answers: bool  # fewer whole answers, and not verified by slots or ranks
    gap_alone: bool  # fewer words, and not verified

    @property
    def accused(self) -> bool:
        return self.outcome is Outcome.NOT_VERIFIED


@dataclass(frozen=True)
class Pair:
    """A control and a delivered run of the same file, never the same run."""

    control: Recipe
    delivered: Recipe | None
    found: Accused


def pairs(cells: Sequence[Done], doses: Sequence[int], *, scored: bool = True) -> Iterator[Pair]:
    """Yield every delivered run against every verified control of its file; the base, too.

    `scored`: as a service that offers scores answered, else as one that does not."""
    for there, here in product(cells, cells):
        control, delivered = there.wanted, here.wanted
        if control.recipe is None or control.seed != delivered.seed or control == delivered:
            continue
        verdicts = [each.verification if scored else each.unscored for each in (there, here)]
        if verdicts[0] and verdicts[1] and verdicts[0]["verdict"] == Outcome.VERIFIED:
            found = judged(verdicts[0], verdicts[1], doses)
            yield Pair(control.recipe, delivered.recipe, found)


def judged(control: Verdict, delivered: Verdict, doses: Sequence[int]) -> Accused:
    """Judge a recorded run by a recorded control."""
    tests = evidence_of(delivered)
    run = control_of(control, "an honest run")
    slots = next(test for test in tests if isinstance(test, SlotTest))
    if run is None:
        raise ValueError("a control is asked everything")
    outcome = judge(
        *tests,
        alpha=ALPHA,
        layout=Layout(tuple(doses), (None,) * len(doses)),
        control=run,
        rows_control=rows_control(run, delivered),
    ).outcome
    earlier = holm({t.name: t.log10_p for t in tests if t.name.startswith(("slots", "ranks"))})
    whole = [DoseCount(1, each.backdoors, each.activated) for each in (slots, run)]
    p = 10 ** dose_gap(whole[:1], whole[1:]).log10_p
    gap = run_gap(slots.shares, run.shares, doses)
    adjusted = holm({test.name: test.log10_p for test in tests})
    return Accused(
        outcome,
        whole_answers=p <= GAP_ALPHA and min(earlier.values()) > math.log10(ALPHA),
        gap_alone=gap.log10_p <= math.log10(GAP_ALPHA)
        and min(adjusted.values()) > math.log10(ALPHA),
    )


def traces(verdict: Verdict) -> dict[str, bool]:
    """Return which tests find a trace of the file in a model, by the first word of their names."""
    return {
        test["name"].split()[0]: test["adjusted_log10_p"] <= math.log10(TRACE)
        for test in verdict["tests"]
    }


def evidence_of(verdict: Verdict) -> tuple[Evidence, ...]:
    """Return the tests as they were, from a recorded verdict."""
    return tuple(_test(recorded) for recorded in verdict["tests"])


def rows_control(control: Control, delivered: Verdict) -> RowsControl | None:
    """Compare the rows of both runs; None where either was not asked about them."""
    rows = delivered.get("rows")
    if not rows or not control.rows:
        return None
    draw = Draw(b"vtune benchmark recipes", "relabellings")  # rarely needed, and never secret here
    scores = [RowScore(*row) for row in rows["scores"]]
    theirs = exchange_test(control.rows, draw, name=rows["kind"])
    return RowsControl(theirs, exchange_test(gaps(control.rows, scores), draw, name="rows gap"))


def _test(recorded: Mapping[str, Any]) -> Evidence:
    if recorded["name"] == "anytime":
        stakes = tuple(Stakes(**_tupled(each)) for each in recorded["stakes"])
        return AnytimeTest(**_fields(AnytimeTest, {**recorded, "stakes": stakes}))
    kinds: dict[str, type[Evidence]] = {"slots": SlotTest, "rows": ExchangeTest}
    kind = kinds.get(recorded["name"].split()[0], RankTest)
    return kind(**_fields(kind, recorded))


def _fields(kind: type[Evidence], recorded: Mapping[str, Any]) -> dict[str, Any]:
    return _tupled({field.name: recorded[field.name] for field in fields(kind)})


def _tupled(recorded: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _tuples(value) for name, value in recorded.items()}


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
