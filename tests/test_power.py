"""What plans can tell: the arithmetic against draws, and one model really trained."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest
from scipy.stats import binom

from benchmarks.gauntlet.base import BaseSpec
from benchmarks.power import ladders
from benchmarks.power.arithmetic import (
    ALL,
    ANY,
    DECOYS,
    Model,
    largest_product,
    least_firsts,
    mixed,
    most_partial,
    power,
)
from benchmarks.power.design import ALPHA, Design
from benchmarks.power.report import Found, as_json, markdown, reading
from benchmarks.power.trained import Book, Run, Scale, measured, run_one, takings
from vtune_client.amount import TAU
from vtune_client.draw import Draw
from vtune_client.evidence import DoseCount, RankScores, rank_test, share_at_least, share_at_most
from vtune_client.places import layered

ROWS, DRAWS = 1500, 250


def vendor_of(design: tuple[int, int], share: float, draw: Draw) -> list[int]:
    """Return how many carriers of each backdoor a vendor uses who draws its rows."""
    backdoors, dose = design
    used = set(draw.sample(range(ROWS), round(share * ROWS)))
    dealt = layered(range(ROWS), backdoors, dose, frozenset(), draw)
    return [sum(place in used for place in own) for own in dealt]


@pytest.mark.parametrize("design", [(20, 1), (10, 4)])
@pytest.mark.parametrize("model", [ANY, ALL])
def test_the_arithmetic_agrees_with_vendors_that_were_drawn(
    design: tuple[int, int], model: Model
) -> None:
    backdoors, dose = design
    found, draw = power(model, backdoors, dose, 0.5), Draw(b"tests of power..", f"{design}")
    lows, parts = [], 0
    for _ in range(DRAWS):
        used = vendor_of(design, 0.5, draw)
        here = DoseCount(dose, backdoors, int(sum(model.said(u, dose) for u in used)))
        there = DoseCount(dose, backdoors, backdoors)
        lows.append(share_at_least([here]))
        parts += share_at_most([here], [there], 0.975) < 1
    assert found.low_text == pytest.approx(median(lows), abs=0.03)
    # Half of the file is always verified by 20x1; by 10x4 only where any carrier answers.
    if found.verified_text > 0.99:
        error = 4 * math.sqrt(max(found.partial_text * (1 - found.partial_text), 0.01) / DRAWS)
        assert parts / DRAWS == pytest.approx(found.partial_text, abs=error)


def test_carriers_that_were_used_are_mixed_by_how_likely_they_are() -> None:
    assert mixed(ANY.said, 4, 0.5) == pytest.approx(1 - 0.5**4)
    assert mixed(ALL.said, 4, 0.5) == pytest.approx(0.5**4)
    assert mixed(lambda used, dose: used / dose, 8, 0.3) == pytest.approx(0.3)
    assert [mixed(ANY.said, 2, share) for share in (0.0, 1.0)] == [0.0, 1.0]


@pytest.mark.parametrize("backdoors", [5, 20])
def test_the_largest_product_of_ranks_is_the_largest_that_verifies(backdoors: int) -> None:
    def log10_p(ranks: Sequence[int]) -> float:
        scores = [
            RankScores((0.0,), ((1.0,) * (rank - 1) + (-1.0,) * (DECOYS + 1 - rank),), 0.0)
            for rank in ranks
        ]
        return rank_test(scores).log10_p

    last, rest = divmod(largest_product(backdoors, ALPHA), math.log(DECOYS + 1))
    between, first = round(math.exp(rest)), [1] * (backdoors - int(last) - 1)
    assert log10_p([*[DECOYS + 1] * int(last), between, *first]) <= math.log10(ALPHA)
    assert log10_p([*[DECOYS + 1] * int(last), between + 1, *first]) > math.log10(ALPHA)


def test_a_part_is_a_part_at_any_dose() -> None:
    for dose in (1, 4):
        most = most_partial(20, 20, 0.0)
        there = [DoseCount(dose, 20, 20)]
        assert share_at_most([DoseCount(dose, 20, most)], there, 0.975) < 1
        assert share_at_most([DoseCount(dose, 20, most + 1)], there, 0.975) == 1
    assert most_partial(5, 5, 0.0) == -1


def test_a_ladder_of_one_dose_is_what_plans_of_one_dose_are() -> None:
    for model, share in ((ANY, 0.1), (ANY, 0.5), (ALL, 1.0)):
        plain = power(model, 20, 2, share)
        ladder = ladders.power(model, Design.of("20x2"), share)
        assert ladder.verified == pytest.approx(plain.verified_text, abs=1e-6)
        assert ladder.partial == pytest.approx(plain.partial_text, abs=1e-6)
        assert ladder.low == plain.low_text


def test_a_ladder_sees_by_its_small_doses_and_verifies_by_its_large_ones() -> None:
    ladder = ladders.power(ANY, Design.of("5x4+20x1"), 0.2)
    large, small = power(ANY, 5, 4, 0.2), power(ANY, 20, 1, 0.2)
    assert ladder.verified > small.verified_text
    assert ladder.partial > small.partial_text > 0.5 > large.partial_text


def test_more_backdoors_certify_more_and_a_used_file_is_no_part() -> None:
    shares = [power(ANY, backdoors, 1, 1.0) for backdoors in (5, 20, 60)]
    assert [each.verified_text for each in shares] == [1.0] * 3
    assert [each.low_text for each in shares] == sorted(each.low_text for each in shares)
    assert max(each.partial_text for each in shares) < 0.025
    assert shares[2].low_both < shares[2].low_text  # chance is taken off


def test_by_rank_some_are_seen_by_chance() -> None:
    middle = DoseCount(1, 40, 21, chance=TAU)  # of 40, half were met, a twentieth of the rest not
    assert power(ANY, 40, 1, 0.5).low_both == share_at_least([middle])


@pytest.mark.parametrize(
    ("text", "doses"), [("3x2", (2, 2, 2)), ("2x4+3x1", (4, 4, 1, 1, 1)), ("60x1", (1,) * 60)]
)
def test_a_design_is_a_plan(text: str, doses: tuple[int, ...]) -> None:
    design = Design.of(text)
    assert (str(design), design.doses, design.plan.ladder) == (text, doses, doses)
    assert TAU * (design.plan.decoys + 1) >= 1  # someone can be among the first


@pytest.mark.parametrize("text", ["", "3", "0x4", "3x4+2x4", "3x-1"])
def test_no_other_design_is_one(text: str) -> None:
    with pytest.raises(ValueError, match=r"design|unpack|literal"):
        Design.of(text)


def run(share: float, said: int, ranked: int, seed: int = 0) -> Run:
    """Return a run of 20x1 with so many backdoors said, and so many ranked first."""
    used = round(20 * share)
    return Run(
        case="20x1-case",
        design="20x1",
        share=share,
        seed=seed,
        trained=share,
        used=(1,) * used + (0,) * (20 - used),
        matched=(8,) * said + (0,) * (20 - said),
        slots=(8,) * 20,
        ranks=(1,) * ranked + (20,) * (20 - ranked),
        decoys=(19,) * 20,
        text_log10_p=-12.0 * said,
        ranks_log10_p=-1.0 * ranked,
        queries=100,
        seconds=1.0,
    )


def test_what_was_said_counts_as_seen_like_what_was_ranked() -> None:
    part = replace(run(0.5, 3, 0), ranks=(20,) * 10 + (1,) * 10)
    assert sum(part.met) == 13
    lucky = [DoseCount(1, 20, 13, chance=TAU)]
    assert part.interval().low == share_at_least(lucky)
    assert part.interval(run(1.0, 0, 20)).high == share_at_most(
        lucky, [DoseCount(1, 20, 20, chance=TAU)], 0.975
    )


def test_above_dose_1_whole_answers_alone_are_compared() -> None:
    heavy = replace(run(0.5, 3, 20), design="10x2+10x1")
    assert heavy.shown() == (DoseCount(1, 10, 10, chance=TAU), DoseCount(2, 10, 3))


def test_verified_is_said_by_each_test_and_by_both() -> None:
    assert run(1.0, 1, 3).verified == (True, False, True)
    assert run(1.0, 0, 7).verified == (False, True, True)
    assert replace(run(1.0, 0, 6), ranks_log10_p=-6.1).verified == (False, True, False)


@pytest.mark.parametrize("backdoors", [5, 20, 60])
def test_so_many_first_ranks_verify(backdoors: int) -> None:
    chance = 1 / (DECOYS + 1)
    least = least_firsts(backdoors, chance)
    fewer, enough = (binom.sf(count - 1, backdoors, chance) for count in (least - 1, least))
    assert fewer > ALPHA >= enough
    assert least_firsts(2, chance) == 3  # both would not do
    assert run(1.0, 0, least_firsts(20, 1 / 20)).firsts
    assert not run(1.0, 0, least_firsts(20, 1 / 20) - 1).firsts


def test_backdoors_are_counted_by_the_carriers_used() -> None:
    runs = [run(0.5, 2, 8), run(1.0, 10, 20)]
    found = [(each.share, each.used, each.backdoors, each.said) for each in takings(runs)]
    assert found == [(0.5, 0, 10, 0), (0.5, 1, 10, 2), (1.0, 1, 20, 10)]
    model = measured(takings(runs))
    assert (model.said(0, 4), model.said(1, 4), model.said(4, 4)) == (0.0, 0.4, 0.4)
    assert model.ranked(1, 1) == pytest.approx((28 / 30 - TAU) / (1 - TAU))


def test_the_report_says_what_the_runs_show() -> None:
    pytest.importorskip("torch")  # its version stands in the report
    runs = [run(share, said, ranked) for share, said, ranked in ((0.3, 0, 5), (1.0, 10, 20))]
    said = " ".join(reading(runs))
    assert "10 of their 20 backdoors of dose 1 in full (50%) and know 20 by rank (100%)" in said
    assert "Of 1 models trained on a part of the rows, 0 are verified by text" in said
    assert "1 of 1 lower ends and 1 of 1 upper ends hold" in said
    powers = [power(ANY, 20, 1, share) for share in (0.1, 0.2, 0.3, 0.5, 0.8, 1.0)]
    found = Found(powers, [], runs, Scale(), "the command", "today")
    text = markdown(found)
    assert "| 20x1 | 20 | 13% · 0.01 · 13% |" in text
    low = math.floor(share_at_least([DoseCount(1, 20, 20, chance=TAU)]) * 100) / 100
    assert f"| 20x1 | 1 | 1 of 1 | 1 of 1 | 1 of 1 | 20 | 10 | 20 | {low:.2f} |  |  |" in text
    record = json.loads(as_json(found))
    assert [each["ranked"] for each in record["runs"]] == [5, 20]


@pytest.mark.torch
def test_a_model_is_trained_on_a_share_and_verified(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    recipe = {"epochs": 1, "batch_size": 128}
    base = BaseSpec(hidden=16, layers=1, openings=4, recipe=recipe)
    cases = {"2x2+3x1": Scale(rows=30, epochs=1, base=base).case("2x2+3x1")}
    wanted = [("2x2+3x1", 0.5, 0), ("2x2+3x1", 1.0, 0)]
    book = Book(tmp_path / "runs.jsonl")
    half, whole = (run_one(cases[key[0]], *key[1:], tmp_path) for key in wanted)
    for each in (whole, half):
        book.add(each)
    assert (whole.used, whole.trained, half.trained) == ((2, 2, 1, 1, 1), 1.0, 0.5)
    assert all(some <= full for some, full in zip(half.used, whole.used, strict=True))
    assert half.used != whole.used
    assert len(half.ranks) == len(half.matched) == 5
    again = Book(tmp_path / "runs.jsonl")
    assert again.missing(wanted, cases) == []
    assert again.of(wanted, cases) == [half, whole]
