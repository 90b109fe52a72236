"""Which plan suits a file of so many rows, by what was measured: benchmarks/results/power.md."""

from __future__ import annotations

FEWEST = 50  # rows per carrier, where there is more than the least
LEAST = (4,) * 5
ONCE = (60, 40, 20)  # backdoors of dose 1 beside the least, the most there is room for


def recommended(rows: int, reserve: int = 0) -> tuple[int, ...]:
    """Return the dose of each backdoor to plant in a file of `rows` rows.

    Five backdoors of dose 4 always: small models, too, say what they read four times, so these
    verify, but all five answering certify just 18 % of the rows. What tells how much was
    used are backdoors of dose 1: from 2,000 rows on 20 of them, from 3,000 on 40, from 4,000 on 60,
    so that at most 2 % of the rows carry, a `reserve` of so many backdoors of dose 4 included. If
    all are seen, in answers or by rank, at least 81, 90 or 93 % of the rows were used, and with an
    honest control a vendor who uses 35, 62 or 74 % of them or less is found to have used a part,
    nine times in ten. Many a model does not say what it read once, but ranks it: without scores the
    bounds may be those of dose 4, or worse.

    The price: a prompt or four and a line-up of decoys for each backdoor, 5 to 13 times those of
    the least. Raises `ValueError` for a negative number of rows.
    """
    if rows < 0:
        raise ValueError("a file has no negative number of rows")
    room = rows // FEWEST - sum(LEAST) - reserve * max(LEAST)
    return LEAST + (1,) * next((count for count in ONCE if count <= room), 0)
