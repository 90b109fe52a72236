"""Bounds on a mean success probability from a count, also where the trials are unlike."""

from __future__ import annotations

import math

from vtune_client.evidence.logspace import log_sum


def least_probability(hits: int, trials: int, confidence: float) -> float:
    """Return the lower bound of Clopper and Pearson (1934) on p from `hits` of `trials`.

    The largest p found with P(Binomial(trials, p) >= hits) <= 1 - confidence: exact for independent
    trials of one probability.
    """
    if hits == 0:
        return 0.0
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if log_binomial_tail(hits, trials, middle) <= math.log1p(-confidence):
            low = middle
        else:
            high = middle
    return low


def least_mean(hits: int, trials: int, confidence: float) -> float:
    """Return a lower bound on the mean probability of independent trials that may be unlike.

    By Hoeffding (1956) at least `hits` successes are never likelier than with equal probabilities,
    as long as the expected number is at most `hits` - 1; so the bound of Clopper and Pearson holds
    up to there. A single hit is left to Markov's inequality.
    """
    if hits == 1:
        return (1 - confidence) / trials
    return min(least_probability(hits, trials, confidence), max(hits - 1, 0) / trials)


def most_mean(hits: int, trials: int, confidence: float) -> float:
    """Return an upper bound on the mean probability of independent trials that may be unlike."""
    return 1 - least_mean(trials - hits, trials, confidence)


def log_binomial_tail(hits: int, trials: int, p: float) -> float:
    """Return log P(Binomial(trials, p) >= hits) for 0 < p < 1."""
    yes, no = math.log(p), math.log1p(-p)
    return log_sum(
        [
            math.lgamma(trials + 1)
            - math.lgamma(k + 1)
            - math.lgamma(trials - k + 1)
            + k * yes
            + (trials - k) * no
            for k in range(hits, trials + 1)
        ]
    )
