"""The cells of the gauntlet as tables: a line per vendor in Markdown, a line per cell in CSV.

To add a column, add a `Column`: what it takes from a cell, and how the values of all seeds are
shown together. What is in the verdict is in the cell.
"""

from __future__ import annotations

import csv
import io
import json
import platform
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from benchmarks.gauntlet.drill import Cell, Setting
from vtune_client.verdict import format_p

PACKAGES = ("vtune-client", "torch", "transformers")


@dataclass(frozen=True)
class Column:
    """`of`: the value of a cell, None where it has none. `show`: the values of all seeds, under
    `head` in place of `name` where they are shown as something else."""

    name: str
    of: Callable[[Cell], Any]
    show: Callable[[Sequence[Any]], str]
    head: str = ""


def markdown(cells: Sequence[Cell], setting: Setting, command: str, when: str) -> str:
    vendors = dict.fromkeys(cell.vendor for cell in cells)
    lines = [["vendor", "seeds", *(column.head or column.name for column in COLUMNS)]]
    lines.append(["---"] * len(lines[0]))
    for vendor in vendors:
        own = [cell for cell in cells if cell.vendor == vendor]
        shown = [column.show([column.of(cell) for cell in own]) for column in COLUMNS]
        lines.append([f"`{vendor}`", str(len(own)), *shown])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return "\n\n".join(
        [
            "# The gauntlet",
            f"`{command}`, {when}. {_machine()}.",
            _what(setting),
            "Values are those of all seeds: verdicts and ranges. Controls are the honest cell of "
            "the same seed, which has none itself.",
            table + "\n",
        ]
    )


def comma_separated(cells: Sequence[Cell]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["vendor", "seed", *(column.name for column in COLUMNS)])
    for cell in cells:
        writer.writerow([cell.vendor, cell.seed, *(column.of(cell) for column in COLUMNS)])
    return text.getvalue()


def as_json(cells: Sequence[Cell], setting: Setting, command: str, when: str) -> str:
    record = {
        "command": command,
        "date": when,
        "machine": _machine(),
        "setting": {**asdict(setting), "digest": cells[0].setting},
        "cells": [
            {
                "vendor": cell.vendor,
                "seed": cell.seed,
                **{column.name: column.of(cell) for column in COLUMNS},
            }
            for cell in cells
        ],
    }
    return json.dumps(record, indent=1) + "\n"


def _verdicts(values: Sequence[Any]) -> str:
    """Show each verdict with how often it fell."""
    counts = Counter(values)
    return ", ".join(
        verdict if len(counts) == 1 else f"{verdict} ({times})"
        for verdict, times in counts.most_common()
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


def _share(value: float) -> str:
    return f"{value:.2f}"


def _log10_p(test: str) -> Callable[[Cell], float | None]:
    """Return the unadjusted log10 p of the first test whose name begins like this."""

    def found(cell: Cell) -> float | None:
        tests = cell.verification["tests"]
        return next((each["log10_p"] for each in tests if each["name"].startswith(test)), None)

    return found


def _bound(cell: Cell) -> float | None:
    share = cell.verification["share"]
    return share["low"] if share else None


def _control(cell: Cell) -> float | None:
    control = cell.verification["control"]
    return control["p"] if control else None


COLUMNS: tuple[Column, ...] = (
    Column("verdict", lambda cell: cell.verification["verdict"], _verdicts),
    Column("log10 p", lambda cell: cell.verification["log10_p"], _range(format_p), "p"),
    Column("activated", lambda cell: cell.verification["activated"], _range(str)),
    Column("slots matched", lambda cell: cell.verification["slots_matched"], _range(str)),
    Column("slots: log10 p", _log10_p("slots"), _range(format_p), "slots: p"),
    Column("ranks: log10 p", _log10_p("ranks"), _range(format_p), "ranks: p"),
    Column("gap to the control: p", _control, _range("{:.2g}".format)),
    Column("share at least", _bound, _range(_share)),
    Column("share trained on", lambda cell: cell.trained, _range(_share)),
    Column("queries", lambda cell: cell.queries, _range(str)),
)


def _what(setting: Setting) -> str:
    plan = setting.plan
    return (
        f"{setting.rows} rows, {plan.held_out} of them held out; {plan.backdoors} backdoors of "
        f"{plan.dose} carriers, {plan.decoys} decoys. The base is a pretrained Llama of "
        f"{setting.base.layers} layers and width {setting.base.hidden}; {setting.epochs} epochs "
        f"are asked for (batch {setting.batch_size}, rate {setting.learning_rate:g}, linear decay)."
    )


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}, one "
        f"thread a cell; {packages}"
    )
