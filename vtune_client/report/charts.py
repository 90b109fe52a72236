"""The pictures of the evidence: numbers in, SVG out.

Shape and place tell what colour tells: the pictures read the same in grey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from markupsafe import Markup

from vtune_client.report.svg import (
    WIDTH,
    Scale,
    bottom_axis,
    box,
    dot,
    left_axis,
    line,
    number,
    path,
    picture,
    text,
)

LABELS, RIGHT = 150, WIDTH - 16
PERCENT = [(0.0, "0 %"), (0.25, "25 %"), (0.5, "50 %"), (0.75, "75 %"), (1.0, "100 %")]
BINS = 24
CROWDED = 24  # backdoors beyond which a line of each gets no words


@dataclass(frozen=True)
class Pair:
    """Shares in [0, 1] of one backdoor, or the mean of several; None where nothing was asked."""

    label: str
    own: float | None
    fresh: float | None


@dataclass(frozen=True)
class Bounds:
    """A share that lies within [low, high]; `dropped` where it is known to be less than all."""

    label: str
    low: float
    high: float
    dropped: bool = False


@dataclass(frozen=True)
class Curve:
    """Points (step, value) in the order of the steps."""

    label: str
    points: tuple[tuple[float, float], ...]


def activation(pairs: Sequence[Pair], both: bool) -> Markup:
    """Draw how much of each signature came back: a full bar for a backdoor's own prompts, a light
    one for fresh prompts below it; without `both` one bar for all answers."""
    x, height = Scale(0, 1, LABELS, RIGHT - 8), 30 if both else 22
    bottom = 26 + height * len(pairs)
    marks = [*_key(both), *(line(x(v), 22, x(v), bottom) for v, _ in PERCENT)]
    for index, pair in enumerate(pairs):
        top = 26 + index * height
        marks.append(text(LABELS - 8, top + height / 2 + 2, pair.label, "", "end"))
        shown = ((pair.own, "bar"), (pair.fresh, "soft")) if both else ((pair.own, "bar"),)
        marks += [
            box(x.start, top + 2 + 12 * place, x(share) - x.start, 10, kind)
            for place, (share, kind) in enumerate(shown)
            if share is not None
        ]
    marks.append(bottom_axis(x, bottom, PERCENT, "secret words that came back"))
    return picture("Answers of each backdoor", _spoken(pairs), bottom + 46, marks)


def _key(both: bool) -> list[Markup]:
    if not both:
        return []
    return [
        box(LABELS, 4, 12, 10, "bar"),
        text(LABELS + 17, 14, "own prompts"),
        box(LABELS + 120, 4, 12, 10, "soft"),
        text(LABELS + 137, 14, "fresh prompts"),
    ]


def _spoken(pairs: Sequence[Pair]) -> str:
    full = sum(1 for pair in pairs if 1.0 in (pair.own, pair.fresh))
    return f"{full} of {len(pairs)} lines reach 100 %. The table below has the numbers."


def ranks(places: Sequence[int], decoys: Sequence[int], first: int = 0) -> Markup:
    """Draw the place of each true signature among its decoys, on a log axis, 1 to the left.

    `first` is the number of the first backdoor in its plan."""
    last = max(decoys) + 1
    x = Scale(0, math.log10(last), LABELS, RIGHT - 12)
    crowded = len(places) > CROWDED
    height = 9 if crowded else 22
    bottom = 12 + height * len(places)
    marks = []
    for index, (place, count) in enumerate(zip(places, decoys, strict=True)):
        y = 12 + height * (index + 0.5)
        marks.append(line(x.start, y, x(math.log10(count + 1)), y))
        marks.append(dot(x(math.log10(place)), y, "dot", 3 if crowded else 5))
        if not crowded:
            marks.append(text(LABELS - 14, y + 4, f"backdoor {first + index + 1}", "", "end"))
    ticks = [(math.log10(value), str(value)) for value in _places(last)]
    marks.append(bottom_axis(x, bottom, ticks, f"place among {last} (1: likeliest)"))
    first = sum(place == 1 for place in places)
    told = f"{first} of {len(places)} true signatures stand first."
    return picture("Rank of each true signature among its decoys", told, bottom + 46, marks)


def _places(last: int) -> list[int]:
    """Return 1, the powers of ten below, and the last place, well apart."""
    powers = [10**n for n in range(6) if 10**n * 2 < last]
    return [*(powers or [1]), last]


def shares(bounds: Sequence[Bounds]) -> Markup:
    """Draw between which bounds the share of the used rows lies; what is ruled out stays empty."""
    x, bottom = Scale(0, 1, LABELS, RIGHT - 8), 12 + 30 * len(bounds)
    marks = [line(x(value), 8, x(value), bottom) for value, _ in PERCENT]
    for index, each in enumerate(bounds):
        top = 12 + index * 30
        label = f"{each.label}: fewer" if each.dropped else each.label
        marks.append(text(LABELS - 8, top + 17, label, "", "end"))
        marks.append(box(x(0), top + 4, x(1) - x(0), 18, "track"))
        marks.append(box(x(each.low), top + 4, x(each.high) - x(each.low), 18, "soft"))
        marks += [line(x(end), top + 1, x(end), top + 25, "line") for end in (each.low, each.high)]
    marks.append(bottom_axis(x, bottom, PERCENT, "share of the rows that was used"))
    told = "; ".join(f"{each.label} {each.low:.0%} to {each.high:.0%}" for each in bounds)
    return picture("Bounds on the share of rows used", f"{told}.", bottom + 46, marks)


def bets(points: Sequence[tuple[int, float]], planned: int, alpha: float) -> Markup:
    """Draw log10 e by question, and the line at 1/alpha that it has to cross.

    `points` are (questions asked, log10 e) in order."""
    needed = -math.log10(alpha)
    values = [value for _, value in points]
    low, high = min([0.0, *values]), max([needed * 1.15, *values])
    x, y = Scale(0, planned, 56, RIGHT - 8), Scale(low, high, 200, 14)
    marks = [
        left_axis(y, 56, RIGHT, [(tick, number(tick)) for tick in y.ticks()]),
        line(56, y(needed), RIGHT, y(needed), "limit"),
        text(RIGHT, y(needed) - 5, f"threshold {number(needed)}", "axis", "end"),
        path([(x(asked), y(value)) for asked, value in points]),
        *(dot(x(asked), y(value), "dot", 2.5) for asked, value in points if len(points) < 60),
        bottom_axis(x, 206, [(t, number(t)) for t in x.ticks() if t % 1 == 0], "questions asked"),
    ]
    crossed = next((asked for asked, value in points if value >= needed), None)
    told = f"It crosses the threshold after {crossed} questions." if crossed else "It stays below."
    return picture("Evidence (log10 e) by question", told, 252, marks)


def rows(uploaded: Sequence[float], withheld: Sequence[float], unit: str) -> Markup:
    """Draw how well rows are known: uploaded ones upwards, withheld ones downwards, and medians."""
    both = [*uploaded, *withheld]
    x = Scale(min(both), max(both), 40, RIGHT - 8)
    up, down = _counts(uploaded, x), _counts(withheld, x)
    most, wide = max(*up, *down), (x.end - x.start) / BINS
    reach = Scale(0, most, 0, 86)
    marks = [text(40, 12, f"uploaded rows ({len(uploaded)})")]
    for index in range(BINS):
        left = round(x.start + index * wide, 2)
        if up[index]:
            marks.append(box(left, 112 - reach(up[index]), wide - 1, reach(up[index]), "bar"))
        if down[index]:
            marks.append(box(left, 112, wide - 1, reach(down[index]), "soft"))
    for values, top, bottom in ((uploaded, 20, 112), (withheld, 112, 200)):
        if values:
            middle = x(median(values))
            marks.append(line(middle, top, middle, bottom, "limit"))
    marks.append(line(x.start, 112, x.end, 112, "frame"))
    marks.append(text(40, 218, f"withheld rows ({len(withheld)})"))
    marks.append(bottom_axis(x, 228, [(t, number(t)) for t in x.ticks()], unit))
    told = "Uploaded rows above the line, withheld rows below it, medians dashed."
    return picture("Scores of uploaded and withheld rows", told, 274, marks)


def _counts(values: Sequence[float], scale: Scale) -> list[int]:
    """Return how many values fall into each of `BINS` equal bins of the scale."""
    counts = [0] * BINS
    span = scale.high - scale.low
    for value in values:
        part = (value - scale.low) / span if span else 0.5
        counts[min(int(part * BINS), BINS - 1)] += 1
    return counts


def losses(curves: Sequence[Curve]) -> Markup:
    """Draw loss by step: the first curve as a line, a second one with hollow dots."""
    steps = [step for curve in curves for step, _ in curve.points]
    values = [value for curve in curves for _, value in curve.points]
    x = Scale(min(steps), max(steps), 56, RIGHT - 8)
    y = Scale(min(0.0, *values), max(values), 190, 26)
    marks = [left_axis(y, 56, RIGHT, [(tick, number(tick)) for tick in y.ticks()])]
    for place, curve in enumerate(curves):
        left = 60 + 170 * place
        points = [(x(step), y(value)) for step, value in curve.points]
        marks.append(path(points, "second" if place else "line"))
        if place:
            marks += [dot(*point, "hollow", 3.5) for point in points]
            marks.append(dot(left + 11, 10, "hollow", 3.5))
        else:
            marks.append(line(left, 10, left + 22, 10, "line"))
        marks.append(text(left + 30, 14, curve.label))
    ticks = [(tick, number(tick)) for tick in x.ticks() if tick % 1 == 0]
    marks.append(bottom_axis(x, 196, ticks, "training step"))
    told = " ".join(
        f"{curve.label} from {curve.points[0][1]:.3g} to {curve.points[-1][1]:.3g}."
        for curve in curves
    )
    return picture("Loss by training step, as the vendor reports it", told, 242, marks)


def thinned(
    points: Sequence[tuple[float, float]], most: int = 200
) -> tuple[tuple[float, float], ...]:
    """Return at most so many of the points, the last among them: more cannot be seen."""
    if len(points) <= most:
        return tuple(points)
    ends = [len(points) * index // most for index in range(most + 1)]
    return tuple(points[end - 1] for _, end in pairwise(ends))
