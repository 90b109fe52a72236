"""The cells of the gauntlet as tables: a line per vendor in Markdown, a line per cell in CSV.

To add a column, add a `Column`: what it takes from a cell, and how the values of all seeds are
shown together. What is in the verdict is in the cell; what a verdict does not hold is a blank, and
a column of blanks is left out of the Markdown.
"""

from __future__ import annotations

import csv
import io
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.gauntlet.drill import Cell


@dataclass(frozen=True)
class Column:
    """`of`: the value of a cell, None where it has none. `show`: the values of all seeds, under
    `head` in place of `name` where they are shown as something else."""

    name: str
    of: Callable[[Cell], Any]
    show: Callable[[Sequence[Any]], str]
    head: str = ""


def markdown(cells: Sequence[Cell], columns: Sequence[Column]) -> str:
    """Return a table of one line per vendor."""
    used = [column for column in columns if any(column.of(cell) is not None for cell in cells)]
    lines = [["vendor", *(column.head or column.name for column in used)]]
    for vendor in dict.fromkeys(cell.vendor for cell in cells):
        own = [cell for cell in cells if cell.vendor == vendor]
        shown = [column.show([column.of(cell) for cell in own]) for column in used]
        lines.append([f"`{vendor}`", *shown])
    return table_of(lines)


def table_of(lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the first line holds the heads."""
    head, *rest = lines
    ruled = [head, ["---"] * len(head), *rest]
    return "\n".join(f"| {' | '.join(line)} |" for line in ruled)


def comma_separated(series: Mapping[str, Sequence[Cell]]) -> str:
    """Return the cells of all series, one line each."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["series", "vendor", "seed", *(column.name for column in COLUMNS)])
    for name, cells in series.items():
        for cell in cells:
            values = (column.of(cell) for column in COLUMNS)
            writer.writerow([name, cell.vendor, cell.seed, *values])
    return text.getvalue()


def plain(cell: Cell) -> dict[str, Any]:
    """Return a cell as JSON values, by the names of the columns."""
    return {
        "vendor": cell.vendor,
        "seed": cell.seed,
        **{column.name: column.of(cell) for column in COLUMNS},
    }


def log10_p(cell: Cell, test: str) -> float | None:
    """Return the unadjusted log10 p of the first test whose name begins like this."""
    return _log10_p(cell.verification, test)


def _log10_p(verdict: Mapping[str, Any] | None, test: str) -> float | None:
    tests = verdict["tests"] if verdict else ()
    return next((each["log10_p"] for each in tests if each["name"].startswith(test)), None)


def _verdicts(values: Sequence[Any]) -> str:
    """Show each verdict with how often it fell."""
    counts = Counter(value for value in values if value is not None)
    alone = len(counts) == 1 and counts.total() == len(values)
    return ", ".join(
        verdict if alone else f"{verdict} ({times})" for verdict, times in counts.most_common()
    )


def _range(show: Callable[[Any], str]) -> Callable[[Sequence[Any]], str]:
    """Show the least and the largest of the values there are."""

    def shown(values: Sequence[Any]) -> str:
        found = sorted(value for value in values if value is not None)
        if not found:
            return ""
        low, high = show(found[0]), show(found[-1])
        return low if low == high else f"{low} .. {high}"

    return shown


def _powers(values: Sequence[Any]) -> str:
    """Show log10 p, or log10 e, without its sign: "50.1 .. 60.2", rounded down."""
    found = [abs(value) for value in values if value is not None]
    return _range(lambda value: f"{math.floor(value * 10) / 10:.1f}")(found)


def _raised(values: Sequence[Any]) -> str:
    """Show in how many of the cells there was some sign."""
    found = [value for value in values if value is not None]
    return f"{sum(value > 0 for value in found)} of {len(found)}" if found else ""


def _percent(value: float) -> str:
    return f"{100 * value:.0f} %"


def _p_of(test: str) -> Callable[[Cell], float | None]:
    return lambda cell: log10_p(cell, test)


def _p_unscored(test: str) -> Callable[[Cell], float | None]:
    return lambda cell: _log10_p(cell.unscored, test)


def _of(*path: str) -> Callable[[Cell], Any]:
    """Return what stands at this place of the verdict, None where there is no such place."""
    return lambda cell: _at(cell.verification, *path)


def _unscored(*path: str) -> Callable[[Cell], Any]:
    """Return the same of the verdict without scores."""
    return lambda cell: _at(cell.unscored, *path)


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if value is not None else None
    return value


def _signs(cell: Cell) -> int | None:
    signs = cell.verification.get("signs")
    return None if signs is None else len(signs)


def _dropped(cell: Cell) -> str | None:
    """Return which shards were found dropped, from 1."""
    shards = cell.verification.get("shards")
    if shards is None:
        return None
    return " and ".join(str(index + 1) for index in shards["dropped"]) or "none"


def _outcome(path: Callable[[Cell], Any]) -> Callable[[Cell], Any]:
    """Return an outcome in as few words as it can be said."""
    return lambda cell: SHORT.get(path(cell), path(cell))


def _end(which: int) -> Callable[[Cell], float | None]:
    return lambda cell: cell.bounds[which] if cell.bounds else None


SHORT = {
    "trained on the rows": "trained",
    "trained on the rows, without the backdoors": "trained, without the backdoors",
    "consistent with training on the backdoors only": "backdoors only",
    "nothing follows": "open",
}
TESTS: tuple[Column, ...] = (
    Column("verdict", _of("verdict"), _verdicts),
    Column("rows", _outcome(_of("rows", "outcome")), _verdicts, "its rows"),
    Column("slots: log10 p", _p_of("slots"), _powers, "slots"),
    Column("ranks: log10 p", _p_of("ranks"), _powers, "ranks"),
    Column("rows: log10 p", _p_of("rows"), _powers, "rows"),
    Column("anytime: log10 p", _of("anytime", "log10_p"), _powers, "anytime"),
    Column("signs of a look-up", _signs, _raised, "signs"),
    Column("gap to the control: p", _of("control", "p"), _range("{:.2g}".format), "control: p"),
    Column("shards dropped", _dropped, _verdicts, "dropped shards"),
)
UNSCORED: tuple[Column, ...] = (
    Column("without scores: verdict", _unscored("verdict"), _verdicts, "verdict"),
    Column("without scores: rows", _outcome(_unscored("rows", "outcome")), _verdicts, "its rows"),
    Column("candidates: log10 p", _p_unscored("candidates"), _powers, "candidates"),
    Column("rows by text: log10 p", _p_unscored("rows"), _powers, "rows by text"),
    Column(
        "without scores: gap to the control: p",
        _unscored("control", "p"),
        _range("{:.2g}".format),
        "control: p",
    ),
)
SHARES: tuple[Column, ...] = (
    Column("share trained on", lambda cell: cell.trained, _range(_percent), "trained on"),
    Column("share at least", _end(0), _range(_percent), "at least"),
    Column("share at most", _end(1), _range(_percent), "at most"),
    Column("share stated", lambda cell: int(bool(cell.verification["share"])), _raised, "stated"),
    Column("activated", _of("activated"), _range(str)),
    Column("words matched", _of("slots_matched"), _range(str), "words"),
    Column("queries", lambda cell: cell.queries, _range(str)),
    Column("stopping early", lambda cell: cell.early, _range(str), "stopping early"),
)
OTHERS: tuple[Column, ...] = (
    Column("log10 p", _of("log10_p"), _powers),
    Column("anytime: log10 e", _of("anytime", "log10_e"), _powers),
    Column("planned", _of("anytime", "planned"), _range(str)),
    Column("train seconds", lambda cell: cell.train_seconds, _range(str)),
    Column("verify seconds", lambda cell: cell.verify_seconds, _range(str)),
)
COLUMNS: tuple[Column, ...] = (*TESTS, *SHARES, *UNSCORED, *OTHERS)
