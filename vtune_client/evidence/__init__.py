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

from vtune_client.evidence.bounds import share_lower_bound
from vtune_client.evidence.candidates import ListedSlot, candidates_test
from vtune_client.evidence.evalues import (
    Matched,
    Stakes,
    backdoor_log10_e,
    ebh,
    rank_log10_e,
    slot_log10_e,
)
from vtune_client.evidence.exchange import ExchangeTest, RowScore, exchange_test, gain, gaps
from vtune_client.evidence.foresight import DoseSight, Sight, sees
from vtune_client.evidence.gap import RunGap, run_gap
from vtune_client.evidence.holm import holm
from vtune_client.evidence.ranks import (
    RankScores,
    RankTest,
    first_ranks_test,
    rank_test,
    ranks_tested,
)
from vtune_client.evidence.rows_verdict import (
    RowsControl,
    RowsOutcome,
    RowsVerdict,
    rows_verdict,
)
from vtune_client.evidence.sequential import AnytimeTest, Question, Result, Running, replay
from vtune_client.evidence.shards import Shard, ShardTest, shard_test
from vtune_client.evidence.shares import (
    DoseCount,
    ShareInterval,
    count_by_dose,
    seen_by_rank,
    share_at_least,
    share_at_most,
    share_interval,
)
from vtune_client.evidence.similarity import similarity
from vtune_client.evidence.slots import SlotCounts, SlotTest, slot_test
from vtune_client.evidence.trend import GapTest, TrendTest, dose_gap, dose_trend

__all__ = [
    "AnytimeTest",
    "DoseCount",
    "DoseSight",
    "ExchangeTest",
    "GapTest",
    "ListedSlot",
    "Matched",
    "Question",
    "RankScores",
    "RankTest",
    "Result",
    "RowScore",
    "RowsControl",
    "RowsOutcome",
    "RowsVerdict",
    "RunGap",
    "Running",
    "Shard",
    "ShardTest",
    "ShareInterval",
    "Sight",
    "SlotCounts",
    "SlotTest",
    "Stakes",
    "TrendTest",
    "backdoor_log10_e",
    "candidates_test",
    "count_by_dose",
    "dose_gap",
    "dose_trend",
    "ebh",
    "exchange_test",
    "first_ranks_test",
    "gain",
    "gaps",
    "holm",
    "rank_log10_e",
    "rank_test",
    "ranks_tested",
    "replay",
    "rows_verdict",
    "run_gap",
    "seen_by_rank",
    "sees",
    "shard_test",
    "share_at_least",
    "share_at_most",
    "share_interval",
    "share_lower_bound",
    "similarity",
    "slot_log10_e",
    "slot_test",
]
