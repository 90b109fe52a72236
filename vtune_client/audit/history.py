"""A check over time: its runs, and what can be said to have got worse.

Two rules, and no others: the verdict's word is a worse one than the run's before, or two runs of
one plan differ in how many words their backdoors answer, by the exact rank sum (`run_gap`) at 0.01
after Holm's adjustment over all checks. Changes of p-values or of bounds alone are noise as far as
anybody knows, and are shown and never spoken of.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from vtune_client.evidence import holm, run_gap
from vtune_client.statements import format_p

WORSE_ALPHA = 0.01
ORDER = ("verified", "partial", "inconclusive", "not verified")  # from good to bad


def moment(verdict: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the history shows of one run."""
    share = verdict.get("share")
    return {
        "verification": verdict["id"],
        "plan": verdict["plan"],
        "job": verdict["job"],
        "at": verdict["created"],
        "verdict": verdict["verdict"],
        "log10_p": verdict["log10_p"],
        "share": {"low": share["low"], "high": share["high"]} if share else None,
        "activated": verdict["activated"],
        "backdoors": verdict["backdoors"],
    }


def worse(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, tuple[str, ...]]:
    """Return what got worse from the last run but one to the last, in sentences, by check.

    `histories` are the JSON verdicts of every check's finished runs, the oldest first."""
    pairs = {name: (runs[-2], runs[-1]) for name, runs in histories.items() if len(runs) > 1}
    gaps = {name: gap for name, pair in pairs.items() if (gap := _gap(*pair)) is not None}
    adjusted = holm(gaps)
    said: dict[str, tuple[str, ...]] = {}
    for name, (before, now) in pairs.items():
        found = []
        if ORDER.index(now["verdict"]) > ORDER.index(before["verdict"]):
            found.append(f"The verdict was {before['verdict']}, and is {now['verdict']}.")
        if adjusted.get(name, 0.0) <= math.log10(WORSE_ALPHA):
            found.append(
                "The same backdoors are answered less well than in the run before "
                f"(exact rank sum, adjusted p = {format_p(adjusted[name])})."
            )
        if found:
            said[name] = tuple(found)
    return said


def _gap(before: Mapping[str, Any], now: Mapping[str, Any]) -> float | None:
    """Return log10 p of `now` answering as much less as it does; None where they do not compare."""
    one, other = _answered(before), _answered(now)
    doses = (now.get("layout") or {}).get("doses")
    if before["plan"] != now["plan"] or not (one and other and doses):
        return None
    if not len(one) == len(other) == len(doses):
        return None
    return run_gap(other, one, doses).log10_p


def _answered(verdict: Mapping[str, Any]) -> list[float | None]:
    """Return the share of words of each backdoor's best answer; None for one without an answer."""
    slots = next((test for test in verdict["tests"] if test["name"] == "slots"), None)
    if slots is None:
        return []
    counts = zip(slots["matched"], slots["slot_sizes"], slots["answers"], strict=True)
    return [matched / len(sizes) if answers else None for matched, sizes, answers in counts]
