"""What a detector is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from vtune_client.stealth.samples import Sample


class Detector(Protocol):
    """Suspects rows from the rows alone: it knows neither the plan nor the untouched file.

    `looks_for` and `advice` are one line each for the reader of a report: what gives carriers away,
    and what to change in a plan where it does.
    """

    name: str
    looks_for: str
    advice: str

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        """Return one score per row, in order; the higher, the more suspicious."""
