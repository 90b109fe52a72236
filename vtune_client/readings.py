"""From answers and scores to the tests: reading looks at public frames, matching at the secrets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from vtune_client.control import Control
from vtune_client.evidence import (
    ExchangeTest,
    Matched,
    RankScores,
    RankTest,
    RowsControl,
    RowScore,
    Running,
    SlotCounts,
    SlotTest,
    Stakes,
    TrendTest,
    candidates_test,
    dose_trend,
    exchange_test,
    gain,
    gaps,
    rank_test,
    similarity,
    slot_test,
)
from vtune_client.held_out import AskedRow
from vtune_client.listed import listed_slots
from vtune_client.phrases.read import read
from vtune_client.plan import Backdoor, Key, Plan, stream, tie_break
from vtune_client.probe import Probe
from vtune_client.provider import Answer

Answers = Mapping[str, Answer]  # by item
OVER_BASE, PLAIN, TEXT = "rows over the base", "rows", "rows by text"


def slots_of(plan: Plan, probes: Sequence[Probe], answers: Answers) -> SlotTest:
    """Test the matches of every backdoor; answers that read alike are one try, not several."""
    read_as: list[dict[tuple[str | None, ...], None]] = [{} for _ in plan.backdoors]
    for probe in probes:
        read_as[probe.backdoor][_readings(plan, probe, answers)] = None
    return slot_test(
        [
            SlotCounts(
                tuple(len(slot.candidates) for slot in backdoor.frame.slots),
                tuple(_matches(plan, index, readings) for readings in read_as[index]),
            )
            for index, backdoor in enumerate(plan.backdoors)
        ]
    )


def fresh_of(plan: Plan, probes: Sequence[Probe], answers: Answers) -> tuple[int, int]:
    """Return how many fresh prompts were asked and how many of them were answered in full."""
    fresh = [probe for probe in probes if probe.fresh]
    full = 0
    for probe in fresh:
        readings = _readings(plan, probe, answers)
        full += _matches(plan, probe.backdoor, readings) == len(readings)
    return len(fresh), full


def ranks_of(
    plan: Plan,
    scores: Sequence[Sequence[float]],
    base: Sequence[Sequence[float]] | None,
    key: Key,
) -> RankTest:
    """Rank what each signature gained over the base, or its plain score where no base answers.

    The base knows no secret either, so the rank is as exact and far more telling."""
    ranked = []
    for index, row in enumerate(scores):
        gained = [a - b for a, b in zip(row, base[index], strict=True)] if base else list(row)
        ranked.append(RankScores((gained[0],), (tuple(gained[1:]),), tie_break(plan, index, key)))
    return rank_test(ranked, name="ranks over the base" if base else "ranks")


def candidates_of(plan: Plan, answers: Answers, key: Key) -> RankTest | None:
    """Rank the true words among what the answers list; None where they list nothing."""
    if not any(answer.tokens for answer in _listing(plan, answers)):
        return None
    return candidates_ranked(plan, answers, key)


def candidates_ranked(plan: Plan, answers: Answers, key: Key) -> RankTest:
    """Rank the true words among what the answers list; where that is nothing, by lot."""
    listing = enumerate(_listing(plan, answers))
    return candidates_test([listed_slots(plan, at, [answer], key) for at, answer in listing])


def _listing(plan: Plan, answers: Answers) -> list[Answer]:
    """Return the one answer of each backdoor that counts: to its first fresh prompt, or its last
    one."""
    items = [
        f"answer {index}.{min(len(backdoor.own), len(backdoor.probes()) - 1)}"
        for index, backdoor in enumerate(plan.backdoors)
    ]
    return [answers[item] for item in items]


def trend_of(plan: Plan, slots: SlotTest, key: Key) -> TrendTest | None:
    """Test whether higher doses show more; None where there is one dose."""
    if len(set(plan.doses)) < 2:
        return None
    return dose_trend(plan.doses, slots.shares, stream(key, "doses dealt anew"))


@dataclass(frozen=True)
class RowsFound:
    """How well each row is known, in the order asked about, and the test of it. `kind` is the
    test's name, too: runs are compared only where their rows were scored alike."""

    kind: str
    scores: tuple[RowScore, ...]
    test: ExchangeTest


def rows_scored(
    rows: Sequence[AskedRow],
    delivered: Sequence[float],
    base: Sequence[float] | None,
    key: Key,
) -> RowsFound:
    """Test the log-probabilities of the rows' completions, or what they gained over the base."""
    befores = base or [0.0] * len(rows)
    scores = [
        RowScore(row.uploaded, gain(after, row.length, before), row.length)
        for row, after, before in zip(rows, delivered, befores, strict=True)
    ]
    return _rows_found(OVER_BASE if base else PLAIN, scores, key)


def rows_answered(rows: Sequence[AskedRow], answers: Answers, key: Key) -> RowsFound:
    """Test how alike the answers to the rows' prompts and their completions are."""
    scores = [
        RowScore(row.uploaded, similarity(answers[row.item].text, row.completion), row.length)
        for row in rows
    ]
    return _rows_found(TEXT, scores, key)


def rows_control(found: RowsFound, control: Control, key: Key) -> RowsControl | None:
    """Compare with the control's rows; None where it was not asked about the same, alike."""
    asked = [(row.uploaded, row.length) for row in found.scores]
    if control.rows_kind != found.kind or asked != [(r.uploaded, r.length) for r in control.rows]:
        return None
    theirs = _rows_found(found.kind, control.rows, key).test
    gap = _rows_found("rows gap", gaps(control.rows, found.scores), key).test
    return RowsControl(theirs, gap)


def evidence_so_far(plan: Plan) -> Running:
    """Return the anytime-valid evidence before the first answer."""
    return Running([_stakes(backdoor) for backdoor in plan.backdoors])


def take(running: Running, plan: Plan, probes: Sequence[Probe], answers: Answers) -> None:
    """Add the answers to these probes, in the order of the plan."""
    for result in results_of(plan, probes, answers):
        running.add(result)


def results_of(plan: Plan, probes: Sequence[Probe], answers: Answers) -> Iterator[Matched]:
    """Yield, for the answer to each probe, whether each slot matched; None where nothing stood."""
    for probe in probes:
        words = plan.backdoors[probe.backdoor].words
        pairs = zip(_readings(plan, probe, answers), words, strict=True)
        yield tuple(None if reading is None else reading == word for reading, word in pairs)


def _stakes(backdoor: Backdoor) -> Stakes:
    sizes = tuple(len(slot.candidates) for slot in backdoor.frame.slots)
    return Stakes(sizes, prompts=len(backdoor.probes()))


def _readings(plan: Plan, probe: Probe, answers: Answers) -> tuple[str | None, ...]:
    return read(plan.backdoors[probe.backdoor].frame, answers[probe.item].text)


def _matches(plan: Plan, backdoor: int, readings: Sequence[str | None]) -> int:
    words = plan.backdoors[backdoor].words
    return sum(reading == word for reading, word in zip(readings, words, strict=True))


def _rows_found(kind: str, scores: Sequence[RowScore], key: Key) -> RowsFound:
    test = exchange_test(scores, stream(key, "relabellings"), name=kind)
    return RowsFound(kind, tuple(scores), test)
