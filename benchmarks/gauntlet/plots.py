"""The gauntlet in two pictures: how strong the evidence is, and what it says of the share.

SVG files that are the same whenever their cells are. Colours are told apart by people who see red
and green alike (Okabe and Ito 2008), and every mark has a shape of its own, too.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gauntlet.drill import Cell
from benchmarks.gauntlet.series import Assumed, assumed_of
from benchmarks.gauntlet.table import log10_p

INK, GRID, PAPER = "#222222", "#d9d9d9", "#ffffff"
WIDTH = 8.4  # inches
LINE = 0.27  # inches per vendor
TICKS = (0, 1, 3, 6, 10, 20, 40, 60, 100, 150)
STYLE: dict[str, Any] = {
    "svg.hashsalt": "vtune gauntlet",
    "svg.fonttype": "path",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": PAPER,
    "savefig.facecolor": PAPER,
}


@dataclass(frozen=True)
class Mark:
    """How one test is shown: `lift` is its place within a vendor's line."""

    test: str
    label: str
    colour: str
    shape: str
    lift: float


MARKS = (
    Mark("slots", "slots (text)", "#0072B2", "o", -0.24),
    Mark("ranks", "ranks over the base", "#E69F00", "s", 0.0),
    Mark("rows", "rows (uploaded against withheld)", "#009E73", "^", 0.24),
)
COLOURS = {Assumed.BOTH: "#0072B2", Assumed.LOWER: "#E69F00", Assumed.NONE: "#CC79A7"}
LABELS = {
    Assumed.BOTH: "both ends promised",
    Assumed.LOWER: "lower end alone promised",
    Assumed.NONE: "neither promised",
}


def evidence(cells: Sequence[Cell], alpha: float, title: str, *, form: str = "svg") -> bytes:
    """Return a picture of -log10 p per vendor, test and seed, with the threshold as a line."""
    vendors = list(dict.fromkeys(cell.vendor for cell in cells))
    figure, (axes,) = _figure([len(vendors)])
    for mark in MARKS:
        found = [
            (-p, vendors.index(cell.vendor) + mark.lift)
            for cell in cells
            if (p := log10_p(cell, mark.test)) is not None
        ]
        if found:
            across, down = zip(*found, strict=True)
            axes.scatter(
                across,
                down,
                s=17,
                c=mark.colour,
                marker=mark.shape,
                alpha=0.75,
                linewidths=0,
                label=mark.label,
                zorder=3,
                clip_on=False,
            )
    threshold = -math.log10(alpha)
    axes.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (4, 3)), zorder=2)
    axes.set_xscale("function", functions=(_root, _square))  # what is near 0 shows, too
    most = max([threshold, *(-p for c in cells for m in MARKS if (p := log10_p(c, m.test)))])
    axes.set_xlim(0, most * 1.02)
    axes.set_xticks([tick for tick in TICKS if tick <= most])
    axes.set_xlabel("-log10 p of each test, before Holm (dashed: the threshold)")
    _lines(axes, vendors)
    axes.set_title(title, loc="left", fontsize=10, pad=22)
    axes.legend(**_above(len(MARKS)))
    return _drawn(figure, form)


def shares(panels: Sequence[tuple[str, Sequence[Cell]]], *, form: str = "svg") -> bytes:
    """Return a picture of the interval of every cell against the share trained on, one panel per
    title; intervals that a verdict does not state are pale."""
    names = [list(dict.fromkeys(cell.vendor for cell in cells)) for _, cells in panels]
    figure, every = _figure([len(vendors) for vendors in names])
    for axes, (title, cells), vendors in zip(every, panels, names, strict=True):
        _intervals(axes, cells, vendors)
        axes.set_title(title, loc="left", fontsize=10, pad=22 if axes is every[0] else 6)
        axes.set_xlim(-0.01, 1.01)
        axes.set_xticks([tick / 10 for tick in range(11)])
        axes.set_xticklabels([f"{10 * tick} %" for tick in range(11)])
        _lines(axes, vendors)
    every[0].legend(handles=_keys(), **_above(4))
    every[-1].set_xlabel(
        "share of the rows: 95 % interval (a bar per file; pale where the verdict states none)"
    )
    return _drawn(figure, form)


def _intervals(axes: Any, cells: Sequence[Cell], vendors: Sequence[str]) -> None:
    for at, vendor in enumerate(vendors):
        own = [cell for cell in cells if cell.vendor == vendor and cell.bounds]
        step = 0.66 / max(len(own), 1)
        for number, cell in enumerate(own):
            level = at - 0.33 + step * (number + 0.5)
            axes.plot(
                cell.bounds or (),
                [level, level],
                color=COLOURS[assumed_of(vendor)],
                alpha=1.0 if cell.verification["share"] else 0.35,
                linewidth=2,
                solid_capstyle="butt",
            )
        for true in {cell.trained for cell in own}:
            axes.plot([true], [at], marker="D", markersize=4.5, color=INK, clip_on=False, zorder=4)


def _keys() -> list[Any]:
    from matplotlib.lines import Line2D

    bars = [Line2D([], [], color=COLOURS[each], lw=2, label=LABELS[each]) for each in Assumed]
    true = Line2D([], [], color=INK, marker="D", markersize=4.5, lw=0, label="trained on")
    return [*bars, true]


def _figure(lines: Sequence[int]) -> tuple[Any, list[Any]]:
    """Return a figure of panels, one above the other, each with room for so many vendors."""
    import matplotlib as mpl

    mpl.use("agg")
    mpl.rcParams.update(STYLE)  # type: ignore[arg-type]
    from matplotlib import pyplot

    figure, grid = pyplot.subplots(
        len(lines),
        1,
        figsize=(WIDTH, LINE * sum(lines) + 0.55 * len(lines) + 0.75),
        height_ratios=[max(count, 1) for count in lines],
        squeeze=False,
        layout="constrained",
    )
    return figure, list(grid[:, 0])


def _lines(axes: Any, vendors: Sequence[str]) -> None:
    """Give every vendor a line of its own, the first at the top."""
    axes.set_ylim(len(vendors) - 0.5, -0.5)
    axes.set_yticks(range(len(vendors)), labels=vendors)
    axes.tick_params(axis="y", length=0, pad=7)
    for at in range(0, len(vendors), 2):
        axes.axhspan(at - 0.5, at + 0.5, color="#f5f5f5", zorder=0)
    axes.grid(axis="x", color=GRID, linewidth=0.7, zorder=1)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _above(columns: int) -> dict[str, Any]:
    """Return where a legend stands: in one line above the panel, below its title."""
    return {
        "loc": "lower left",
        "bbox_to_anchor": (-0.01, 0.995),
        "ncols": columns,
        "frameon": False,
        "handletextpad": 0.5,
        "columnspacing": 1.4,
        "borderpad": 0.2,
        "fontsize": 8.5,
    }


def _root(value: Any) -> Any:
    return abs(value) ** 0.5


def _square(value: Any) -> Any:
    return value**2


def _drawn(figure: Any, form: str) -> bytes:
    from matplotlib import pyplot

    made = io.BytesIO()
    figure.savefig(made, format=form, dpi=110, metadata={"Date": None} if form == "svg" else None)
    pyplot.close(figure)
    return made.getvalue()
