"""The statistical tests: numbers in, numbers out.

Every p-value rests on randomness that we drew, never on a model of the model: under the null
hypothesis the served system is independent of our draw, and then each bound here holds whatever
the system is (design: Zhang, Pal, Potti, Goldblum 2024, arXiv 2411.06611, with one statistic per
independent secret in place of one trial per query). p-values are handled as log10 p, finite far
below what a float can hold, and are never 0.

The served system must stay independent of the draw until its last answer is in. So text is sampled
for all backdoors before anything is scored (scoring shows it the true signature among decoys), and
the true signature stands at a random place among its decoys in what is sent.
"""

from vtune_client.evidence.bounds import activation_gap, share_lower_bound
from vtune_client.evidence.holm import holm
from vtune_client.evidence.ranks import RankScores, RankTest, rank_test
from vtune_client.evidence.slots import SlotCounts, SlotTest, slot_test

__all__ = [
    "RankScores",
    "RankTest",
    "SlotCounts",
    "SlotTest",
    "activation_gap",
    "holm",
    "rank_test",
    "share_lower_bound",
    "slot_test",
]
