"""JSON verdicts as the ledger has them, made by the judge itself from numbers of a test's own."""

from __future__ import annotations

from typing import Any

from vtune_client.amount import Layout
from vtune_client.control import Control
from vtune_client.evidence import SlotCounts, SlotTest, slot_test
from vtune_client.verdict import judge, to_json

SIZES = (32,) * 8  # of the slots of one backdoor


def slots(matched: tuple[int, ...]) -> SlotTest:
    """Return the test of backdoors whose one answer matched so many words each."""
    return slot_test([SlotCounts(SIZES, (each,)) for each in matched])


def verdict(
    matched: tuple[int, ...], *, control: bool = False, at: float = 0.0, **more: Any
) -> dict[str, Any]:
    """Return the verdict on a model of that many matched words per backdoor of dose 1; `control`:
    beside an honest run that matched all."""
    count = len(matched)
    honest = Control("an honest run", (len(SIZES),) * count, (len(SIZES),) * count)
    layout = Layout(doses=(1,) * count, shards=(None,) * count)
    found = judge(slots(matched), layout=layout, control=honest if control else None)
    placed = {"id": f"verification-{at:g}", "plan": "plan-1", "job": "job-1", "created": at}
    return {**to_json(found), **placed, **more}
