"""What all tests together found of one delivered model, before it is put into words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from vtune_client.control import Control
from vtune_client.evidence import (
    AnytimeTest,
    ExchangeTest,
    RankTest,
    RowsOutcome,
    RowsVerdict,
    RunGap,
    ShardTest,
    ShareInterval,
    SlotTest,
)

Evidence = SlotTest | RankTest | ExchangeTest | AnytimeTest

# How unlikely the gap to the control must be before silence is called more than silence.
GAP_ALPHA = 0.01
# A test this far off chance is a trace of the file: whoever left one is not accused.
TRACE = 0.01
# A test no farther off chance than this knows nothing of what another one shows.
BLIND = 0.05


class Outcome(StrEnum):
    """What a verdict says. PARTIAL: verified, and it shows less of the file than a control does."""

    VERIFIED = "verified"
    PARTIAL = "partial"
    NOT_VERIFIED = "not verified"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Facts:
    """All that a verdict rests on. `adjusted` holds log10 p after Holm's adjustment, by test."""

    alpha: float
    tests: tuple[Evidence, ...]
    adjusted: Mapping[str, float]
    answers: SlotTest | None
    control: Control | None = None
    gap: RunGap | None = None
    rows: RowsVerdict | None = None
    share: ShareInterval | None = None
    shards: ShardTest | None = None

    @property
    def log10_p(self) -> float:
        return min(self.adjusted.values(), default=0.0)

    @property
    def rejected(self) -> bool:
        """Whether some test shows that the file reached the system."""
        return self.log10_p <= math.log10(self.alpha)

    @property
    def ranks(self) -> RankTest | None:
        """The test that has a rank of each backdoor."""
        found = (test for test in self.tests if isinstance(test, RankTest))
        return next((test for test in found if test.name.startswith("ranks")), None)

    @property
    def backdoors_show(self) -> bool:
        """Whether the backdoors alone, without the rows, show it."""
        names = [test.name for test in self.tests if not isinstance(test, ExchangeTest)]
        return min((self.adjusted[name] for name in names), default=0.0) <= math.log10(self.alpha)

    @property
    def rows_missing(self) -> bool:
        """Whether the backdoors show, and the rows do not that show in the control."""
        return self.rows is not None and self.rows.outcome is RowsOutcome.LESS

    @property
    def apart(self) -> bool:
        """Whether the model answers measurably less than the control."""
        return self.gap is not None and self.gap.log10_p <= math.log10(GAP_ALPHA)

    @property
    def accusable(self) -> bool:
        """Whether what the control shows may be held against the model: recipes are the same, as
        far as is known, and no test finds a trace."""
        same = self.control is not None and not self.control.differs
        return same and self.log10_p > math.log10(TRACE)

    @property
    def outcome(self) -> Outcome:
        if self.rejected:
            return Outcome.PARTIAL if self._part() else Outcome.VERIFIED
        if self.apart and self.accusable:
            return Outcome.NOT_VERIFIED
        return Outcome.INCONCLUSIVE

    @property
    def looked_up(self) -> bool:
        """Whether answers give what the system's own scores do not know."""
        if self.answers is None or self.answers.log10_p > math.log10(self.alpha):
            return False
        ranked = [test for test in self.tests if isinstance(test, RankTest)]
        return bool(ranked) and min(test.log10_p for test in ranked) > math.log10(BLIND)

    def _part(self) -> bool:
        below = self.share is not None and self.share.high < 1
        dropped = self.shards is not None and bool(self.shards.dropped)
        return below or dropped or self.rows_missing
