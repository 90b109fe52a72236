"""Does the delivered model answer less than a control, an honest run of the same plan, did?

Under the hypothesis that the vendor trained as the control was, how well a backdoor is answered
comes from one distribution in both runs, whichever secret it has: the doses were dealt to the
secrets by our key. So within one dose every way to deal the runs over the answers is as likely, and
the rank sum over them has a known distribution. (That both runs met the same secrets makes a
backdoor's two answers alike, if anything, and so the test more cautious.)

What this supposes is that backdoors take independently of each other. Luck that befalls a whole
run, such as another order of the rows, it does not know of; so a gap by itself accuses nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtune_client.draw import Draw
from vtune_client.evidence.rank_sum import Item, rank_sum

# Relabellings, where there are too many to count, need not be secret: nothing here was sent.
_PUBLIC = b"vtune gap to the control"


@dataclass(frozen=True)
class RunGap:
    """The outcome: `10**log10_p` is P(delivered answers as far below the control's, or farther).

    `auc` is the share of pairs of a control's and a delivered backdoor of one dose in which the
    control's is answered better, ties half. `backdoors` counts those compared, of the delivered."""

    log10_p: float
    auc: float
    backdoors: int
    method: str


def run_gap(
    delivered: Sequence[float | None], control: Sequence[float | None], doses: Sequence[int]
) -> RunGap:
    """Test whether the delivered model answers its backdoors less well than the control does.

    All three are per backdoor: the share of its slots that the best answer matched, None where no
    answer came (a lost query is not silence), and its dose. Raises `ValueError` for lists that do
    not fit.
    """
    rows = list(zip(delivered, control, doses, strict=True))
    strata: dict[int, list[Item]] = {dose: [] for dose in doses}
    for here, there, dose in rows:
        strata[dose] += [(False, here)] if here is not None else []
        strata[dose] += [(True, there)] if there is not None else []
    found = rank_sum([items for items in strata.values() if items], Draw(_PUBLIC, "relabellings"))
    compared = sum(here is not None for here in delivered)
    return RunGap(found.log10_p, found.auc, compared, found.method)
