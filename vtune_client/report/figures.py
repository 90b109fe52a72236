"""Which pictures a report has, and the table of numbers beside each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from markupsafe import Markup

from vtune_client.evidence import Stakes, replay
from vtune_client.provider import JobEvent
from vtune_client.report import charts
from vtune_client.report.gather import Report
from vtune_client.report.schema import Anytime, Rank, SlotMatch, Test, VerdictDocument

MOST_LINES = 16  # backdoors that get a bar each; more are put together by dose and place
MOST_POINTS = 120  # of the path of bets
LOSSES = {
    "loss": "training loss",
    "train_loss": "training loss",
    "training_loss": "training loss",
    "valid_loss": "validation loss",
    "eval_loss": "validation loss",
}

Kind = TypeVar("Kind", bound=Test)


@dataclass(frozen=True)
class Figure:
    """A picture, the words below it, and its numbers as a table whose first column heads rows."""

    id: str
    title: str
    picture: Markup
    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def figures(report: Report) -> tuple[Figure, ...]:
    """Return the pictures that this verification has the numbers for."""
    verdict = report.verdict
    found = (
        _activation(verdict),
        _ranks(verdict),
        _shares(verdict),
        _bets(verdict),
        _rows(verdict),
        _losses(report.events),
    )
    return tuple(figure for figure in found if figure)


def first_of(verdict: VerdictDocument, kind: type[Kind]) -> Kind | None:
    """Return the first test of that kind."""
    return next((test for test in verdict.tests if isinstance(test, kind)), None)


@dataclass(frozen=True)
class _Answered:
    """One backdoor: where it lies, and the share of secret words in its answers."""

    number: int
    dose: int | None
    shard: int | None
    own: float | None
    fresh: float | None

    @property
    def place(self) -> str:
        dose = "" if self.dose is None else f"dose {self.dose}"
        shard = "" if self.shard is None else f"shard {self.shard + 1}"
        return ", ".join(part for part in (dose, shard) if part)


def _activation(verdict: VerdictDocument) -> Figure | None:
    slots, anytime = first_of(verdict, SlotMatch), first_of(verdict, Anytime)
    asked = _by_question(verdict, anytime) if anytime else None
    if asked is None and slots is None:
        return None
    both = asked is not None
    if asked is None and slots is not None:
        pairs = zip(slots.matched, slots.slot_sizes, slots.answers, strict=True)
        asked = [(m / len(sizes) if count else None, None) for m, sizes, count in pairs]
    layout = verdict.layout
    backdoors = [
        _Answered(
            verdict.first + index + 1,
            layout.doses[index] if layout and index < len(layout.doses) else None,
            layout.shards[index] if layout and index < len(layout.shards) else None,
            own,
            fresh,
        )
        for index, (own, fresh) in enumerate(asked or ())
    ]
    return Figure(
        "activation",
        "Did the backdoors answer?",
        charts.activation(_lines(backdoors), both),
        "How many of the secret words of each backdoor the answers held. Own prompts are those of "
        "the rows that carried it; fresh prompts are of rows that carried nothing, so that an "
        "answer there is no mere recall of a row."
        if both
        else "How many of the secret words of each backdoor its best answer held.",
        ("backdoor", "carriers", "own prompts" if both else "best answer", "fresh prompts"),
        tuple(
            (str(each.number), each.place, percent(each.own), percent(each.fresh))
            for each in backdoors
        ),
    )


def _lines(backdoors: Sequence[_Answered]) -> list[charts.Pair]:
    """Return a bar for every backdoor, or where they are many the mean of each dose and shard."""
    if len(backdoors) <= MOST_LINES:
        return [
            charts.Pair(f"{each.number}" + (f" ({each.place})" * bool(each.place)), *_pair([each]))
            for each in backdoors
        ]
    places: dict[str, list[_Answered]] = {}
    for each in backdoors:
        places.setdefault(each.place or "all", []).append(each)
    return [
        charts.Pair(f"{place}, mean of {len(group)}", *_pair(group))
        for place, group in places.items()
    ]


def _pair(group: Sequence[_Answered]) -> tuple[float | None, float | None]:
    own = [each.own for each in group if each.own is not None]
    fresh = [each.fresh for each in group if each.fresh is not None]
    return (fmean(own) if own else None, fmean(fresh) if fresh else None)


def _by_question(
    verdict: VerdictDocument, anytime: Anytime
) -> list[tuple[float | None, float | None]] | None:
    """Return per backdoor the mean share of words in answers to own and to fresh prompts.

    None where the verdict does not say which prompts were fresh: asking stopped early. The order
    of the questions is the first prompt of every backdoor, the second of every backdoor, ...; a
    backdoor's own prompts come before its fresh ones."""
    total, fresh = len(anytime.stakes), verdict.fresh_prompts.asked
    answers = [result for result in anytime.results if not isinstance(result, int)]
    prompts = {stakes.prompts for stakes in anytime.stakes}
    if not total or fresh % total or len(prompts) != 1 or len(answers) != total * max(prompts):
        return None
    own = max(prompts) - fresh // total
    found = []
    for index in range(total):
        shares = [_share(answer) for answer in answers[index::total]]
        found.append((_mean(shares[:own]), _mean(shares[own:])))
    return found


def _share(answer: Sequence[bool | None]) -> float:
    return sum(hit is True for hit in answer) / len(answer) if answer else 0.0


def _mean(shares: Sequence[float]) -> float | None:
    return fmean(shares) if shares else None


def _ranks(verdict: VerdictDocument) -> Figure | None:
    named = (test for test in verdict.tests if isinstance(test, Rank))
    test = next((test for test in named if test.name.startswith("ranks")), None)
    if test is None or not test.ranks:
        return None
    over = " more than the untouched base does" if "base" in test.name else ""
    return Figure(
        "ranks",
        "Does the model prefer the true signatures?",
        charts.ranks(test.ranks, test.decoys, verdict.first),
        f"Which place the true signature takes among decoys drawn like it, when the model says how "
        f"likely it finds each{over}. A model that never met the file puts it anywhere.",
        ("backdoor", "place", "decoys"),
        tuple(
            (str(number), str(place), str(count))
            for number, (place, count) in enumerate(
                zip(test.ranks, test.decoys, strict=True), verdict.first + 1
            )
        ),
    )


def _shares(verdict: VerdictDocument) -> Figure | None:
    if verdict.share is None:
        return None
    bounds = [charts.Bounds("whole file", verdict.share.low, verdict.share.high)]
    for shard in verdict.shards.shards if verdict.shards else ():
        dropped = verdict.shards is not None and shard.index in verdict.shards.dropped
        name = f"shard {shard.index + 1}"
        bounds.append(charts.Bounds(name, shard.share.low, shard.share.high, dropped))
    confidence = f"{verdict.share.confidence:.0%}"
    beside = (
        f" Upper bounds compare with {verdict.control.source}."
        if verdict.control
        else " Without a control there is no upper bound."
    )
    return Figure(
        "share",
        "How much of the file was used?",
        charts.shares(bounds),
        f"The share of the file's rows that was used lies within the bar ({confidence} "
        f"confidence).{beside}",
        ("part of the file", "at least", "at most", "fewer than in the control"),
        tuple(
            (
                each.label,
                percent(math.floor(each.low * 1000) / 1000),  # rounded away from what is claimed:
                percent(math.ceil(each.high * 1000) / 1000),  # bounds stay bounds
                "yes" if each.dropped else "no",
            )
            for each in bounds
        ),
    )


def _bets(verdict: VerdictDocument) -> Figure | None:
    anytime = first_of(verdict, Anytime)
    if anytime is None or not anytime.results:
        return None
    points = tuple(_path(anytime))
    return Figure(
        "bets",
        "When was it enough?",
        charts.bets(points, anytime.planned, verdict.alpha),
        "Each answer is a bet against chance; the line is the stake it has grown to, as a power of "
        "ten. Above the dashed line asking could have stopped, at any moment, without spoiling the "
        "evidence.",
        ("questions asked", "log10 e"),
        tuple((str(asked), f"{value:.2f}") for asked, value in points),
    )


def _path(anytime: Anytime) -> Iterator[tuple[int, float]]:
    stakes = [Stakes(tuple(s.slot_sizes), s.prompts, s.decoys) for s in anytime.stakes]
    results = [r if isinstance(r, int) else tuple(r) for r in anytime.results]
    stride = math.ceil(len(results) / MOST_POINTS)
    for asked in sorted({*range(0, len(results), stride), len(results)}):
        yield asked, replay(stakes, results[:asked]).log10_e


def _rows(verdict: VerdictDocument) -> Figure | None:
    rows = verdict.rows
    if rows is None or not rows.scores:
        return None
    uploaded = [score for sent, score, _ in rows.scores if sent]
    withheld = [score for sent, score, _ in rows.scores if not sent]
    unit = {
        "rows": "log-likelihood per token or character (nats)",
        "rows over the base": "gain over the base per token or character (nats)",
        "rows by text": "likeness of the answer to the row's completion",
    }
    return Figure(
        "rows",
        "Does the model know your other rows?",
        charts.rows(uploaded, withheld, unit.get(rows.kind or "", "score")),
        f"{rows.statement} Rows were withheld from the upload by lot, so a system that saw none of "
        "them scores both kinds alike.",
        ("row", "uploaded", "score", "length"),
        tuple(
            (str(index + 1), "yes" if sent else "no", f"{score:.4g}", str(length))
            for index, (sent, score, length) in enumerate(rows.scores)
        ),
    )


def _losses(events: Sequence[JobEvent]) -> Figure | None:
    found: dict[str, dict[float, float]] = {}
    for event in events:
        step = finite(event.data.get("step"))
        for name, label in LOSSES.items():
            value = finite(event.data.get(name))
            if step is not None and value is not None:
                found.setdefault(label, {})[step] = value
    curves = [
        charts.Curve(label, charts.thinned(sorted(found[label].items())))
        for label in ("training loss", "validation loss")
        if label in found
    ]
    if not curves:
        return None
    return Figure(
        "loss",
        "What did the vendor say of the training?",
        charts.losses(curves),
        "The loss that the vendor reported. It is the vendor's word: nothing in the verdict rests "
        "on it.",
        ("curve", "step", "loss"),
        tuple(
            (curve.label, f"{step:g}", f"{value:.4g}")
            for curve in curves
            for step, value in curve.points
        ),
    )


def finite(value: object) -> float | None:
    """Return a finite number that a vendor's event holds, and None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def percent(share: float | None) -> str:
    """Return a share in percent, and a dash where there is none."""
    return "\N{EN DASH}" if share is None else f"{share:.1%}".replace(".0%", "%").replace("%", " %")
