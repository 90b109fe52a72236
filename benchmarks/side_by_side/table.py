"""What was found as tables: detections, p-values, shares, costs and false positives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

from benchmarks.machine import machine
from benchmarks.side_by_side.book import NULL, Line
from benchmarks.side_by_side.notes import NOTES
from benchmarks.side_by_side.nulls import LEVELS, REAL, SPEAKERS, Tally, added
from benchmarks.side_by_side.schemes import LEVEL, Sides, detected
from vtune_client.evidence import (
    RankScores,
    SlotCounts,
    Stakes,
    backdoor_log10_e,
    holm,
    rank_test,
    slot_test,
)
from vtune_client.verdict import format_p

TITLE = "# Three schemes side by side"
SLOTS = (32,) * 8  # candidates for each word of a signature, in every frame of the package

FOUND = """\
In how many of the files p is at or below the level; each p is one that holds whatever the served
system is."""
P_VALUES = """\
Least and largest of all files. The first column is what the binomial over queries reports; the next
is a bound on the very same count that holds; "by words" is our slots test on the same answers."""
SHARES = """\
At 95 % confidence, without a control, where the job was found. A bound from above needs a control
and more than one secret."""
FALSE_POSITIVES = """\
How often p is at or below the level for a system that never met the file. Simulated systems fill
the slots themselves; real ones are models of this benchmark, whose answers are held against secrets
drawn afresh (all signatures drawn for one trigger meet the same answers). `pair` is the binomial
over queries, with everything that one might count as a hit."""


@dataclass(frozen=True)
class Scheme:
    """One way to test: the planting it needs, and under which names its findings are kept."""

    name: str
    planting: str
    p: str
    queries: str
    scores: bool = False
    share: str = ""


SCHEMES = (
    Scheme("pair", "pair", "true_log10_p", "queries", share="share"),
    Scheme("pair, by words", "pair", "slots_log10_p", "queries"),
    Scheme("mark, text", "pair", "mark_text_log10_p", "mark_text_queries"),
    Scheme("mark, scores", "pair", "mark_scores_log10_p", "mark_scores_queries", True),
    Scheme("marks, scores", "marks", "marks_log10_p", "queries", True, "share"),
    Scheme(
        "marks over the base",
        "marks",
        "marks_over_base_log10_p",
        "queries_over_base",
        True,
        "share_over_base",
    ),
    Scheme("ours, text", "ours", "slots_log10_p", "text_queries"),
    Scheme("ours, anytime", "ours", "anytime_log10_p", "text_queries"),
    Scheme("ours, verdict", "ours", "log10_p", "queries", True, "share"),
)


def markdown(
    lines: Sequence[Line], sides: Sides, jobs: Sequence[str], command: str, when: str
) -> str:
    """Return the page of all tables, with what they say in words."""
    parts = [
        TITLE,
        f"`{command}`, {when}. {machine()}.",
        _what(sides),
        NOTES.strip(),
        f"## Found at {LEVEL:g}",
        FOUND,
        _detections(lines, jobs),
        "## p-values",
        P_VALUES,
        _p_values(lines, jobs),
        "## Share of the rows used, at least",
        SHARES,
        _shares(lines, jobs),
        "## What each takes",
        _costs(lines, sides),
        "## False positives",
        FALSE_POSITIVES,
        _false_positives(lines),
    ]
    return "\n\n".join(parts) + "\n"


def as_json(
    lines: Sequence[Line], sides: Sides, jobs: Sequence[str], command: str, when: str
) -> str:
    record = {
        "command": command,
        "date": when,
        "machine": machine(),
        "setting": {**asdict(sides), "digest": sides.digest},
        "lines": [
            {key: value for key, value in asdict(line).items() if key != "sides"}
            for line in sorted(lines, key=lambda line: line.key)
            if line.scheme == NULL or line.name in jobs
        ],
    }
    return json.dumps(record, indent=1) + "\n"


def _what(sides: Sides) -> str:
    ours, rows = sides.ours.plan, sides.ours.plan.carriers
    return (
        f"The same files, vendors and recipe as in the gauntlet, with {rows} carrier rows of "
        f"{sides.ours.rows - ours.held_out} each: one pair of trigger and signature in all "
        f"{rows} (`pair`, and as a `mark` ranked among {sides.asked_marks} others by text or "
        f"{sides.others} by score), a mark of its own in each (`marks`, {ours.decoys} "
        f"counterfactuals each), or {ours.backdoors} backdoors of {ours.dose} (`ours`)."
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _found(lines: Sequence[Line], scheme: Scheme, job: str, what: str) -> list[float]:
    """Return one finding of all files, where it is there."""
    own = (line for line in lines if (line.scheme, line.name) == (scheme.planting, job))
    return [line.found[what] for line in own if line.found.get(what) is not None]


def _detections(lines: Sequence[Line], jobs: Sequence[str]) -> str:
    rows = []
    for job in jobs:
        found = [_found(lines, scheme, job, scheme.p) for scheme in SCHEMES]
        counts = [f"{sum(map(detected, ps))} of {len(ps)}" if ps else "" for ps in found]
        rows.append([f"`{job}`", *counts])
    return _table(["job", *(scheme.name for scheme in SCHEMES)], rows)


def _range(values: Sequence[float], show: Callable[[float], str]) -> str:
    if not values:
        return ""
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} .. {high}"


def _p_values(lines: Sequence[Line], jobs: Sequence[str]) -> str:
    nominal = Scheme("pair, as reported", "pair", "nominal_log10_p", "queries")
    shown = (nominal, *SCHEMES)
    rows = (
        [f"`{job}`", *(_range(_found(lines, each, job, each.p), format_p) for each in shown)]
        for job in jobs
    )
    return _table(["job", *(each.name for each in shown)], rows)


def _shares(lines: Sequence[Line], jobs: Sequence[str]) -> str:
    shown = [scheme for scheme in SCHEMES if scheme.share]
    rows = []
    for job in jobs:
        bounds = []
        for scheme in shown:
            ps = _found(lines, scheme, job, scheme.p)
            lows = _found(lines, scheme, job, scheme.share)
            sure = [low for p, low in zip(ps, lows, strict=True) if detected(p)]
            bounds.append(_range(sure, "{:.1%}".format))
        rows.append([f"`{job}`", *bounds])
    return _table(["job", *(scheme.name for scheme in shown)], rows)


def _costs(lines: Sequence[Line], sides: Sides) -> str:
    floors = least_log10_p(sides)
    rows = []
    for scheme in SCHEMES:
        asked = [line.found[scheme.queries] for line in lines if line.scheme == scheme.planting]
        rows.append(
            [
                scheme.name,
                str(sides.ours.plan.carriers),
                _range(asked, "{:.0f}".format),
                "yes" if scheme.scores else "no",
                format_p(floors[scheme.name]),
            ]
        )
    heads = ["scheme", "carrier rows", "queries", "needs scores", "smallest p there is"]
    return _table(heads, rows)


def least_log10_p(sides: Sides) -> dict[str, float]:
    """Return log10 of the smallest p that each scheme can give, however well all was learned."""
    plan = sides.ours.plan
    full = SlotCounts(SLOTS, (len(SLOTS),))
    pair, text = (slot_test([full] * secrets).log10_p for secrets in (1, plan.backdoors))
    marks = rank_test([_first(plan.decoys)] * plan.carriers).log10_p
    ranks = rank_test([_first(plan.decoys)] * plan.backdoors).log10_p
    matched = [(True,) * len(SLOTS)] * plan.prompts
    return {
        "pair": pair,
        "pair, by words": pair,
        "mark, text": -math.log10(sides.asked_marks + 1),
        "mark, scores": -math.log10(sides.others + 1),
        "marks, scores": marks,
        "marks over the base": marks,
        "ours, text": text,
        "ours, anytime": -plan.backdoors * backdoor_log10_e(Stakes(SLOTS, plan.prompts), matched),
        "ours, verdict": min(holm({"slots": text, "ranks": ranks}).values()),
    }


def _first(decoys: int) -> RankScores:
    return RankScores((1.0,), ((0.0,) * decoys,), 0.0)


def _false_positives(lines: Sequence[Line]) -> str:
    rows = []
    for system in (*SPEAKERS, *REAL):
        own: list[Tally] = [
            line.found["tally"] for line in lines if (line.scheme, line.name) == (NULL, system)
        ]
        for test, counts in added(own).items():
            rates = [_rate(counts[f"{level:g}"], counts["runs"]) for level in LEVELS]
            rows.append([test, system, f"{counts['runs']:,}", *rates])
    rows.sort(key=lambda row: row[0])
    return _table(["test", "system", "runs", *(f"p <= {level:g}" for level in LEVELS)], rows)


def _rate(count: int, runs: int) -> str:
    return f"{count / runs:.4f}" if count else "0"
