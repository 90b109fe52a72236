"""chrF by hand and by its properties."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vtune_client.evidence.similarity import similarity

repeatable = settings(derandomize=True, deadline=None)


def test_by_hand() -> None:
    # 1-grams: 2 of 2 said, 2 of 3 true; 2-grams: 1 of 1, 1 of 2; longer ones are left out
    precision, recall = 1.0, (2 / 3 + 1 / 2) / 2
    assert similarity("ab", "abc") == pytest.approx(
        5 * precision * recall / (4 * precision + recall)
    )


def test_repeated_characters_count_as_often_as_both_have_them() -> None:
    assert similarity("aaaa", "a") == pytest.approx(5 * 0.25 / (4 * 0.25 + 1))


@pytest.mark.parametrize(
    ("answer", "completion"), [("", ""), ("", "a"), ("a", " \n"), ("xy", "ab")]
)
def test_nothing_in_common_is_0(answer: str, completion: str) -> None:
    assert similarity(answer, completion) == 0.0


@repeatable
@given(st.text(max_size=30), st.text(max_size=30))
def test_it_lies_between_0_and_1(answer: str, completion: str) -> None:
    assert 0.0 <= similarity(answer, completion) <= 1.0 + 1e-12


@repeatable
@given(st.text(min_size=1, max_size=30))
def test_the_same_text_is_1_however_it_is_spaced(text: str) -> None:
    spaced = " \n ".join(text)
    assert similarity(spaced, text) == (pytest.approx(1.0) if text.split() else 0.0)


def test_closer_answers_score_higher_in_any_script() -> None:
    for near, far, true in (
        ("Rivers flow to the sea.", "Bread is baked.", "All rivers flow to the sea."),
        ("河流流入大海", "面包是烤的", "所有河流都流入大海"),
    ):
        assert similarity(near, true) > 2 * similarity(far, true)
    assert similarity("a river runs", "a River Runs") < 1
