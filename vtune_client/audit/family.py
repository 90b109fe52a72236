"""All claims of an audit at once: which of them are still claims after correction.

Whoever checks fifty vendors at 1e-6 each has fifty chances to be wrong. The family is every check
of the audit's file, fixed before anything is asked; one without a verdict counts as p = 1. By Holm
the probability that any claim is false is at most alpha, by e-BH (on e-values) the expected share
of false ones among those claimed is. Both hold however the checks hang together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vtune_client.evidence import ebh, holm


@dataclass(frozen=True)
class Corrected:
    """What remains of one check: its p-value after Holm's adjustment in log10 (None by e-BH, which
    adjusts none), and whether it is a claim still."""

    log10_p: float | None
    survives: bool


def corrected(
    verdicts: Mapping[str, Mapping[str, Any] | None], alpha: float, method: str
) -> dict[str, Corrected]:
    """Return what remains of every check by name; `method` is "holm" or "e-bh".

    `verdicts` are the JSON verdicts of all checks of the audit, None where there is none yet."""
    if method == "e-bh":
        found = {name: _log10_e(verdict) for name, verdict in verdicts.items()}
        kept = set(ebh(found, alpha))
        return {name: Corrected(None, name in kept) for name in verdicts}
    ps = {name: verdict["log10_p"] if verdict else 0.0 for name, verdict in verdicts.items()}
    return {
        name: Corrected(log10_p, log10_p <= math.log10(alpha)) for name, log10_p in holm(ps).items()
    }


def _log10_e(verdict: Mapping[str, Any] | None) -> float:
    """Return the e-value as asking ended; 0, the e-value of nothing, where there is none."""
    anytime = verdict.get("anytime") if verdict else None
    return float(anytime["log10_e"]) if anytime else -math.inf
