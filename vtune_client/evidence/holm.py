"""Several tests of one hypothesis: what remains of each p-value."""

from __future__ import annotations

import math
from collections.abc import Mapping


def holm(log10_ps: Mapping[str, float]) -> dict[str, float]:
    """Return Holm's adjusted p-values (Holm 1979), in log10, by name; valid under any dependence.

    The smallest is the p-value of all tests together. Raises `ValueError` for a value that is no
    log10 of a p-value: NaN, infinite (p = 0 does not occur), or above 0.
    """
    for name, value in log10_ps.items():
        if not math.isfinite(value) or value > 0:
            raise ValueError(f"test {name!r} has no valid log10 p-value: {value}")
    adjusted: dict[str, float] = {}
    floor = -math.inf
    ordered = sorted(log10_ps.items(), key=lambda item: item[1])
    for done, (name, value) in enumerate(ordered):
        floor = min(0.0, max(floor, value + math.log10(len(ordered) - done)))
        adjusted[name] = floor
    return {name: adjusted[name] for name in log10_ps}
