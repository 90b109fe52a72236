from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from tests.stealth.test_detectors import ROWS, among
from vtune_client.errors import InputError
from vtune_client.stealth import DETECTORS, Sample, judge, lint
from vtune_client.stealth.lint import TOGETHER, UNLIKE

SENTENCES = [f"Velvet anchors whistle past copper lantern {n}." for n in ("ann", "bob", "cy")]
CARRIERS = frozenset({61, 62, 63})


class ByLength:
    name = "by length"
    looks_for = "long completions"
    advice = "Write less."

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        return [float(len(sample.completion)) for sample in samples]


def test_a_report_has_every_detector_and_all_of_them_together() -> None:
    report = lint(among(*SENTENCES), CARRIERS)
    assert [each.detector for each in report.findings] == [
        *(detector.name for detector in DETECTORS),
        TOGETHER,
    ]
    assert (report.rows, report.carriers, report.hidden) == (63, 3, False)
    by_name = {finding.detector: finding for finding in report.findings}
    assert by_name["known frames"].auc == 0.5  # these are not of the book
    assert by_name["known frames"].hidden
    assert (by_name["off topic"].auc, by_name["off topic"].recall) == (1.0, 1.0)
    assert by_name[TOGETHER].auc > 0.98
    assert not by_name[TOGETHER].hidden


def test_ordinary_rows_named_as_carriers_are_not_found() -> None:
    report = lint(ROWS, frozenset(range(1, 61, 3)))
    # 20 against 40: by luck alone an area strays by 0.08 or so.
    assert all(0.25 < finding.auc < 0.75 for finding in report.findings)
    assert all(finding.recall <= 0.2 for finding in report.findings)


def test_the_json_has_no_text_of_any_row() -> None:
    data = lint(among(*SENTENCES), CARRIERS).to_json()
    assert data["schema"] == "vtune.lint/1"
    assert (data["rows"], data["carriers"], data["hidden"]) == (63, 3, False)
    found = {each["detector"]: each for each in data["findings"]}
    assert found["off topic"]["advice"].startswith("Use frames")
    assert found["known frames"]["advice"] is None
    low, high = found["off topic"]["recall_interval"]
    assert 0.2 < low < high == 1.0
    text = json.dumps(data) + repr(lint(among(*SENTENCES), CARRIERS))
    assert not {"Velvet", "lantern", "river"} & set(text.split())


def test_carriers_that_stand_out_by_being_plain_are_found_too() -> None:
    short = among("No.", "Yes.", "Ah.")
    (finding,) = lint(short, CARRIERS, [ByLength()]).findings
    assert (finding.auc, finding.recall, finding.hidden) == (0.0, 1.0, False)
    assert finding.advice == UNLIKE
    assert finding.looks_for == "the rows with least of this: long completions"
    long = among(*["Yes. " * 99] * 3)
    (finding,) = lint(long, CARRIERS, [ByLength()]).findings
    assert (finding.auc, finding.recall, finding.advice) == (1.0, 1.0, "Write less.")


@pytest.mark.parametrize(
    ("scores", "hidden"),
    [
        ([0.0] * 63, True),
        ([*range(60), 10, 30, 50], True),
        ([*range(60), 40, 40, 40], False),  # an area above the goal, and no recall
        ([*range(60), 20, 20, 70], False),  # no area, and a third caught
    ],
)
def test_hidden_is_little_area_and_little_recall(scores: list[float], hidden: bool) -> None:
    found = judge(among(*SENTENCES), CARRIERS, scores, "a", "b", "c")
    assert found.hidden is hidden


@pytest.mark.parametrize(
    "carriers", [frozenset(), frozenset({0}), frozenset({61, 64}), frozenset(range(1, 64))]
)
def test_carriers_are_some_of_the_rows(carriers: frozenset[int]) -> None:
    with pytest.raises(InputError, match="not some of the rows"):
        lint(among(*SENTENCES), carriers)


def test_a_single_detector_is_no_company() -> None:
    assert len(lint(among(*SENTENCES), CARRIERS, [ByLength()]).findings) == 1
    assert len(lint(among(*SENTENCES), CARRIERS, [ByLength(), ByLength()]).findings) == 3
