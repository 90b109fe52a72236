"""Which rows are asked about: the right ones, by rules that do not look at who was withheld."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.dataset.corpus import Data, assistant, chat, user
from tests.nulls import binomial_tail, exceedances
from tests.written import FORMATS, plain, write
from vtune_client.dataset import (
    Row,
    check,
    completion_of,
    iter_rows,
    parse_row,
    prompt_of,
)
from vtune_client.draw import Draw
from vtune_client.errors import InputError
from vtune_client.evidence.exchange import RowScore, exchange_test
from vtune_client.held_out import AskedRow, rows_to_ask
from vtune_client.phrases import BuiltinSource
from vtune_client.plan import Plan, PlanSpec, draw_plan
from vtune_client.plant import plant
from vtune_client.vault import RootKey

KEY = RootKey(bytes(range(32)))
SPEC = PlanSpec(backdoors=2, dose=3, held_out=20)


def plan_of(
    path: Path, spec: PlanSpec = SPEC, key: RootKey = KEY, *, max_row_tokens: int | None = None
) -> Plan:
    source = BuiltinSource()
    return draw_plan("plan-1", check(path), spec, key, source, max_row_tokens=max_row_tokens)


def split(rows: tuple[AskedRow, ...]) -> tuple[set[int], set[int]]:
    """Return the lines of the uploaded and of the withheld rows."""
    uploaded = {row.line for row in rows if row.uploaded}
    return uploaded, {row.line for row in rows} - uploaded


@pytest.mark.parametrize("make", FORMATS.values(), ids=FORMATS)
def test_bare_rows_are_asked_as_they_were_taught(
    tmp_path: Path, make: Callable[[int], Data]
) -> None:
    path = write(tmp_path / "rows.jsonl", make)
    plan = plan_of(path)
    found = rows_to_ask(plan, path, KEY)
    uploaded, withheld = split(found)
    assert withheld <= set(plan.held_out)
    assert uploaded.isdisjoint({*plan.held_out, *plan.carriers})
    assert len(uploaded) == len(withheld) >= 10
    rows = {row.line: row for row in iter_rows(path)}
    for each in found:
        assert each.prompt == prompt_of(rows[each.line])
        assert each.completion == completion_of(rows[each.line])
        assert each.length == len(each.completion) > 0
    planted = plant(path, plan, tmp_path / "planted.jsonl")
    written = set(planted.path.read_bytes().splitlines(keepends=True))
    assert planted.rows == 40
    for each in found:
        assert (rows[each.line].raw in written) is each.uploaded


def test_what_a_row_teaches() -> None:
    taught = {
        "chat": "This is known of rivers.",
        "rich chat": "A clock, the 0th, caf\u00e9 \U0001f600.",
        "prompt": " Answer 0.\n",
        "text": "It was a dark night, the 0th.",
        "preference": "It is the 0th.",
    }
    for name, make in FORMATS.items():
        row = _row(make(0))
        assert completion_of(row) == taught[name]


def _row(data: Data) -> Row:
    row = parse_row(json.dumps(data).encode())
    assert isinstance(row, Row)
    return row


def test_the_key_alone_decides(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain, 200)
    plan = plan_of(path)
    found = rows_to_ask(plan, path, KEY)
    assert found == rows_to_ask(plan, path, KEY)
    assert found != rows_to_ask(plan, path, RootKey(bytes(32)))


def test_the_order_does_not_tell_which_is_which(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain, 200)
    kinds = [row.uploaded for row in rows_to_ask(plan_of(path), path, KEY)]
    changes = sum(a is not b for a, b in pairwise(kinds))
    assert changes > len(kinds) / 4


def test_no_more_than_wanted(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain, 200)
    uploaded, withheld = split(rows_to_ask(plan_of(path), path, KEY, most=5))
    assert len(uploaded) == len(withheld) == 5


def test_prompts_asked_with_a_trigger_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain)
    plan = plan_of(path, PlanSpec(backdoors=3, dose=3, held_out=40, fresh_prompts=6))
    asked = {str(prompt.messages) for each in plan.backdoors for prompt in (*each.own, *each.fresh)}
    found = rows_to_ask(plan, path, KEY)
    assert found
    assert asked.isdisjoint(str(row.prompt.messages) for row in found)


def with_twins(number: int) -> Data:
    """The questions of the first 60 rows are asked again by the next, in other case and spacing."""
    question = f"What is number {number % 60 if number < 120 else number}?"
    if 60 <= number < 120:
        question = question.upper().replace(" ", " \n ")
    return chat(user(question), assistant(f"It is {number}."))


def test_rows_with_a_twin_are_left_out_on_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", with_twins, 240)
    plan = plan_of(path, PlanSpec(backdoors=2, dose=3, held_out=80))
    uploaded, withheld = split(rows_to_ask(plan, path, KEY))
    assert min(uploaded | withheld) > 120
    assert len(uploaded) == len(withheld) > 20


def with_long_rows(number: int) -> Data:
    """Every third row is too long to carry."""
    answer = f"It is {number}. " * (1 + number % 7 + 40 * (number % 3 == 0))
    return chat(user(f"What is {number}?"), assistant(answer))


def test_a_systems_taste_does_not_tell_uploaded_from_withheld(tmp_path: Path) -> None:
    """A system that knows long rows best, in a file where the longest are never withheld."""
    path = write(tmp_path / "rows.jsonl", with_long_rows, 90)
    spec = PlanSpec(backdoors=2, dose=2, held_out=16, fresh_prompts=0)
    plan = plan_of(path, spec, max_row_tokens=150)
    able = {line for line in range(1, 91) if (line - 1) % 3} - set(plan.carriers)
    assert able >= set(plan.held_out)
    log10_ps = []
    for run in range(150):
        key = RootKey(Draw(b"held-out nulls, seeded", f"{run}").bytes(32))
        withheld = Draw(key.bytes, "withheld").sample(sorted(able), 16)
        found = rows_to_ask(replace(plan, held_out=tuple(sorted(withheld))), path, key)
        rows = [RowScore(row.uploaded, row.length) for row in found]
        log10_ps.append(exchange_test(rows, Draw(key.bytes, "ties"), strata=1).log10_p)
    tails = [binomial_tail(exceedances(log10_ps, x), 150, x) for x in (0.2, 0.05, 0.01)]
    assert min(tails) > 1e-3
    assert exceedances(log10_ps, 0.5) > 45


def test_another_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain)
    plan = plan_of(path)
    write(path, plain, 61)
    with pytest.raises(InputError, match="has changed"):
        rows_to_ask(plan, path, KEY)


@pytest.mark.parametrize("spec", [PlanSpec(), PlanSpec(held_out=2, fresh_prompts=2)])
def test_a_plan_without_rows_to_compare_is_refused(tmp_path: Path, spec: PlanSpec) -> None:
    """None withheld, or all of them asked with a trigger."""
    path = write(tmp_path / "rows.jsonl", plain)
    with pytest.raises(InputError, match="No withheld rows"):
        rows_to_ask(plan_of(path, spec), path, KEY)


def test_prompts_and_completions_are_not_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.jsonl", plain)
    shown = repr(rows_to_ask(plan_of(path), path, KEY))
    assert "known" not in shown
    assert "What of" not in shown
