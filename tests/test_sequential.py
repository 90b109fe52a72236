"""Stopping at will: every rule counted in full, seeded nulls, power, and what must be refused."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.anytime_nulls import SPEAKERS, AnytimeDesign, anytime_nulls, anytime_text_nulls, matched
from tests.nulls import LEVELS, WRITERS, TextDesign, binomial_tail, exceedances
from vtune_client.evidence import (
    Matched,
    Result,
    Running,
    Stakes,
    rank_log10_e,
    replay,
    slot_log10_e,
)

LUCK = 1e-4
FULL = Stakes((32,) * 8, prompts=5)
repeatable = settings(derandomize=True, deadline=None)


def matches(of: int, hits: int) -> Matched:
    return tuple(place < hits for place in range(of))


def best_stop(process: Callable[[tuple[int, ...]], list[float]], secrets: int, n: int) -> float:
    """Return the mean of the process under the best stopping rule.

    `process` gives, for the secrets of all n backdoors, its values from the first question on: the
    first n begin one backdoor each. The rule is even told the secret of each backdoor begun.
    """

    def value(known: tuple[int, ...]) -> float:
        if len(known) == n:
            return max(process(known)[n - 1 :])
        later = math.fsum(value((*known, secret)) for secret in range(secrets)) / secrets
        # what the others' secrets are does not matter yet
        padded = known + (0,) * (n - len(known))
        now = process(padded)[len(known) - 1] if known else 1.0
        return max(now, later)

    return value(())


def text_process(
    sizes: tuple[int, ...], answers: Sequence[Sequence[tuple[int | None, ...]]]
) -> Callable[[tuple[int, ...]], list[float]]:
    """Return E after each answer; `answers[k][i]` answers prompt k of backdoor i."""
    secrets = list(itertools.product(*map(range, sizes)))
    n = len(answers[0])

    def process(drawn: tuple[int, ...]) -> list[float]:
        running = Running([Stakes(sizes, prompts=len(answers))] * n)
        values = []
        for wave in answers:
            for answer, which in zip(wave, drawn, strict=True):
                running.add(matched(answer, secrets[which]))
                values.append(10**running.log10_e)
        return values

    return process


def small_systems() -> Iterator[list[list[tuple[int | None, ...]]]]:
    """Yield every way to answer two prompts of two backdoors with one slot of three words."""
    said: tuple[int | None, ...] = (0, 1, None)
    for a, b, c, d in itertools.product(said, repeat=4):
        yield [[(a,), (b,)], [(c,), (d,)]]


def test_no_stopping_rule_has_a_mean_above_1() -> None:
    best = [best_stop(text_process((3,), answers), 3, 2) for answers in small_systems()]
    assert len(best) == 81
    assert max(best) == pytest.approx(1, abs=1e-12)


def test_handing_back_stakes_of_what_was_not_asked_has_a_mean_above_1() -> None:
    """The same count finds fault with the tempting rule: one answer given twice."""

    def process(drawn: tuple[int, ...]) -> list[float]:
        e_value = 3.0 if drawn == (0,) else 0.0
        return [(e_value + 1) / 2, e_value]

    assert best_stop(process, 3, 1) == pytest.approx(4 / 3)


def test_no_stopping_rule_profits_from_text_that_predicts_the_rank() -> None:
    """Two backdoors of four words, one prompt, one decoy; the system scores its own answer best."""
    drawn = [(s, d, t) for s in range(4) for d in range(4) for t in (False, True)]

    def rank(answer: int, secret: int, decoy: int, tie: bool) -> int:
        ahead = (decoy == answer) - (secret == answer)
        return 2 if ahead > 0 or (ahead == 0 and tie) else 1

    def process(which: tuple[int, ...]) -> list[float]:
        running = Running([Stakes((4,), prompts=1, decoys=1)] * 2)
        values = []
        for place in which:
            running.add((drawn[place][0] == 1,))
            values.append(10**running.log10_e)
        for place in which:
            running.add(rank(1, *drawn[place]))
            values.append(10**running.log10_e)
        return values

    assert best_stop(process, len(drawn), 2) == pytest.approx(1, abs=1e-12)
    product = math.fsum(
        10 ** (slot_log10_e((4,), (s == 1,)) + rank_log10_e(rank(1, s, d, t), 1))
        for s, d, t in drawn
    )
    assert product / len(drawn) > 1.1, "their product would be no e-value"


DESIGNS = [
    AnytimeDesign(4, (2, 3, 4, 8), 4),
    AnytimeDesign(6, (6, 6), 1),
    AnytimeDesign(3, (4, 4), 2, decoys=9),
    AnytimeDesign(3, (8, 8), 0, decoys=19),
]


def too_often(log10_ps: list[float]) -> dict[float, int]:
    counts = {level: exceedances(log10_ps, level) for level in LEVELS}
    tails = {level: binomial_tail(n, len(log10_ps), level) for level, n in counts.items()}
    return {level: counts[level] for level, tail in tails.items() if tail < LUCK}


@pytest.mark.parametrize("design", DESIGNS, ids=str)
@pytest.mark.parametrize("system", SPEAKERS)
def test_stopping_at_will_keeps_the_level(system: str, design: AnytimeDesign) -> None:
    log10_ps = list(anytime_nulls(design, SPEAKERS[system], 300, b"anytime nulls, seeded"))
    assert too_often(log10_ps) == {}
    assert min(log10_ps) < -0.3, "nothing is ever won, so this checks nothing"


@pytest.mark.parametrize("system", WRITERS)
def test_stopping_at_will_keeps_the_level_on_text(system: str) -> None:
    design = TextDesign(backdoors=3, candidates=6, queries=2)
    log10_ps = list(anytime_text_nulls(design, WRITERS[system], 100, b"anytime text, seeded"))
    assert too_often(log10_ps) == {}


LEAKY = [DESIGNS[1], AnytimeDesign(6, (6, 6), 2, decoys=19)]


@pytest.mark.parametrize("design", LEAKY, ids=str)
def test_this_check_catches_a_leak(design: AnytimeDesign) -> None:
    """A system told one word of two is no null, and shows."""
    told = anytime_nulls(design, SPEAKERS["answers at random"], 100, b"leaky nulls, seeded", leak=1)
    assert 0.05 in too_often(list(told))


def asked_until(running: Running, alpha: float, results: Sequence[Result]) -> int:
    for number, result in enumerate(results, start=1):
        running.add(result)
        if running.reached(alpha):
            return number
    raise AssertionError("never reached")


@pytest.mark.parametrize(
    ("first_wave", "queries"),
    [([8] * 5, 1), ([0, 8, 8, 8, 8], 2), ([5] * 5, 2), ([4] * 5, 3)],
)
def test_a_trained_model_is_known_after_a_few_questions(
    first_wave: list[int], queries: int
) -> None:
    """Slots matched by the first answer of each of five backdoors of 8 slots with 32 words."""
    results = [matches(8, hits) for hits in first_wave]
    assert asked_until(Running([FULL] * 5), 1e-6, results) == queries


def test_silent_backdoors_cost_little() -> None:
    results: list[Result] = [(None,) * 8, (None,) * 8, (None,) * 8, (None,) * 8, (True,) * 8]
    assert asked_until(Running([FULL] * 5), 1e-6, results) == 5


def test_first_ranks_alone_reach_one_in_a_million() -> None:
    silent: list[Result] = [(None,) * 8] * 10
    ranks: list[Result] = [1] * 5
    running = Running([Stakes((32,) * 8, prompts=2, decoys=100)] * 5)
    assert asked_until(running, 1e-6, [*silent, *ranks]) == 15
    alone = Running([Stakes((32,) * 8, prompts=0, decoys=100)] * 5)
    assert asked_until(alone, 1e-6, ranks) == 4


def test_questions_come_backdoor_by_backdoor_and_ranks_last() -> None:
    running = Running([Stakes((2,), 1, 3), Stakes((2,), 3), Stakes((2,), 2, 3)])
    order = [(question.backdoor, question.ranked) for question in running.left]
    texts = [(i, False) for i in (0, 1, 2, 1, 2, 1)]
    assert order == [*texts, (0, True), (2, True)]


def test_results_out_of_order_are_refused() -> None:
    running = Running([Stakes((2, 2), 1, 3)])
    with pytest.raises(ValueError, match="in the order"):
        running.add(1)
    with pytest.raises(ValueError, match="as many matches, not 1"):
        running.add((True,))
    running.add((True, None))
    with pytest.raises(ValueError, match="in the order"):
        running.add((True, None))
    with pytest.raises(ValueError, match="no rank 5 among 3"):
        running.add(5)
    before = running.log10_e
    running.add(1)
    assert running.log10_e > before
    with pytest.raises(ValueError, match="in the order"):
        running.add(1)


def test_p_remembers_the_best_moment_and_e_does_not() -> None:
    running = Running([Stakes((32,) * 4, prompts=1)] * 2)
    assert (running.log10_e, running.log10_p) == (0.0, 0.0)
    running.add((True,) * 4)
    best = running.log10_e
    running.add((False,) * 4)
    assert running.log10_e < best
    assert running.log10_p == -best
    assert running.reached(1e-4)
    assert not running.reached(1e-6)


def test_a_bad_start_never_makes_p_exceed_1() -> None:
    running = Running([FULL])
    running.add((False,) * 8)
    assert running.log10_e < -0.5
    assert running.log10_p == 0.0


small = st.builds(
    Stakes, st.lists(st.integers(1, 6), min_size=1, max_size=3).map(tuple), st.integers(1, 3)
)


@repeatable
@given(st.lists(small, min_size=1, max_size=3), st.data())
def test_what_is_hopeless_is_not_reached(backdoors: list[Stakes], data: st.DataObject) -> None:
    running = Running(backdoors)
    alpha = data.draw(st.sampled_from([0.3, 0.05, 0.001]))
    gone = False
    while running.left:
        gone = gone or running.hopeless(alpha)
        assert running.hopeless(alpha, 0) != running.reached(alpha)
        sizes = backdoors[running.left[0].backdoor].slot_sizes
        running.add(tuple(data.draw(st.booleans()) for _ in sizes))
    assert not (gone and running.reached(alpha))


def test_hopeless_waits_for_perfect_answers_and_no_longer() -> None:
    def running() -> Running:
        return Running([Stakes((32,) * 2, prompts=1)] * 2)

    perfect = running()
    for _ in range(2):
        perfect.add((True, True))
    reachable = 10**perfect.log10_p * 1.0001
    assert not running().hopeless(reachable)
    assert running().hopeless(reachable * 0.998)
    assert running().hopeless(reachable, left=1)
    ranked = Running([Stakes((2,), 1, 100)])
    ranked.add((False,))
    assert not ranked.hopeless(0.1)
    assert ranked.hopeless(0.01)


def test_hopeless_counts_the_best_moment_on_the_way() -> None:
    """The second backdoor's first answer cannot make up for beginning it."""
    running = Running([Stakes((32,) * 2, prompts=1), Stakes((2,), prompts=50)])
    assert not running.hopeless(0.01, left=1)
    assert not running.hopeless(0.01, left=2)


def test_unlikely_waits_for_two_answers_of_each_backdoor() -> None:
    running = Running([FULL] * 2)
    for _ in range(3):
        running.add((None,) * 8)
        assert not running.unlikely(1e-6)
    running.add((None,) * 8)
    assert running.unlikely(1e-6)
    assert not running.hopeless(1e-6)


def test_unlikely_spares_what_goes_well_or_has_ranks_to_come() -> None:
    going = Running([Stakes((20, 20), prompts=6)] * 3)
    ranked = Running([Stakes((32,) * 8, prompts=2, decoys=100)] * 5)
    for _ in range(6):
        going.add((True, True))
    for _ in range(10):
        ranked.add((None,) * 8)
    assert not going.reached(1e-6)
    assert not going.unlikely(1e-6)
    assert not ranked.unlikely(1e-6)
    for _ in range(3):
        ranked.add(50)
    assert ranked.unlikely(1e-6)


def test_text_is_skipped_only_while_nothing_was_read() -> None:
    running = Running([Stakes((4, 4), 3, 9)] * 2)
    running.add((None, None))
    with pytest.raises(ValueError, match="once every backdoor was asked"):
        running.skip_text()
    running.add((None, None))
    running.skip_text()
    assert [question.ranked for question in running.left] == [True, True]
    read = Running([Stakes((4, 4), 3, 9)])
    read.add((None, False))
    with pytest.raises(ValueError, match="no answer reads"):
        read.skip_text()


def test_the_outcome_says_all_that_is_needed_to_recompute_it() -> None:
    running = Running([Stakes((4, 4), 2, 9)] * 2)
    for result in ((None, None), (None, None)):
        running.add(result)
    running.skip_text()
    running.add(1)
    outcome = running.outcome()
    assert (outcome.backdoors, outcome.planned, len(outcome.results)) == (2, 6, 3)
    again = replay(outcome.stakes, outcome.results)
    assert again.outcome() == outcome
    assert outcome.log10_p == running.log10_p < 0
    assert json.loads(json.dumps(asdict(outcome)))["log10_e"] == outcome.log10_e


@pytest.mark.parametrize("alpha", [0.0, 1.0, math.nan])
def test_an_alpha_outside_its_range_is_refused(alpha: float) -> None:
    for question in (Running([FULL]).reached, Running([FULL]).hopeless, Running([FULL]).unlikely):
        with pytest.raises(ValueError, match="alpha"):
            question(alpha)


@pytest.mark.parametrize(
    ("backdoors", "why"),
    [([], "at least one"), ([Stakes((2,), 1), Stakes((2,), 0, 3)], "either every backdoor")],
)
def test_backdoors_that_do_not_fit_together_are_refused(backdoors: list[Stakes], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Running(backdoors)
