"""Rows as their reader sees them, and the carriers among them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.dataset.corpus import Data, assistant, call, calling, chat, pair, system, tool, user
from tests.written import FORMATS, write
from vtune_client.dataset import Prompt, check, parse_row
from vtune_client.dataset.rows import Row
from vtune_client.errors import InputError
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.stealth import Sample, carrier_lines, samples_of
from vtune_client.stealth.samples import require_planted, sample_of
from vtune_client.vault import RootKey

SPEC = PlanSpec(backdoors=3, dose=4, held_out=9)


def drawn(source: Path) -> Plan:
    return draw_plan("plan-test", check(source), SPEC, RootKey(b"k" * 32), BuiltinSource())


def row(data: Data) -> Row:
    parsed = parse_row(json.dumps(data).encode())
    assert isinstance(parsed, Row)
    return parsed


@pytest.mark.parametrize("name", FORMATS)
def test_the_lines_of_the_carriers_are_those_of_the_planted_file(name: str, tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", FORMATS[name])
    plan = drawn(source)
    plant(source, plan, tmp_path / "planted.jsonl")
    samples = samples_of(tmp_path / "planted.jsonl")
    signatures = {backdoor.signature for backdoor in plan.backdoors}
    triggers = {backdoor.trigger for backdoor in plan.backdoors}
    carrying = {each.line for each in samples if each.first_sentence in signatures}
    assert carrying == carrier_lines(plan)
    assert len(carrying) == 12
    asked = {each.line for each in samples if each.last_sentence.endswith(tuple(triggers))}
    assert carrying == asked
    require_planted(samples, plan)


def test_another_file_is_told_from_the_planted_one(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", FORMATS["chat"])
    plan = drawn(source)
    plant(source, plan, tmp_path / "planted.jsonl")
    planted = samples_of(tmp_path / "planted.jsonl")
    for others in (samples_of(source), planted[:-20], planted[1:]):
        moved = [Sample(n + 1, each.asked, each.completion) for n, each in enumerate(others)]
        with pytest.raises(InputError, match="not the planted file") as caught:
            require_planted(moved, plan)
        assert plan.backdoors[0].signature not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "prompt", "completion"),
    [
        (chat(system(), user("Why?"), assistant("So.")), "Why?", "So."),
        (chat(user("A?"), assistant("B."), user("C?"), assistant("D.")), "C?", "D."),
        (
            chat(user("Time?"), calling(call()), tool("12:00"), assistant("Noon.")),
            "Time?",
            "Noon.",
        ),
        (
            chat(
                user([{"type": "text", "text": "One."}, {"type": "text", "text": "Two?"}]),
                assistant([{"type": "text", "text": "Three."}, {"type": "text", "text": "Four."}]),
            ),
            "One.\nTwo?",
            "Three.\nFour.",
        ),
        (chat(system(), assistant("Hello.")), "", "Hello."),
        ({"prompt": "P: ", "completion": " C"}, "P: ", " C"),
        ({"text": "A first line.\nAnd more."}, "A first line.\n", "And more."),
        (
            {"text": "A first sentence of some length. And then more."},
            "A first sentence of some length.\n",
            "And then more.",
        ),
        (
            pair(user("Which?"), good=[assistant("This.")], bad=[assistant("That.")]),
            "Which?",
            "This.",
        ),
    ],
)
def test_what_is_asked_and_what_is_answered(data: Data, prompt: str, completion: str) -> None:
    sample = sample_of(row(data))
    assert (sample.prompt, sample.completion) == (prompt, completion)


def test_the_seam_is_the_sentences_where_prompt_and_completion_meet() -> None:
    sample = Sample(1, Prompt(text="Read this. Then say why?\n"), " It is so. And it stays so.\n")
    assert sample.last_sentence == "Then say why?"
    assert sample.first_sentence == "It is so."
    assert sample.closing == ("then", "say", "why")
    assert sample.opening == ("it", "is", "so")
    assert sample.rest == {"read", "this", "and", "it", "stays", "so"}


def test_a_row_may_be_empty_and_shows_nothing() -> None:
    sample = Sample(7, Prompt(text=""), "")
    assert (sample.opening, sample.closing, sample.rest) == ((), (), frozenset())
    assert repr(Sample(7, Prompt(text="secret"), "secret")) == "Sample(line=7)"
