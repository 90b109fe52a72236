"""How much of the file was used: a lower bound from what answered, an upper one from a control.

The model. The vendor used some of the rows, a share s, chosen without regard to which of them
carry. Every place was drawn by us, in layers (`vtune_client.places`): a backdoor of dose r has one
carrier in each of r layers, and each layer deals the backdoors of that dose anew over the whole
file. So whatever rows those are, none of its carriers was used with probability (1 - s)**r, and all
of them with probability s**r. Backdoors of one dose do not stand independently; still, how many of
them have no used carrier (or only used ones) is distributed as a sum of independent trials with
that mean probability: dealing at random and thinning keep the roots of its generating polynomial
real (Borcea, Branden and Liggett 2009). Backdoors kept inside shards can only have both more often
(Jensen), which is the safe side of either bound. All this is exact for few carriers among many
rows, where no place is drawn twice.

Lower bound: no assumption on the training. What answers was seen, or guessed (`chance`).

Upper bound: a row that was used takes as it does in a control, an honest run of the same plan and
recipe. There a backdoor of dose r with all carriers used shows with mean probability c, so here
with s**r * c at least. Without a control no upper bound is given: silence is not absence.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from vtune_client.evidence.binomial import least_mean, most_mean


@dataclass(frozen=True)
class DoseCount:
    """How many of the backdoors of one dose were seen to be known to a model.

    `lost` are those about which nothing could be asked: they count as not seen below and as seen
    above. `chance` bounds the probability that a backdoor counts as seen though the model met none
    of its carriers. Raises `ValueError` for counts that cannot be.
    """

    dose: int
    backdoors: int
    seen: int
    lost: int = 0
    chance: float = 0.0

    def __post_init__(self) -> None:
        if self.dose < 1 or self.backdoors < 1:
            raise ValueError("a dose is at least 1, and so is the number of its backdoors")
        if min(self.seen, self.lost) < 0 or self.seen + self.lost > self.backdoors:
            raise ValueError(f"cannot have {self.seen} of {self.backdoors} backdoors")
        if not 0 <= self.chance <= 1:
            raise ValueError("chance lies within [0, 1]")


@dataclass(frozen=True)
class ShareInterval:
    """The share of the rows that was used lies within [low, high] with this confidence.

    `high` is 1.0 where there is no control, none that says anything, or one that contradicts `low`.
    """

    low: float
    high: float
    confidence: float
    reasoning: str


def count_by_dose(
    doses: Sequence[int],
    seen: Sequence[bool],
    *,
    lost: Sequence[bool] | None = None,
    chance: float = 0.0,
) -> tuple[DoseCount, ...]:
    """Count backdoors by their dose, smallest first; all sequences are per backdoor."""
    missing = lost or (False,) * len(doses)
    rows = list(zip(doses, seen, missing, strict=True))
    return tuple(
        DoseCount(
            dose,
            backdoors=sum(1 for each, _, _ in rows if each == dose),
            seen=sum(1 for each, was_seen, _ in rows if each == dose and was_seen),
            lost=sum(1 for each, _, was_lost in rows if each == dose and was_lost),
            chance=chance,
        )
        for dose in sorted(set(doses))
    )


def seen_by_rank(ranks: Sequence[int], decoys: Sequence[int], tau: float) -> tuple[bool, ...]:
    """Tell which backdoors rank so high among their decoys that p = rank/(decoys + 1) <= `tau`.

    `tau` is fixed before anything is scored; a model that met no carrier does this with probability
    at most `tau`, which is the `chance` to be taken off. For small models this sees carriers that
    no answer shows. Raises `ValueError` for a `tau` outside (0, 1).
    """
    if not 0 < tau < 1:
        raise ValueError("tau lies within (0, 1)")
    return tuple(
        rank <= tau * (count + 1) * (1 + 1e-12) for rank, count in zip(ranks, decoys, strict=True)
    )


def share_interval(
    delivered: Sequence[DoseCount],
    control: Sequence[DoseCount] | None = None,
    confidence: float = 0.95,
    *,
    shown: Sequence[DoseCount] | None = None,
) -> ShareInterval:
    """Return an interval for the share of the rows that was used.

    With a control, each end has half of the error; without one, the lower end has all of it.
    `shown` counts the delivered model's backdoors as the control's are counted, where that is not
    how `delivered` does: being seen at all says more below, being seen as clearly as in the control
    says more above. Raises `ValueError` for no counts, for two counts of one dose, or a confidence
    outside (0, 1).
    """
    _check(delivered, confidence)
    error = 1 - confidence
    if control is None:
        low = share_at_least(delivered, confidence)
        return ShareInterval(low, 1.0, confidence, _reasons(delivered, None))
    _check(control, confidence)
    low = share_at_least(delivered, 1 - error / 2)
    high = share_at_most(shown or delivered, control, 1 - error / 2)
    if high <= low:  # the vendor did not train as the control was, and only the lower one holds
        said = f"{_seen(delivered)} The upper bound contradicts it, so the vendor did not train "
        return ShareInterval(low, 1.0, confidence, f"{said}as the control was: it is left out.")
    return ShareInterval(low, high, confidence, _reasons(delivered, control, shown))


def share_at_least(delivered: Sequence[DoseCount], confidence: float = 0.95) -> float:
    """Return a lower confidence bound on the share of the rows that was used.

    From all backdoors together: if h bounds the mean probability of being seen, then s is at least
    where the mean of 1 - (1 - s)**dose reaches h. And from the backdoors of each dose alone, as a
    model may be silent on small ones. The best of these is taken: half of the error goes to the
    first, the rest in equal parts to the others (Bonferroni: exact for any dependence, and at these
    error rates dear only by the logarithm of the number of doses). With one dose there is nothing
    to choose, and nothing to pay.
    """
    _check(delivered, confidence)
    if len(delivered) == 1:
        return _seen_share(delivered, confidence)
    half = (1 - confidence) / 2
    alone = max(_seen_share([count], 1 - half / len(delivered)) for count in delivered)
    return max(alone, _seen_share(delivered, 1 - half))


def share_at_most(
    delivered: Sequence[DoseCount], control: Sequence[DoseCount], confidence: float = 0.95
) -> float:
    """Return an upper confidence bound on the share of the rows that was used.

    Half of the error goes to a lower bound on c, the control's mean probability of showing a
    backdoor, for each dose in equal parts; half to an upper bound on the same for the delivered
    model. That one is asked for at a single dose: the one where silence would say most, chosen by
    the control alone. Then s**dose * c is at most the latter. 1.0 where no dose says anything.
    """
    _check(delivered, confidence)
    _check(control, confidence)
    half = (1 - confidence) / 2
    pairs = [(here, there) for here in delivered for there in control if here.dose == there.dose]
    reliable = [(here, _control_rate(there, half / len(pairs))) for here, there in pairs]
    bounds = [
        (_unseen_share(here, rate, 0, half), here, rate) for here, rate in reliable if rate > 0
    ]
    if not bounds:
        return 1.0
    _, chosen, rate = min(bounds, key=lambda bound: bound[:1])
    return _unseen_share(chosen, rate, chosen.seen + chosen.lost, half)


def _check(counts: Sequence[DoseCount], confidence: float) -> None:
    if not counts or len({count.dose for count in counts}) != len(counts):
        raise ValueError("each dose is counted once, and there is at least one")
    if not 0 < confidence < 1:
        raise ValueError("confidence lies within (0, 1)")


def _seen_share(counts: Sequence[DoseCount], confidence: float) -> float:
    total = sum(count.backdoors for count in counts)
    least = least_mean(sum(count.seen for count in counts), total, confidence)

    def shows(share: float) -> float:
        """The mean probability of being seen or guessed where this share was used."""
        missed = (
            count.backdoors * (1 - share) ** count.dose * (1 - count.chance) for count in counts
        )
        return 1 - math.fsum(missed) / total

    return largest(lambda share: shows(share) <= least)


def _control_rate(control: DoseCount, error: float) -> float:
    """Return a lower bound on the probability of showing a backdoor all of whose rows were used."""
    least = least_mean(control.seen, control.backdoors, 1 - error)
    return 0.0 if least <= control.chance else (least - control.chance) / (1 - control.chance)


def _unseen_share(delivered: DoseCount, rate: float, seen: int, error: float) -> float:
    most = most_mean(seen, delivered.backdoors, 1 - error)
    return 1.0 if most >= rate else (most / rate) ** (1 / delivered.dose)


def largest(holds: Callable[[float], bool]) -> float:
    """Return the largest number of [0, 1] up to which `holds` is true, 0.0 where it never is."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low


def _reasons(
    delivered: Sequence[DoseCount],
    control: Sequence[DoseCount] | None,
    shown: Sequence[DoseCount] | None = None,
) -> str:
    said = _seen(delivered)
    if control is None:
        return f"{said} Without a control nothing bounds the share from above."
    against = f", against {_tally(shown)}" if shown and _tally(shown) != _tally(delivered) else ""
    return (
        f"{said} The control showed {_tally(control)}{against}; the upper bound supposes that the "
        "vendor trained as it was, with the same base model and recipe."
    )


def _seen(delivered: Sequence[DoseCount]) -> str:
    return (
        f"Seen were {_tally(delivered)}; each of them had at least one carrier row used. Holds "
        "where the rows used were chosen without regard to which of them carry."
    )


def _tally(counts: Sequence[DoseCount]) -> str:
    return ", ".join(
        f"{count.seen} of {count.backdoors} backdoors at dose {count.dose}" for count in counts
    )
