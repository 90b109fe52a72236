"""The gauntlet's page: what the tables say in words, the tables, how often the bounds hold."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.gauntlet import plots
from benchmarks.gauntlet.base import Published
from benchmarks.gauntlet.coverage import (
    Held,
    Resampled,
    bounded,
    over_cells,
    resampled,
)
from benchmarks.gauntlet.drill import AGAIN, Cell, Setting
from benchmarks.gauntlet.series import HONEST, Series
from benchmarks.gauntlet.table import (
    SHARES,
    TESTS,
    UNSCORED,
    comma_separated,
    log10_p,
    markdown,
    plain,
    table_of,
)
from benchmarks.machine import machine

PASSED = ("verified", "partial")
NOTES: tuple[str, ...] = ()  # sentences about the tables that no rule below would find
LEGEND = (
    "Values are those of all files: verdicts and ranges. Tests are shown as -log10 p, before "
    "Holm's adjustment; above 6 is below the threshold of 1e-6. `its rows` is what is said of the "
    "rows that carry nothing, `rows` the test that it rests on; `signs`: on how many files some "
    "sign was raised that is worth a question (answers that scores do not know, or fewer of them "
    "than the control's); `control: p` is that of the gap. Controls "
    f"are the honest cell of the same file, which has none itself; `{AGAIN}` is another honest "
    "run, with another seed of the training."
)
SHARES_LEGEND = (
    "`at least` and `at most` are the ends of the 95 % interval for the share of the rows used, "
    "`stated` tells on how many files the verdict states it: not where the file did not show, or "
    "its backdoors alone did. `queries` are all prompts answered and texts scored, of the base "
    "too; `stopping early` are those of `vtune verify --stop-early`, asked one by one."
)

UNSCORED_LEGEND = (
    "The same models, served by an endpoint that scores no text but lists the 20 likeliest tokens "
    "of what it says: words are compared with other candidates for their slots, rows by how alike "
    "answer and completion are. The slots' p is that of the first table."
)


@dataclass(frozen=True)
class Run:
    """One series with its cells, and how plans like its own would fare."""

    series: Series
    cells: Sequence[Cell]
    resampled: Sequence[Resampled]


def run_of(series: Series, cells: Sequence[Cell]) -> Run:
    cells = bounded(cells, series.setting.plan.ladder)
    return Run(series, cells, list(resampled(series.name, series.setting, cells)))


def pages(stem: str, runs: Sequence[Run], command: str, when: str) -> dict[str, bytes]:
    """Return every file of the report by its name."""
    panels = [(run.series.title, run.cells) for run in reversed(runs)]
    pictures = {f"{stem}-shares.svg": plots.shares(panels)}
    for run in runs:
        name = _picture(stem, run)
        pictures[name] = plots.evidence(run.cells, run.series.setting.plan.alpha, run.series.title)
    cells = {run.series.name: run.cells for run in runs}
    texts: dict[str, str] = {
        f"{stem}.md": page(stem, runs, command, when),
        f"{stem}.csv": comma_separated(cells),
        f"{stem}.json": as_json(runs, command, when),
    }
    return {**{name: text.encode() for name, text in texts.items()}, **pictures}


def page(stem: str, runs: Sequence[Run], command: str, when: str) -> str:
    """Return the report in Markdown."""
    parts = ["# The gauntlet", f"`{command}`, {when}. {machine()}."]
    said = [*(line for run in runs for line in reading(run)), *NOTES]
    if said:
        parts.append("\n".join(f"- {line}" for line in said))
    for run in runs:
        files = len({cell.seed for cell in run.cells})
        parts += [
            f"## {run.series.title}",
            f"{_what(run.series.setting)} {files} {'file' if files == 1 else 'files'}.",
            LEGEND if run is runs[0] else "",
            markdown(run.cells, TESTS),
            f"![Evidence per vendor]({_picture(stem, run)})",
            SHARES_LEGEND if run is runs[0] else "",
            markdown(run.cells, SHARES),
            UNSCORED_LEGEND if run is runs[0] else "",
            markdown(run.cells, UNSCORED),
        ]
    parts += [*_coverage(runs), f"![Certified and true share]({stem}-shares.svg)"]
    return "\n\n".join(part for part in parts if part) + "\n"


def as_json(runs: Sequence[Run], command: str, when: str) -> str:
    record: dict[str, Any] = {
        "command": command,
        "date": when,
        "machine": machine(),
        "series": [
            {
                "name": run.series.name,
                "setting": {**asdict(run.series.setting), "digest": run.series.setting.digest},
                "cells": [plain(cell) for cell in run.cells],
            }
            for run in runs
        ],
        "coverage": {
            "cells": [asdict(held) for held in over_cells(_all(runs))],
            "resampled": [asdict(line) for run in runs for line in run.resampled],
        },
    }
    return json.dumps(record, indent=1) + "\n"


def reading(run: Run) -> list[str]:
    """Return what the cells of one series say, in sentences that are counted from them."""
    of = {
        vendor: [cell for cell in run.cells if cell.vendor == vendor]
        for vendor in dict.fromkeys(cell.vendor for cell in run.cells)
    }
    said = [_verdicts(of)]
    if again := of.get(AGAIN):
        verdicts = _outcomes([cell.verification["verdict"] for cell in again])
        said.append(f"a second honest run, with the first as its control, is {verdicts}.")
    if looked := of.get("lookup"):
        said.append(_look_up(looked))
    for vendor, cells in of.items():
        found = [(cell.verification.get("rows") or {}).get("outcome") for cell in cells]
        if vendor.startswith("backdoors-only") and (outcomes := [each for each in found if each]):
            said.append(f"of the rows of `{vendor}` it is said: {_outcomes(outcomes)}.")
    if bounded := _bounded(of):
        said.append(bounded)
    return [f"{run.series.title}: {line}" for line in said]


def _bounded(of: Mapping[str, Sequence[Cell]]) -> str:
    """Say for which vendors the upper bound says that something is missing."""
    parts = {
        vendor: sum(cell.bounds is not None and cell.bounds[1] < 1 for cell in cells)
        for vendor, cells in of.items()
    }
    counts = [f"`{vendor}` {n} of {len(of[vendor])}" for vendor, n in parts.items() if n]
    if not counts:
        return ""
    honest = parts.get(HONEST, 0) + parts.get(AGAIN, 0)
    never = "" if honest else "; never for an honest run"
    return f"the share of the rows is bounded below 1 for {', '.join(counts)}{never}."


def _verdicts(of: Mapping[str, Sequence[Cell]]) -> str:
    """Say which vendors were verified on every file, on some, and on none."""
    passed = {
        vendor: sum(cell.verification["verdict"] in PASSED for cell in cells)
        for vendor, cells in of.items()
    }
    every = [f"`{vendor}`" for vendor, n in passed.items() if n == len(of[vendor])]
    none = [f"`{vendor}`" for vendor, n in passed.items() if not n]
    some = [
        f"`{vendor}` ({n} of {len(of[vendor])})"
        for vendor, n in passed.items()
        if 0 < n < len(of[vendor])
    ]
    groups = (("on every file", every), ("on some files", some), ("on none", none))
    found = "; ".join(f"{where} for {', '.join(names)}" for where, names in groups if names)
    return f"information from the file is found {found}."


def _outcomes(values: Sequence[str]) -> str:
    return ", ".join(f"{value} ({times})" for value, times in Counter(values).most_common())


def _look_up(cells: Sequence[Cell]) -> str:
    passed = sum(cell.verification["verdict"] in PASSED for cell in cells)
    said = f"a look-up of the uploaded file passes on {passed} of {len(cells)} files by its text"
    ranks = [-p for cell in cells if (p := log10_p(cell, "ranks")) is not None]
    if ranks:
        said += f", while its ranks say nothing (-log10 p at most {max(ranks):.1f})"
    signs = [cell.verification["signs"] for cell in cells if "signs" in cell.verification]
    if signs:
        said += f"; a sign of it is raised on {sum(map(bool, signs))}"
    return said + "."


def _coverage(runs: Sequence[Run]) -> list[str]:
    held = over_cells(_all(runs))
    lines = [line for run in runs for line in run.resampled]
    parts = ["## How often the 95 % interval holds the true share"]
    if held:
        parts += [
            "Over the cells above, also those whose verdict states no interval, by what it "
            "promises of such a vendor: each end supposes that rows were used without regard to "
            "which of them carry, the upper one also that the training was the control's. `kept` "
            "counts cells in which what is promised holds, both ends where neither is; the last "
            "column is its exact 95 % interval, as if cells of one file did not hang together.",
            table_of([_HELD_HEADS, *map(_held_line, held)]),
        ]
    if lines:
        parts += [
            f"Resampled, not trained: {lines[0].runs} plans per line, drawn anew, against a vendor "
            "who uses this share; a backdoor does what a trained one did above of which as many "
            "carriers were used at this share, and the control what honest ones did.",
            table_of([_RESAMPLED_HEADS, *map(_resampled_line, lines)]),
        ]
    return parts if len(parts) > 1 else []


_HELD_HEADS = ("promised", "cells", "low ≤ true", "true ≤ high", "kept", "rate of `kept`")
_RESAMPLED_HEADS = (
    "series",
    "share used",
    "which rows",
    "low ≤ true",
    "true ≤ high",
    "both",
    "upper end below 1",
    "median interval",
)


def _held_line(held: Held) -> list[str]:
    counts = (held.cells, held.low_held, held.high_held, held.promised)
    low, high = held.rate
    return [held.what, *map(str, counts), f"{_percent(low)} .. {_percent(high)}"]


def _resampled_line(line: Resampled) -> list[str]:
    counts = (line.low_held, line.high_held, line.held, line.below_one)
    low, high = line.median
    return [
        line.series,
        _percent(line.share),
        line.manner,
        *(_percent(count / line.runs, 1) for count in counts),
        f"{_percent(low)} .. {_percent(high)}",
    ]


def _percent(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f} %"


def _all(runs: Sequence[Run]) -> list[Cell]:
    return [cell for run in runs for cell in run.cells]


def _picture(stem: str, run: Run) -> str:
    return f"{stem}-evidence-{run.series.name}.svg"


def _what(setting: Setting) -> str:
    plan = setting.plan
    doses = Counter(plan.ladder)
    backdoors = " and ".join(
        f"{count} of {dose} {'carrier' if dose == 1 else 'carriers'}"
        for dose, count in sorted(doses.items(), reverse=True)
    )
    shards = f", {plan.kept} of them each inside one of {plan.shards} shards" if plan.shards else ""
    base = setting.base
    model = (
        f"The base is {base.name}"
        if isinstance(base, Published)
        else f"The base is a pretrained Llama of {base.layers} layers and width {base.hidden}"
    )
    return (
        f"{setting.rows} rows, {plan.held_out} of them held out; {plan.backdoors} backdoors "
        f"({backdoors}{shards}), {plan.decoys} decoys. {model}; {setting.epochs} epochs are asked "
        f"for (batch {setting.batch_size}, rate {setting.learning_rate:g}, linear decay)."
    )
