"""Cells as verdicts would fill them, without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from benchmarks.gauntlet.drill import Cell, Setting

SETTING = Setting()
SIZES = [[32] * 8] * 5


def cell(
    vendor: str,
    seed: int,
    verdict: str = "verified",
    matched: Sequence[int] = (8,) * 5,
    trained: float = 0.5,
    ends: tuple[float, float] | None = (0.104, 1.0),
) -> Cell:
    """Return a cell of the default setting; `matched` words of each backdoor came back."""
    slots = {"name": "slots", "log10_p": -13.0, "matched": list(matched), "slot_sizes": SIZES}
    verification: dict[str, Any] = {
        "verdict": verdict,
        "log10_p": -12.5,
        "activated": sum(count == 8 for count in matched),
        "backdoors": 5,
        "slots_matched": sum(matched),
        "tests": [slots],
        "share": {"low": ends[0], "high": ends[1]} if ends else None,
        "control": None,
    }
    return Cell(
        SETTING.digest, vendor, seed, trained, 1030, 9.5, 2.0, verification, used=[4] * 5, early=1
    )


def ranked(found: Cell, ranks: Sequence[int]) -> Cell:
    """Return the cell with ranks among 100 decoys besides."""
    name = "ranks over the base"
    test = {"name": name, "log10_p": -3.0, "ranks": list(ranks), "decoys": [100] * len(ranks)}
    return told(found, tests=[*found.verification["tests"], test])


def told(found: Cell, **more: Any) -> Cell:
    """Return the cell with more in its verdict."""
    return replace(found, verification={**found.verification, **more})
