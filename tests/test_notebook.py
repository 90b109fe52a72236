from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest

from tests.report.test_text import verdict
from tests.test_verify import Bench, bench, planted
from vtune_client.evidence import SlotCounts, slot_test
from vtune_client.foreign import said
from vtune_client.notebook import SIGNS, fragment
from vtune_client.verdict import Outcome, judge

__all__ = ["bench", "planted"]

HOSTILE = "<script>x</script>\u202e\u0007&"


class Balanced(HTMLParser):
    """Checks that every element is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.open.append(tag)
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_outcome_has_a_sign() -> None:
    assert set(SIGNS) == {str(outcome) for outcome in Outcome}


@pytest.mark.parametrize("matches", [0, 8])
def test_a_notebook_shows_a_verdict(matches: int) -> None:
    data = verdict(matches)
    text = fragment(data)
    Balanced(text)
    assert data["statement"] in text
    assert f"p = {data['p']} · ft:model" in text
    assert "color:" not in text.replace("currentColor", "")  # the notebook's own, light or dark


def test_a_verdict_of_its_own_has_no_model() -> None:
    judged = judge(slot_test([SlotCounts((32,) * 8, (8,))] * 5))
    text = judged._repr_html_()
    assert judged.statement in text
    assert "·" not in text


async def test_a_verification_says_of_whom(bench: Bench) -> None:
    result = await bench.verify()
    text = result._repr_html_()
    Balanced(text)
    assert "· tuned</p>" in text
    assert not [each for each in bench.plan.backdoors if each.signature in text]


def test_what_is_foreign_is_text() -> None:
    text = fragment({**verdict(8), "model": HOSTILE})
    assert "script" not in Balanced(text).seen
    assert "&lt;script&gt;x&lt;/script&gt;&lt;U+202E&gt;&lt;U+0007&gt;&amp;" in text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "\N{EN DASH}"),
        (3, "3"),
        ("é 你", "é 你"),
        ("a\nb\tc\u200bd\ud800", "a<U+000A>b<U+0009>c<U+200B>d<U+D800>"),
        ("x" * 3000, "x" * 2000 + "…"),
    ],
)
def test_foreign_text_is_made_visible(value: object, expected: str) -> None:
    assert said(value) == expected
