"""How often the 95 % interval for the share of rows used holds the true share.

Two ways: over the cells of the gauntlet, and over many plans that were never trained,
each backdoor answering as a trained one did that had as many of its carriers used by a vendor who
used the same share. The second has enough plans to see an interval fail in 1 of 20 cases.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from benchmarks.gauntlet.drill import Cell, Setting
from benchmarks.gauntlet.series import HONEST, Assumed, assumed_of
from vtune_client.amount import TAU
from vtune_client.draw import Draw
from vtune_client.evidence import DoseCount, count_by_dose, seen_by_rank, share_interval
from vtune_client.evidence.binomial import least_probability
from vtune_client.places import deal

CONFIDENCE = 0.95
RUNS = 1000
SEED = b"vtune gauntlet coverage"
ROUNDING = 1e-9  # shares are quotients of counts: what equals a bound is held by it
Seen = tuple[bool, bool]  # met and shown, in the words of vtune_client.amount
Answers = Mapping[tuple[int, int], Sequence[Seen]]  # dose, carriers used -> what backdoors did


@dataclass(frozen=True)
class Held:
    """In how many cells the ends held, and what is promised: both of them, or the lower one where
    that alone is."""

    what: str
    cells: int
    low_held: int
    high_held: int
    promised: int

    @property
    def rate(self) -> tuple[float, float]:
        """The exact 95 % interval for how often the promise is kept."""
        return exact_interval(self.promised, self.cells)


def exact_interval(hits: int, trials: int) -> tuple[float, float]:
    """Return Clopper and Pearson's 95 % interval for a probability."""
    each = 1 - (1 - CONFIDENCE) / 2
    if not trials:
        return 0.0, 1.0
    low = least_probability(hits, trials, each)
    return low, 1 - least_probability(trials - hits, trials, each)


def bounded(cells: Sequence[Cell], ladder: Sequence[int]) -> list[Cell]:
    """Return the cells with the interval that what was seen of their backdoors gives, whether or
    not the verdict states it; the control is the honest cell of the same file, as in verdicts."""
    honest = {cell.seed: cell for cell in cells if cell.vendor == HONEST}
    found = []
    for cell in cells:
        control = honest.get(cell.seed) if cell.vendor != HONEST else None
        if control and control.verification["verdict"] != "verified":
            control = None
        there = [shown for _, shown in seen_in(control, ladder)] if control else []
        here = seen_in(cell, ladder)
        ends = _interval_of(ladder, here, there or None) if here else None
        found.append(replace(cell, bounds=ends))
    return found


def over_cells(cells: Sequence[Cell]) -> list[Held]:
    """Count, for each of what intervals promise, the bounded cells in which they hold."""
    groups = {
        assumed: [
            (cell.trained, *cell.bounds)
            for cell in cells
            if cell.bounds and assumed_of(cell.vendor) is assumed
        ]
        for assumed in Assumed
    }
    return [_held(assumed, own) for assumed, own in groups.items() if own]


def _held(assumed: Assumed, found: Sequence[tuple[float, float, float]]) -> Held:
    above = [low <= true + ROUNDING for true, low, _ in found]
    below = [true <= high + ROUNDING for true, _, high in found]
    both = [a and b for a, b in zip(above, below, strict=True)]
    promised = above if assumed is Assumed.LOWER else both
    return Held(str(assumed), len(found), sum(above), sum(below), sum(promised))


@dataclass(frozen=True)
class Resampled:
    """Plans of one setting against a vendor that used this share in this manner: how often each
    end held, how often the upper one lay below 1, and the median of both."""

    series: str
    share: float
    manner: str
    runs: int
    low_held: int
    high_held: int
    held: int
    below_one: int
    median: tuple[float, float]


MANNERS = ("random rows", "the first rows", "all but one stretch")


def resampled(
    series: str, setting: Setting, cells: Sequence[Cell], runs: int = RUNS
) -> Iterator[Resampled]:
    """Yield what was found for every share that some vendor used without regard to carriers."""
    ladder = setting.plan.ladder
    honest = answers_at(cells, ladder, 1.0)
    trained = {round(c.trained, 2) for c in cells if assumed_of(c.vendor) is Assumed.BOTH}
    for share in sorted(trained - {0.0}) if honest else ():
        here = answers_at(cells, ladder, share)
        for manner in MANNERS if share < 1 else MANNERS[:1]:
            draw = Draw(SEED, f"{series} {share} {manner}")
            ends = [_ends(setting, share, manner, here, honest, draw) for _ in range(runs)]
            yield _counted(series, share, manner, ends)


def answers_at(cells: Sequence[Cell], ladder: Sequence[int], share: float) -> Answers:
    """Return what backdoors did, by their dose and how many of their carriers were used, of vendors
    that used this share of the rows without regard to carriers."""
    found: dict[tuple[int, int], list[Seen]] = {}
    for cell in cells:
        if assumed_of(cell.vendor) is Assumed.BOTH and round(cell.trained, 2) == share:
            for dose, used, seen in zip(ladder, cell.used, seen_in(cell, ladder), strict=False):
                found.setdefault((dose, used), []).append(seen)
    return found


def seen_in(cell: Cell, ladder: Sequence[int]) -> list[Seen]:
    """Return of each backdoor whether it was met, and whether it was shown; nothing where the
    verdict does not say what was read."""
    tests = {test["name"].split()[0]: test for test in cell.verification["tests"]}
    if "slots" not in tests or "matched" not in tests["slots"]:
        return []
    slots = tests["slots"]
    pairs = zip(slots["matched"], slots["slot_sizes"], strict=True)
    said = [matched == len(sizes) for matched, sizes in pairs]
    if "ranks" not in tests:
        return [(each, each) for each in said]
    ranked = seen_by_rank(tests["ranks"]["ranks"], tests["ranks"]["decoys"], TAU)
    met = [a or b for a, b in zip(said, ranked, strict=True)]
    return [(m, m if dose == 1 else s) for dose, m, s in zip(ladder, met, said, strict=True)]


def _ends(
    setting: Setting, share: float, manner: str, here: Answers, honest: Answers, draw: Draw
) -> tuple[float, float]:
    """Return the interval of one plan, drawn anew, against a vendor that used this share."""
    plan = setting.plan
    rows = setting.rows - plan.held_out
    dealt = deal(rows, plan.ladder, plan.shards, plan.per_shard, draw)
    used = _used(rows, share, manner, draw)
    here_seen = []
    there_shown = []
    for dose, own in zip(plan.ladder, dealt, strict=True):
        count = sum(place in used for place in own.places)
        here_seen.append(_answer(here, dose, count, draw))
        there_shown.append(_answer(honest, dose, dose, draw)[1])
    return _interval_of(plan.ladder, here_seen, there_shown)


def _counted(
    series: str, share: float, manner: str, ends: Sequence[tuple[float, float]]
) -> Resampled:
    low_held = [low <= share + ROUNDING for low, _ in ends]
    high_held = [share <= high + ROUNDING for _, high in ends]
    lows, highs = (sorted(each) for each in zip(*ends, strict=True))
    return Resampled(
        series=series,
        share=share,
        manner=manner,
        runs=len(ends),
        low_held=sum(low_held),
        high_held=sum(high_held),
        held=sum(a and b for a, b in zip(low_held, high_held, strict=True)),
        below_one=sum(high < 1 for _, high in ends),
        median=(lows[len(ends) // 2], highs[len(ends) // 2]),
    )


def _used(rows: int, share: float, manner: str, draw: Draw) -> frozenset[int] | range:
    count = round(share * rows)
    if manner == MANNERS[0]:
        return frozenset(draw.sample(range(rows), count))
    if manner == MANNERS[1]:
        return range(count)
    gap = draw.below(count + 1)  # where the stretch begins that is left out
    return frozenset((*range(gap), *range(gap + rows - count, rows)))


def _answer(answers: Answers, dose: int, used: int, draw: Draw) -> Seen:
    """Draw from what was seen; where nothing was for so many carriers, from the next fewer."""
    known = [count for of, count in answers if of == dose and count <= used]
    return draw.choice(answers[dose, max(known)]) if known else (False, False)


def _interval_of(
    ladder: Sequence[int], seen: Sequence[Seen], control: Sequence[bool] | None
) -> tuple[float, float]:
    """Return the interval as `vtune_client.amount` makes it where there are scores."""
    clear = TAU if 1 in ladder else 0.0
    return _interval(
        count_by_dose(ladder, [met for met, _ in seen], chance=TAU),
        count_by_dose(ladder, control, chance=clear) if control is not None else None,
        count_by_dose(ladder, [shown for _, shown in seen], chance=clear),
    )


@cache
def _interval(
    met: tuple[DoseCount, ...],
    control: tuple[DoseCount, ...] | None,
    shown: tuple[DoseCount, ...],
) -> tuple[float, float]:
    found = share_interval(met, control, CONFIDENCE, shown=shown if control else None)
    return found.low, found.high
