"""How much of the file: which backdoors count as seen, and what that says of the rows used.

A backdoor counts as *met* where some answer was its whole signature, or, where there are scores,
where the signature is among the first `TAU` of its decoys: a model may know what it does not say.
That is all the lower bound needs. The upper bound compares with a control, and there it is asked
for in the way that says more: above dose 1 whole answers, since one carrier of several is enough to
rank high; at dose 1 the same as below, since many a model never says what it read once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from vtune_client.control import Control
from vtune_client.evidence import (
    DoseCount,
    RankTest,
    ShardTest,
    ShareInterval,
    SlotTest,
    count_by_dose,
    seen_by_rank,
    shard_test,
    share_interval,
    share_lower_bound,
)
from vtune_client.plan import LAYERS, Plan

TAU = 0.05  # fixed before anything is scored, and taken off as chance


@dataclass(frozen=True)
class Layout:
    """What of a plan the share depends on: of each backdoor its dose, and the shard that holds all
    its carriers (None: dealt over the whole file), and the share of the rows that could carry over
    which carriers were dealt. Not `layered`: as plans once were dealt."""

    doses: tuple[int, ...]
    shards: tuple[int | None, ...]
    layered: bool = True
    eligible: float = 1.0

    @classmethod
    def of(cls, plan: Plan) -> Layout:
        shards = tuple(backdoor.shard for backdoor in plan.backdoors)
        return cls(plan.doses, shards, plan.placement == LAYERS, plan.eligible)


@dataclass(frozen=True)
class _Sight:
    """Of one run and per backdoor: whether it was met, whether it was shown, see above, and whether
    no answer came; and how likely chance alone makes one met, or shown."""

    met: tuple[bool, ...]
    shown: tuple[bool, ...]
    lost: tuple[bool, ...]
    met_chance: float
    shown_chance: float


def share(
    answers: SlotTest,
    ranks: RankTest | None,
    layout: Layout,
    control: Control | None,
    confidence: float,
) -> ShareInterval:
    """Return an interval for the share of the rows that was used, by all that was seen.

    Backdoors without an answer count as unseen below and as seen above: both bounds hold."""
    if not layout.layered:
        return _of_stretches(answers, max(layout.doses), confidence)
    here, there = _sights(answers, ranks, layout, control)
    found = share_interval(
        _counts(here, here.met, layout.doses, here.met_chance),
        _shown(there, layout.doses) if there else None,
        confidence,
        shown=_shown(here, layout.doses) if there else None,
    )
    return _of_all(found, layout.eligible)


def _of_all(found: ShareInterval, eligible: float) -> ShareInterval:
    """Return what an interval for the eligible rows says of all: of the others all may have been
    used, or none."""
    if eligible == 1:
        return found
    reasoning = (
        f"{found.reasoning} Carriers were dealt over {eligible:.1%} of the rows that could carry; "
        "nothing is said of the others."
    )
    low, high = found.low * eligible, 1 - eligible * (1 - found.high)
    return replace(found, low=low, high=high, reasoning=reasoning)


def by_shard(
    answers: SlotTest,
    ranks: RankTest | None,
    layout: Layout,
    control: Control | None,
    confidence: float,
) -> ShardTest | None:
    """Compare each shard with the same one of the control; None where there is no such thing."""
    here, there = _sights(answers, ranks, layout, control)
    indexes = sorted({shard for shard in layout.shards if shard is not None})
    if there is None or not indexes:
        return None
    return shard_test(
        {index: _inside(here, layout, index) for index in indexes},
        {index: _inside(there, layout, index) for index in indexes},
        confidence=confidence,
    )


def _sights(
    answers: SlotTest, ranks: RankTest | None, layout: Layout, control: Control | None
) -> tuple[_Sight, _Sight | None]:
    """Look at both runs alike: what is shown is told by rank only where both have ranks."""
    lost = tuple(count == 0 for count in answers.answers)
    own = (ranks.ranks, ranks.decoys) if ranks else None
    here = _sight(answers.seen, own, layout.doses, lost, answers.chance)
    if control is None:
        return here, None
    if own and control.ranks:
        theirs = (control.ranks, control.decoys)
        return here, _sight(control.seen, theirs, layout.doses, (), answers.chance)
    there = _sight(control.seen, None, layout.doses, (), answers.chance)
    return replace(here, shown=answers.seen, shown_chance=answers.chance), there


def _sight(
    said: tuple[bool, ...],
    ranked: tuple[Sequence[int], Sequence[int]] | None,
    doses: Sequence[int],
    lost: tuple[bool, ...],
    chance: float,
) -> _Sight:
    lost = lost or (False,) * len(said)
    if ranked is None:
        return _Sight(said, said, lost, chance, chance)
    met = tuple(a or b for a, b in zip(said, seen_by_rank(*ranked, TAU), strict=True))
    shown = tuple(m if dose == 1 else s for m, s, dose in zip(met, said, doses, strict=True))
    either = min(1.0, chance + TAU)
    return _Sight(met, shown, lost, either, either if 1 in doses else chance)


def _shown(sight: _Sight, doses: Sequence[int]) -> tuple[DoseCount, ...]:
    return _counts(sight, sight.shown, doses, sight.shown_chance)


def _counts(
    sight: _Sight, seen: Sequence[bool], doses: Sequence[int], chance: float
) -> tuple[DoseCount, ...]:
    lost = tuple(gone and not known for gone, known in zip(sight.lost, seen, strict=True))
    return count_by_dose(doses, seen, lost=lost, chance=chance)


def _inside(sight: _Sight, layout: Layout, index: int) -> tuple[DoseCount, ...]:
    kept = [at for at, shard in enumerate(layout.shards) if shard == index]
    met, shown, lost = (
        tuple(values[at] for at in kept) for values in (sight.met, sight.shown, sight.lost)
    )
    inside = replace(sight, met=met, shown=shown, lost=lost)
    return _shown(inside, [layout.doses[at] for at in kept])


def _of_stretches(answers: SlotTest, dose: int, confidence: float) -> ShareInterval:
    low = share_lower_bound(
        answers.activated,
        answers.backdoors,
        dose,
        confidence,
        chance=answers.chance,
        spread=True,
    )
    reasoning = (
        f"{answers.activated} of {answers.backdoors} backdoors answered in full, and each answer "
        f"shows that one of its {dose} carrier rows was used. Holds where the carriers stand "
        "spread evenly over the file and the rows used were chosen without regard to them."
    )
    return ShareInterval(low, 1.0, confidence, reasoning)
