"""A check's runs as small multiples: p-value, share of the rows, backdoors, run by run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

from vtune_client.report.svg import Scale, dot, line, path, picture, text

HEIGHT, TOP, BOTTOM = 120, 26, 96
PANELS = ((8, 148), (170, 310), (332, 472))  # from where to where each is drawn

History = Sequence[Mapping[str, Any]]


def multiples(history: History, alpha: float) -> Markup:
    """Return the picture of a check's history, the oldest run to the left."""
    strength = [-run["log10_p"] for run in history]
    most = max(1.0, -math.log10(alpha) * 1.2, *strength)
    marks = [
        *_panel(0, "\N{MINUS SIGN}log10 p", most),
        *_curve(0, strength, most),
        *_threshold(-math.log10(alpha), most),
        *_panel(1, "rows used", 1.0),
        *_bounds(history),
        *_panel(2, "answered", 1.0),
        *_curve(2, [_activation(run) for run in history], 1.0),
    ]
    return picture("Runs of this check", _spoken(history), HEIGHT, marks)


def _panel(number: int, title: str, most: float) -> list[Markup]:
    start, end = PANELS[number]
    return [
        text(start, 14, title, "axis"),
        line(start, BOTTOM, end, BOTTOM, "frame"),
        text(start, BOTTOM + 18, "first", "tick"),
        text(end, BOTTOM + 18, "last", "tick", "end"),
        text(end, TOP - 12, f"{most:.0%}" if most == 1 else f"{most:.0f}", "tick", "end"),
    ]


def _across(number: int, runs: int) -> Callable[[float], float]:
    start, end = PANELS[number]
    return Scale(0, runs - 1, start + 6, end - 6)


def _up(most: float) -> Scale:
    return Scale(0, most, BOTTOM, TOP)


def _curve(number: int, values: Sequence[float], most: float) -> list[Markup]:
    across, up = _across(number, len(values)), _up(most)
    points = [(across(at), up(value)) for at, value in enumerate(values)]
    return [path(points), *(dot(x, y, radius=3) for x, y in points)]


def _threshold(value: float, most: float) -> list[Markup]:
    start, end = PANELS[0]
    return [line(start, _up(most)(value), end, _up(most)(value), "limit")]


def _bounds(history: History) -> list[Markup]:
    """Return a line from the lower to the upper bound of each run that states a share."""
    across, up = _across(1, len(history)), _up(1.0)
    marks: list[Markup] = []
    for at, run in enumerate(history):
        if share := run["share"]:
            x, low, high = across(at), up(share["low"]), up(share["high"])
            marks += [line(x, low, x, high, "line"), dot(x, low, radius=3)]
    return marks


def _activation(run: Mapping[str, Any]) -> float:
    return run["activated"] / run["backdoors"] if run["backdoors"] else 0.0


def _spoken(history: History) -> str:
    return f"{len(history)} runs; the numbers stand in the table below the picture."
