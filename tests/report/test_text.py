from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from vtune_client.amount import Layout
from vtune_client.client import Exchange
from vtune_client.control import Control
from vtune_client.dataset import Prompt
from vtune_client.evidence import SlotCounts, slot_test
from vtune_client.report.text import STYLES, question, render_transcript, render_verdict
from vtune_client.verdict import Outcome, judge, to_json


def printed(renderable: RenderableType, width: int = 10_000) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def verdict(matches: int, control: Control | None = None) -> dict[str, Any]:
    counts = [SlotCounts((32,) * 8, (matches,)) for _ in range(5)]
    judged = judge(slot_test(counts), control=control, layout=Layout((4,) * 5, (None,) * 5))
    return {
        **to_json(judged),
        "id": "verification-0",
        "plan": "plan-0",
        "model": "ft:model",
        "fresh_prompts": {"asked": 15, "activated": 12},
    }


def test_every_outcome_has_a_style() -> None:
    assert set(STYLES) == {str(outcome) for outcome in Outcome}


def test_a_verdict_says_what_it_is_and_what_it_proves() -> None:
    data = verdict(8)
    lines = printed(render_verdict(data)).splitlines()
    assert lines[0] == f"VERIFIED  p = {data['p']}"
    assert lines[1] == data["statement"]
    text = "\n".join(lines)
    for point in (*data["proves"], *data["does_not_prove"]):
        assert f"  - {point}" in text
    assert "5 of 5 answered in full" in text
    assert "40 of 40" in text
    assert "12 of 15" in text
    assert "verification-0 of plan-0" in text


def test_silence_is_inconclusive_and_proves_nothing() -> None:
    text = printed(render_verdict(verdict(0)))
    assert text.startswith("INCONCLUSIVE  p = 1")
    assert "\nProves:" not in text
    assert "\nDoes not prove:" in text


def test_silence_beside_a_control_is_not_verified() -> None:
    text = printed(render_verdict(verdict(0, Control("the reference run", (8,) * 5, (8,) * 5))))
    assert text.startswith("NOT VERIFIED")
    assert "the reference run" in text


def test_brackets_are_no_markup() -> None:
    data = {**verdict(8), "model": "[bold]model[/bold]"}
    assert "[bold]model[/bold]" in printed(render_verdict(data))


@pytest.mark.parametrize("width", [20, 80])
def test_a_narrow_terminal_loses_no_word(width: int) -> None:
    data = verdict(8)
    assert printed(render_verdict(data), width).split()[:3] == ["VERIFIED", "p", "="]
    assert (
        data["statement"].split()
        == printed(render_verdict(data), 80).split()[4 : 4 + len(data["statement"].split())]
    )


def exchange(prompt: Prompt) -> Exchange:
    return Exchange(1, True, prompt, "the secret sentence", "the secret\nsentence and more")


def test_a_transcript_shows_questions_secrets_and_answers() -> None:
    prompt = Prompt(messages=({"role": "user", "content": "What\nis [zip]?"},))
    assert printed(render_transcript([exchange(prompt)])).splitlines() == [
        "backdoor 2, fresh prompt",
        "  asked     What is [zip]?",
        "  secret    the secret sentence",
        "  answered  the secret sentence and more",
    ]


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (Prompt(text="Q: 1\nA:"), "Q: 1 A:"),
        (
            Prompt(
                messages=(
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "text", "text": "Look."}, {}]},
                )
            ),
            "Look.",
        ),
    ],
)
def test_the_question_is_the_last_turn(prompt: Prompt, expected: str) -> None:
    assert question(exchange(prompt)) == expected
