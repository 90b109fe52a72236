"""The positive control: an honest run of the same plan and recipe, as it was recorded.

No verdict says that something is missing without one: it shows what honest training on this file
looks like when it is asked in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vtune_client.evidence import RowScore


@dataclass(frozen=True)
class Control:
    """A run known to be honest. All but `source`, its name in reports, and `rows` is per backdoor.

    `slots` and `matched` are those of each signature and how many of them the best answer matched;
    `ranks` that of the signature among so many `decoys`, 1 for the first, empty where nothing was
    scored. `rows` are the scores of the rows asked about, of the kind `rows_kind`. `differs` names
    what of its recipe is known to be another than the delivered model's was to be: then it shows
    what honest training can look like, and nothing is held against a model that looks otherwise.
    Raises `ValueError` for counts that cannot be.
    """

    source: str
    slots: tuple[int, ...]
    matched: tuple[int, ...]
    ranks: tuple[int, ...] = ()
    decoys: tuple[int, ...] = ()
    rows: tuple[RowScore, ...] = field(default=(), repr=False)
    rows_kind: str | None = None
    differs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.slots or len(self.slots) != len(self.matched):
            raise ValueError("a control has slots and matches of each backdoor, at least 1")
        if not all(0 <= m <= s for m, s in zip(self.matched, self.slots, strict=True)):
            raise ValueError("a control matches between 0 and all slots of a backdoor")
        if len(self.ranks) != len(self.decoys) or len(self.ranks) not in (0, len(self.slots)):
            raise ValueError("a control has a rank among decoys of each backdoor, or of none")

    @property
    def backdoors(self) -> int:
        return len(self.slots)

    @property
    def activated(self) -> int:
        return sum(self.seen)

    @property
    def seen(self) -> tuple[bool, ...]:
        """Whether some answer matched every slot, per backdoor."""
        return tuple(m == s for m, s in zip(self.matched, self.slots, strict=True))

    @property
    def shares(self) -> tuple[float, ...]:
        """Share of slots matched by the best answer, per backdoor."""
        return tuple(m / s for m, s in zip(self.matched, self.slots, strict=True))


def control_of(verdict: Mapping[str, Any], source: str) -> Control | None:
    """Return the control that a recorded JSON verdict makes; None where it stopped asking early."""
    tests = {test["name"]: test for test in verdict["tests"]}
    if "slots" not in tests:
        return None
    slots = tests["slots"]
    ranks = next((test for name, test in tests.items() if name.startswith("ranks")), None)
    rows = verdict.get("rows")
    return Control(
        source=source,
        slots=tuple(len(sizes) for sizes in slots["slot_sizes"]),
        matched=tuple(slots["matched"]),
        ranks=tuple(ranks["ranks"]) if ranks else (),
        decoys=tuple(ranks["decoys"]) if ranks else (),
        rows=tuple(RowScore(*row) for row in rows["scores"]) if rows else (),
        rows_kind=rows["kind"] if rows else None,
    )
