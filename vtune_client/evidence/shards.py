"""Was a stretch of the file dropped? Each shard against the same shard of a control."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vtune_client.evidence.holm import holm
from vtune_client.evidence.shares import DoseCount, ShareInterval, share_interval
from vtune_client.evidence.trend import dose_gap


@dataclass(frozen=True)
class Shard:
    """One stretch of the file: what share of it was used, and p for "used as in the control"."""

    index: int
    share: ShareInterval
    log10_p: float
    adjusted_log10_p: float


@dataclass(frozen=True)
class ShardTest:
    """The outcome, shard by shard; `dropped` are those whose adjusted p is at most `alpha`.

    The shares hold all together with `confidence`; `10**log10_p` bounds the probability of this
    small a p for some shard where every shard was used as in the control.
    """

    name: str
    log10_p: float
    alpha: float
    confidence: float
    shards: tuple[Shard, ...]
    dropped: tuple[int, ...]


def shard_test(
    delivered: Mapping[int, Sequence[DoseCount]],
    control: Mapping[int, Sequence[DoseCount]],
    *,
    alpha: float = 0.01,
    confidence: float = 0.95,
    name: str = "shards",
) -> ShardTest:
    """Compare every shard of the delivered run with the same shard of the control.

    Counts are given per shard, for the backdoors that lie wholly inside it. A shard is compared by
    Fisher's exact test stratified by dose (`dose_gap`), all shards are adjusted by Holm. A dropped
    shard is one that shows fewer backdoors than the control's: mostly not used, or used less.
    Raises `ValueError` where the two do not have the same shards, or none.
    """
    if not delivered or delivered.keys() != control.keys():
        raise ValueError("both runs have the same shards, at least 1")
    if not 0 < alpha < 1:
        raise ValueError("alpha lies within (0, 1)")
    indexes = sorted(delivered)
    log10_ps = {k: dose_gap(delivered[k], control[k]).log10_p for k in indexes}
    adjusted = holm({str(k): log10_ps[k] for k in indexes})
    each = 1 - (1 - confidence) / len(indexes)
    shards = tuple(
        Shard(k, share_interval(delivered[k], control[k], each), log10_ps[k], adjusted[str(k)])
        for k in indexes
    )
    return ShardTest(
        name=name,
        log10_p=min(adjusted.values()),
        alpha=alpha,
        confidence=confidence,
        shards=shards,
        dropped=tuple(s.index for s in shards if s.adjusted_log10_p <= math.log10(alpha)),
    )
