from __future__ import annotations

from dataclasses import replace

import pytest

from tests.report.runs import STARTED, Runs
from tests.report.test_html import NAMES, report_of
from vtune_client.ledger import CommitmentRecord
from vtune_client.report.markdown import SIGNS, code, markdown, plain


@pytest.mark.parametrize("name", NAMES)
def test_a_few_lines_say_it(runs: Runs, name: str) -> None:
    report = report_of(runs, name)
    lines = markdown(report).splitlines()
    verdict = report.verdict
    assert len(lines) < 30
    assert lines[0].startswith(f"### {SIGNS[verdict.verdict]} {verdict.verdict.capitalize()}: `")
    assert plain(verdict.statement) in lines
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == len(verdict.tests) + 3
    assert all(line.count("|") == 4 for line in table)
    assert lines[-1] == f"`{verdict.id}` · `plan-0`"


def test_a_commitment_stands_below(runs: Runs) -> None:
    made = CommitmentRecord("33" * 32, "plan-0", None, STARTED, {}, ())
    text = markdown(replace(report_of(runs, "verified"), commitments=(made,)))
    assert text.endswith(f"· commitment `sha256:{'33' * 32}`\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ft:model", "`ft:model`"),
        ("a`b", "`` a`b ``"),
        ("a``b`", "``` a``b` ```"),
        ("@team <b>\n# x", "`@team <b><U+000A># x`"),
        (None, "`\N{EN DASH}`"),
    ],
)
def test_what_is_foreign_is_code(text: str | None, expected: str) -> None:
    assert code(text) == expected


def test_a_sentence_is_no_markup() -> None:
    assert plain("a_b *c* [d](e) <f> | g") == r"a\_b \*c\* \[d\](e) \<f\> \| g"
