"""Numbers land where they should."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import pytest
from markupsafe import Markup

from vtune_client.report import charts
from vtune_client.report.charts import LABELS, RIGHT, Bounds, Curve, Pair
from vtune_client.report.svg import WIDTH, Scale, number, text

FULL = RIGHT - 8 - LABELS  # of a share of 1


class Drawn:
    """An SVG that was read back."""

    def __init__(self, picture: Markup) -> None:
        self.root = ElementTree.fromstring(picture)  # noqa: S314 -- our own

    def of(self, tag: str, kind: str) -> list[dict[str, float]]:
        """Return the places of the marks of that kind."""
        found = [e for e in self.root.iter(tag) if e.get("class") == kind]
        return [{k: float(v) for k, v in e.items() if k != "class"} for e in found]

    def points(self, kind: str) -> list[tuple[float, float]]:
        (line,) = [e for e in self.root.iter("polyline") if e.get("class") == kind]
        pairs = [pair.split(",") for pair in line.attrib["points"].split()]
        return [(float(x), float(y)) for x, y in pairs]

    @property
    def words(self) -> list[str]:
        return [each.text or "" for each in self.root.iter("text")]

    @property
    def told(self) -> str:
        return self.root.attrib["aria-label"]

    @property
    def height(self) -> float:
        return float(self.root.attrib["viewBox"].split()[3])


def inside(drawn: Drawn) -> bool:
    """Tell whether every mark lies within the picture."""
    wide = (("x", "width"), ("x1", ""), ("x2", ""), ("cx", ""))
    high = (("y", "height"), ("y1", ""), ("y2", ""), ("cy", ""))
    for axes, most in ((wide, float(WIDTH)), (high, drawn.height)):
        for mark in drawn.root.iter():
            for start, length in axes:
                if (at := mark.get(start)) is not None:
                    end = float(at) + float(mark.get(length, 0)) if length else float(at)
                    if not (float(at) >= 0 and end <= most):
                        return False
    return True


def test_a_scale_maps_and_keeps_to_its_ends() -> None:
    scale = Scale(0, 10, 100, 200)
    assert [scale(value) for value in (-1, 0, 5, 10, 11)] == [100, 100, 150, 200, 200]
    assert Scale(3, 3, 0, 10)(3) == 5


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 30, [0, 10, 20, 30]),
        (-3.28, 75.5, [0, 20, 40, 60]),
        (0, 0.0303, [0, 0.01, 0.02, 0.03]),
        (2, 2, [2]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
    ],
)
def test_ticks_are_few_and_round(low: float, high: float, expected: list[float]) -> None:
    assert Scale(low, high, 0, 1).ticks() == expected


def test_text_is_escaped() -> None:
    assert "&lt;b&gt; &amp; &#34;" in text(0, 0, '<b> & "')


def test_a_bar_is_as_long_as_its_share() -> None:
    pairs = [Pair("1", 1.0, 0.5), Pair("2", 0.0, None), Pair("3", None, 0.25)]
    drawn = Drawn(charts.activation(pairs, both=True))
    key, *own = drawn.of("rect", "bar")
    assert [bar["width"] for bar in own] == [FULL, 0]
    assert [bar["width"] for bar in drawn.of("rect", "soft")[1:]] == [FULL / 2, FULL / 4]
    assert {bar["x"] for bar in own} == {LABELS}
    assert own[0]["y"] < own[1]["y"]
    assert key["y"] < own[0]["y"]
    assert "1 of 3 lines reach 100 %" in drawn.told
    assert inside(drawn)


def test_without_fresh_prompts_there_is_one_bar() -> None:
    drawn = Drawn(charts.activation([Pair("1", 0.5, None)], both=False))
    assert [bar["width"] for bar in drawn.of("rect", "bar")] == [FULL / 2]
    assert drawn.of("rect", "soft") == []
    assert "fresh prompts" not in drawn.words


@pytest.mark.parametrize("backdoors", [3, 60])
def test_a_rank_stands_on_a_log_axis(backdoors: int) -> None:
    places = [1, 10, 101] + [7] * (backdoors - 3)
    drawn = Drawn(charts.ranks(places, [100] * backdoors))
    dots = drawn.of("circle", "dot")
    assert len(dots) == backdoors
    left, middle, right = (each["cx"] for each in dots[:3])
    assert left == LABELS
    assert (middle - left) / (right - left) == pytest.approx(1 / math.log10(101), abs=1e-3)
    assert f"1 of {backdoors} true signatures stand first" in drawn.told
    assert ("backdoor 1" in drawn.words) == (backdoors == 3)
    assert {"1", "10", "101"} <= set(drawn.words)
    assert inside(drawn)


def test_ranks_among_few_decoys_have_two_ticks() -> None:
    drawn = Drawn(charts.ranks([1, 2], [1, 1], 14))
    assert {"1", "2", "backdoor 15", "backdoor 16"} <= set(drawn.words)


def test_bounds_stand_where_they_are() -> None:
    bounds = [Bounds("whole file", 0.25, 1.0), Bounds("shard 1", 0.0, 0.5, dropped=True)]
    drawn = Drawn(charts.shares(bounds))
    spans = [(each["x"] - LABELS, each["width"]) for each in drawn.of("rect", "soft")]
    assert spans == [(FULL / 4, FULL * 3 / 4), (0, FULL / 2)]
    assert "shard 1: fewer" in drawn.words
    assert "whole file 25% to 100%; shard 1 0% to 50%." in drawn.told
    assert inside(drawn)


def test_the_path_of_bets_crosses_its_threshold() -> None:
    drawn = Drawn(charts.bets([(0, 0.0), (1, 8.0), (2, 12.0)], 4, 1e-6))
    (threshold,) = drawn.of("line", "limit")
    heights = [y for _, y in drawn.points("line")]
    assert heights[0] > threshold["y1"] > heights[1] > heights[2]
    assert [x for x, _ in drawn.points("line")][2] == (56 + RIGHT - 8) / 2
    assert "after 1 questions" in drawn.told
    assert "threshold 6" in drawn.words
    assert inside(drawn)


def test_a_path_below_the_threshold_leaves_room_for_it() -> None:
    drawn = Drawn(charts.bets([(0, 0.0), (1, -2.0)], 3, 1e-6))
    assert "It stays below." in drawn.told
    assert inside(drawn)


def test_rows_are_counted_on_their_side() -> None:
    drawn = Drawn(charts.rows([1.0, 1.0, 1.0], [0.0, 0.0], "score"))
    (up,), (down,) = drawn.of("rect", "bar"), drawn.of("rect", "soft")
    assert up["y"] + up["height"] == 112 == down["y"]
    assert up["height"] / down["height"] == pytest.approx(3 / 2, abs=0.01)
    assert up["x"] > down["x"]
    assert [line["x1"] for line in drawn.of("line", "limit")] == [RIGHT - 8, 40]
    assert {"uploaded rows (3)", "withheld rows (2)"} <= set(drawn.words)
    assert inside(drawn)


def test_rows_that_all_score_alike_can_be_drawn() -> None:
    assert inside(Drawn(charts.rows([0.5], [0.5], "score")))
    assert inside(Drawn(charts.rows([0.5], [], "score")))


def test_losses_fall_as_they_fell() -> None:
    training = Curve("training loss", ((1, 4.0), (2, 2.0), (3, 1.0)))
    drawn = Drawn(charts.losses([training, Curve("validation loss", ((3, 3.0),))]))
    heights = [y for _, y in drawn.points("line")]
    assert heights == sorted(heights)
    assert heights[0] == 26
    assert len(drawn.of("circle", "hollow")) == 2  # one in the key
    assert "training loss from 4 to 1." in drawn.told
    assert inside(drawn)


def test_long_curves_are_thinned_and_keep_their_ends() -> None:
    points = [(float(step), 1.0) for step in range(1, 1001)]
    kept = charts.thinned(points, 100)
    assert len(kept) == 100
    assert kept[-1] == (1000.0, 1.0)
    assert charts.thinned(points[:100], 100) == tuple(points[:100])


def test_a_tick_has_a_true_minus() -> None:
    assert number(-2.0) == "\u22122"
