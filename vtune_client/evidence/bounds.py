"""What activations say beyond yes or no where carriers stand in stretches: a share of the rows."""

from __future__ import annotations

import math

from vtune_client.evidence.binomial import least_mean, least_probability


def share_lower_bound(
    answered: int,
    backdoors: int,
    dose: int,
    confidence: float = 0.95,
    *,
    chance: float = 0.0,
    spread: bool = False,
) -> float:
    """Return a lower confidence bound on the share of the file's rows that were used.

    An answer proves that at least one of the backdoor's `dose` carriers was used. Where each
    carrier stands at a place of its own, uniform over the whole file, a share s is seen by a
    backdoor with probability 1 - (1 - s)**dose; so with h the Clopper-Pearson lower bound on the
    probability of an answer, s >= 1 - (1 - h)**(1/dose).

    Where carriers are `spread` evenly, one per backdoor in each of `dose` stretches of the file,
    that fails: the first stretch alone makes every backdoor answer. Then s is at least the bound
    for `answered` rows used out of all `backdoors * dose` carriers, which holds either way. At dose
    1 the two are the same.

    Backdoors of several doses: give the largest. `chance` bounds the probability that a backdoor
    nobody saw answers all the same; it is taken off first. Both bounds suppose that the rows used
    were chosen without regard to which of them are carriers, and few carriers among many rows.
    Raises `ValueError` for counts that cannot be.
    """
    _check_counts(answered, backdoors)
    if dose < 1:
        raise ValueError("a dose is at least 1")
    if not 0 < confidence < 1 or not 0 <= chance <= 1:
        raise ValueError("confidence lies within (0, 1) and chance within [0, 1]")
    trials, lucky = (backdoors * dose, chance / dose) if spread else (backdoors, chance)
    least = least_mean if spread else least_probability
    lowest = least(answered, trials, confidence)
    if lowest <= lucky:
        return 0.0
    seen = (lowest - lucky) / (1 - lucky)
    return seen if spread else -math.expm1(math.log1p(-seen) / dose)


def _check_counts(some: int, of: int) -> None:
    if of < 1 or not 0 <= some <= of:
        raise ValueError(f"cannot have {some} of {of} backdoors")
