"""Small pieces of SVG 1.1: marks and scales. Colours come from the page's style sheet by class."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH = 480  # of every picture, in units of its view box


@dataclass(frozen=True)
class Scale:
    """Maps values in [low, high] to positions from `start` to `end`; what lies outside is moved to
    the edge."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        if self.high == self.low:
            return (self.start + self.end) / 2
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 2)

    def ticks(self, most: int = 6) -> list[float]:
        """Return at most so many round values within the scale."""
        span = self.high - self.low
        if span <= 0:
            return [self.low]
        step = 10 ** math.floor(math.log10(span / most))
        step = next(step * m for m in (1, 2, 5, 10, 20) if span / (step * m) <= most - 1)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 10) for index in range(first, last + 1)]


def picture(title: str, description: str, height: float, marks: Iterable[Markup]) -> Markup:
    """Return an SVG image with a text alternative."""
    return Markup(
        '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(WIDTH, round(height), f"{title}. {description}", Markup("").join(marks))


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    return Markup('<text x="{}" y="{}" class="{}" text-anchor="{}">{}</text>').format(
        x, y, kind, anchor, words
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "rule") -> Markup:
    return Markup('<line x1="{}" y1="{}" x2="{}" y2="{}" class="{}"/>').format(x1, y1, x2, y2, kind)


def box(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    return Markup('<rect x="{}" y="{}" width="{}" height="{}" class="{}"/>').format(
        x, y, round(max(width, 0), 2), round(max(height, 0), 2), kind
    )


def dot(x: float, y: float, kind: str = "dot", radius: float = 4) -> Markup:
    return Markup('<circle cx="{}" cy="{}" r="{}" class="{}"/>').format(x, y, radius, kind)


def path(points: Sequence[tuple[float, float]], kind: str = "line") -> Markup:
    joined = " ".join(f"{x},{y}" for x, y in points)
    return Markup('<polyline points="{}" class="{}"/>').format(joined, kind)


def bottom_axis(scale: Scale, y: float, ticks: Iterable[tuple[float, str]], name: str) -> Markup:
    """Return an axis below: its line, a mark and words at each tick, and its name."""
    marks = [line(scale.start, y, scale.end, y, "frame")]
    for value, words in ticks:
        marks.append(line(scale(value), y, scale(value), y + 4, "frame"))
        marks.append(text(scale(value), y + 18, words, "tick", "middle"))
    marks.append(text((scale.start + scale.end) / 2, y + 38, name, "axis", "middle"))
    return Markup("").join(marks)


def left_axis(scale: Scale, x: float, right: float, ticks: Iterable[tuple[float, str]]) -> Markup:
    """Return an axis to the left: words at each tick and a rule across the picture."""
    marks = []
    for value, words in ticks:
        marks.append(line(x, scale(value), right, scale(value)))
        marks.append(text(x - 6, scale(value) + 4, words, "tick", "end"))
    return Markup("").join(marks)


def number(value: float) -> str:
    """Return a tick's number: few digits, no needless zeros, a true minus sign."""
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")
