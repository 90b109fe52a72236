"""Every number of a verdict, computed again from what it says was counted and ranked.

What was counted is taken as stated here; `openings` computes that again from the answers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vtune_client.amount import Layout
from vtune_client.attestation import Predicate
from vtune_client.check.findings import Finding, confirmed, refuted, told
from vtune_client.commitment import streams_of
from vtune_client.control import Control
from vtune_client.draw import Streams
from vtune_client.evidence import (
    AnytimeTest,
    ExchangeTest,
    RankTest,
    RowScore,
    SlotCounts,
    SlotTest,
    Stakes,
    TrendTest,
    dose_trend,
    exchange_test,
    first_ranks_test,
    ranks_tested,
    replay,
    slot_test,
)
from vtune_client.facts import Evidence
from vtune_client.plan import stream
from vtune_client.readings import RowsFound, rows_control
from vtune_client.verdict import format_p, judge, to_json

Data = Mapping[str, Any]
NUMBERS = "the numbers"
SHOWN = 6  # of the places that differ


def judged_again(verdict: Data, draws: Streams) -> dict[str, Any]:
    """Return the verdict's JSON as it follows from the counts and ranks that `verdict` states.

    Raises what bad values make of it (`findings.BROKEN`)."""
    stated = {test["name"]: test for test in verdict["tests"]}
    anytime = _anytime(stated["anytime"])
    layout = _layout(verdict["layout"])
    stopped = "slots" not in stated
    if stopped:
        read = _read_of(anytime)
        return to_json(judge(anytime, alpha=verdict["alpha"], read=read))
    slots = _slots(stated["slots"])
    tests: list[Evidence] = [slots, anytime]
    ranks = _ranks(stated)
    tests += [ranks, first_ranks_test(ranks)] if ranks else []
    tests += [_candidates(stated["candidates"])] if "candidates" in stated else []
    rows = _rows(verdict["rows"], draws) if verdict["rows"] else None
    tests += [rows.test] if rows else []
    control = control_stated(verdict["control"]) if verdict["control"] else None
    compared = rows_control(rows, control, draws) if rows and control else None
    return to_json(
        judge(
            *tests,
            alpha=verdict["alpha"],
            layout=layout,
            control=control,
            rows_control=compared,
            trend=_trend(slots, layout, draws),
        )
    )


def check_numbers(stated: Predicate) -> Iterator[Finding]:
    """Compare the verdict with what follows from its own counts."""
    verdict = stated.verdict
    again = judged_again(verdict, Streams(streams_of(stated.draws)))
    if again["rows"]:  # beside the outcome, a verdict has what the outcome was computed from
        again["rows"] |= {name: verdict["rows"][name] for name in ("kind", "scores")}
    places = [
        place
        for name, value in again.items()
        for place in differences(verdict.get(name), value, f"/{name}")
    ]
    if places:
        shown = ", ".join(places[:SHOWN]) + (" and more" if len(places) > SHOWN else "")
        yield refuted(NUMBERS, f"Computed again, the verdict differs in {shown}.")
    else:
        count = len(verdict["tests"])
        yield confirmed(
            NUMBERS,
            f"{count} tests, Holm's adjustment, bounds, outcome and sentences follow from the "
            "counts and ranks stated.",
        )
    yield from _anytime_line(verdict)
    yield from _agreement(verdict)


def differences(stated: Any, again: Any, place: str) -> list[str]:
    """Return where two JSON values differ; numbers may by what another machine's rounding does."""
    if isinstance(stated, dict) and isinstance(again, dict):
        names = sorted({*stated, *again}, key=str)
        missing = object()
        return [
            where
            for name in names
            for where in differences(
                stated.get(name, missing), again.get(name, missing), f"{place}/{name}"
            )
        ]
    if isinstance(stated, list) and isinstance(again, list) and len(stated) == len(again):
        pairs = enumerate(zip(stated, again, strict=True))
        return [w for i, (a, b) in pairs for w in differences(a, b, f"{place}/{i}")]
    numbers = isinstance(stated, int | float) and isinstance(again, int | float)
    if numbers and not isinstance(stated, bool) and not isinstance(again, bool):
        return [] if math.isclose(stated, again, rel_tol=1e-9, abs_tol=1e-9) else [place]
    return [] if type(stated) is type(again) and stated == again else [place]


def matches_of(anytime: AnytimeTest) -> list[list[Sequence[bool | None]]]:
    """Return the answers in an anytime test, by backdoor: of each slot whether it matched."""
    found: list[list[Sequence[bool | None]]] = [[] for _ in range(anytime.backdoors)]
    running = replay(anytime.stakes, ())
    for question, result in zip(running.left, anytime.results, strict=False):
        if not isinstance(result, int):
            found[question.backdoor].append(result)
    return found


def anytime_of(verdict: Data) -> AnytimeTest:
    """Return the anytime test of a verdict, replayed from its results."""
    return _anytime({test["name"]: test for test in verdict["tests"]}["anytime"])


def _anytime(stated: Data) -> AnytimeTest:
    stakes = tuple(
        Stakes(**{**each, "slot_sizes": tuple(each["slot_sizes"])}) for each in stated["stakes"]
    )
    results = [tuple(each) if isinstance(each, list) else each for each in stated["results"]]
    return replay(stakes, results).outcome()


def _slots(stated: Data) -> SlotTest:
    counts = []
    for sizes, answers, matched in zip(
        stated["slot_sizes"], stated["answers"], stated["matched"], strict=True
    ):
        # The test looks at the best answer and at how many there were.
        others = (0,) * (answers - 1)
        counts.append(SlotCounts(tuple(sizes), (matched, *others) if answers else ()))
    return slot_test(counts)


def _read_of(anytime: AnytimeTest) -> SlotTest:
    """Return the matches of a round that stopped early; it tests nothing by them."""
    counts = [
        SlotCounts(stakes.slot_sizes, tuple(sum(hit is True for hit in each) for each in answers))
        for stakes, answers in zip(anytime.stakes, matches_of(anytime), strict=True)
    ]
    return slot_test(counts)


def _ranks(stated: Mapping[str, Data]) -> RankTest | None:
    found = [name for name in stated if name.startswith("ranks")]
    if len(found) > 1:
        raise ValueError("ranks are tested once")
    return next((_ranked(stated[name], name) for name in found), None)


def _candidates(stated: Data) -> RankTest:
    return replace(_ranked(stated, "candidates"), backdoors=stated["backdoors"])


def _ranked(stated: Data, name: str) -> RankTest:
    return ranks_tested(stated["ranks"], stated["decoys"], name=name)


def _rows(stated: Data, draws: Streams) -> RowsFound:
    scores = tuple(RowScore(*each) for each in stated["scores"])
    test: ExchangeTest = exchange_test(scores, stream(draws, "relabellings"), name=stated["kind"])
    return RowsFound(stated["kind"], scores, test)


def control_stated(stated: Data) -> Control:
    """Return the control that a verdict was compared with."""
    return Control(
        source=stated["source"],
        slots=tuple(stated["slots"]),
        matched=tuple(stated["matched"]),
        ranks=tuple(stated["ranks"]),
        decoys=tuple(stated["decoys"]),
        rows=tuple(RowScore(*each) for each in stated["rows"]),
        rows_kind=stated["rows_kind"],
        differs=tuple(stated["differs"]),
    )


def _layout(stated: Data | None) -> Layout | None:
    if stated is None:
        return None
    return Layout(
        tuple(stated["doses"]), tuple(stated["shards"]), stated["layered"], stated["eligible"]
    )


def _trend(slots: SlotTest, layout: Layout | None, draws: Streams) -> TrendTest | None:
    if layout is None or len(set(layout.doses)) < 2:
        return None
    return dose_trend(layout.doses, slots.shares, stream(draws, "doses dealt anew"))


def _anytime_line(verdict: Data) -> Iterator[Finding]:
    """Compare the line on the e-value with the test of that name."""
    found, line = anytime_of(verdict), verdict["anytime"]
    again = {
        "log10_e": found.log10_e,
        "log10_p": found.log10_p,
        "p": format_p(found.log10_p),
        "asked": len(found.results),
        "planned": found.planned,
    }
    yield told(
        "the e-value",
        not differences(line, again, ""),
        "The e-value follows from the results, question by question.",
        "The e-value is not what the results give, question by question.",
    )


def _agreement(verdict: Data) -> Iterator[Finding]:
    """Compare what two parts of the verdict say about the same answers."""
    slots = next((test for test in verdict["tests"] if test["name"] == "slots"), None)
    if slots is None:
        return
    found = matches_of(anytime_of(verdict))
    best = [max((sum(h is True for h in each) for each in own), default=0) for own in found]
    few = all(
        (n > 0) == bool(own) and n <= len(own)
        for n, own in zip(slots["answers"], found, strict=True)
    )
    yield told(
        "counts and results",
        best == slots["matched"] and few,
        "The matches counted are those of the results, question by question.",
        "The matches counted are not those of the results, question by question.",
    )
