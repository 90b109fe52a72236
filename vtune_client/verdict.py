"""From evidence to a verdict.

The p-values of all tests that ran are adjusted by Holm; the model is verified where the smallest is
at most `alpha`. Anything else is inconclusive, unless a positive control (an honest run of the same
plan and recipe) shows that this much silence is not how honest training looks, and no test finds a
trace of the file. With a control a model that met the file can also be found to have met only a
part of it, or its backdoors alone. Silence by itself is never an accusation: some honest services
memorise little.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, is_dataclass, replace
from typing import Any, TypeVar

from vtune_client.amount import Layout, by_shard, share
from vtune_client.control import Control
from vtune_client.evidence import (
    ExchangeTest,
    RowsControl,
    RowsVerdict,
    RunGap,
    ShardTest,
    ShareInterval,
    SlotTest,
    TrendTest,
    holm,
    rows_verdict,
    run_gap,
)
from vtune_client.facts import Evidence, Facts
from vtune_client.facts import Outcome as Outcome
from vtune_client.notebook import fragment
from vtune_client.statements import does_not_follow, follows, signs, statement
from vtune_client.statements import format_p as format_p

SCHEMA = "vtune.verdict/1"
Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Judged:
    """One test that ran, with its p-value after Holm's adjustment for all that ran."""

    evidence: Evidence
    adjusted_log10_p: float


@dataclass(frozen=True)
class Verdict:
    """The judgement. `log10_p` is Holm's over all `tests`; 0.0 and no tests where none ran.

    `backdoors`, `activated`, `slots` and `slots_matched` count the text answers; `slots` is 0 where
    none was read. `share` is given where the backdoors show and their doses are known, `shards`
    where some are kept inside shards and a control is at hand; both rest on the `layout` of the
    plan. `gap` compares with the control, `trend` the doses with each other. `signs` are worth a
    question to the vendor, no more.
    """

    outcome: Outcome
    alpha: float
    log10_p: float
    backdoors: int
    activated: int
    slots: int
    slots_matched: int
    tests: tuple[Judged, ...]
    statement: str
    follows: tuple[str, ...]
    does_not_follow: tuple[str, ...]
    signs: tuple[str, ...] = ()
    share: ShareInterval | None = None
    shards: ShardTest | None = None
    trend: TrendTest | None = None
    rows: RowsVerdict | None = None
    control: Control | None = None
    gap: RunGap | None = None
    layout: Layout | None = None

    def _repr_html_(self) -> str:
        return fragment(to_json(self))


def judge(
    *tests: Evidence,
    alpha: float = 1e-6,
    read: SlotTest | None = None,
    layout: Layout | None = None,
    control: Control | None = None,
    rows_control: RowsControl | None = None,
    trend: TrendTest | None = None,
    confidence: float = 0.95,
) -> Verdict:
    """Judge the delivered model by every test that ran; a test without answers did not run.

    `alpha` bounds the probability of calling an untrained model verified. With the `layout` of the
    plan, a model whose backdoors show gets bounds on the share of rows used, with `confidence`, and
    with a control on that of each shard. `rows_control` is the control's own test of the rows, and
    `trend` is passed on. `read` is what was read in the answers where that is not tested itself: an
    anytime test stands alone, since asking stopped when it said so. Raises `ValueError` for two
    tests of a kind, two of one name, or a bad `alpha`.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha lies within (0, 1)")
    facts = _facts(tests, alpha, read, control, layout)
    if control and control.differs:
        control = rows_control = None  # no bound may rest on it
    exchange = _only(ExchangeTest, facts.tests)
    if exchange:
        shows = facts.backdoors_show
        facts = replace(facts, rows=rows_verdict(shows, exchange, rows_control))
    if layout and facts.answers and facts.backdoors_show:
        facts = replace(
            facts,
            share=share(facts.answers, facts.ranks, layout, control, confidence),
            shards=by_shard(facts.answers, facts.ranks, layout, control, confidence),
        )
    return _verdict(facts, trend, layout)


def _facts(
    tests: tuple[Evidence, ...],
    alpha: float,
    read: SlotTest | None,
    control: Control | None,
    layout: Layout | None,
) -> Facts:
    ran = tuple(test for test in tests if not isinstance(test, SlotTest) or test.probed)
    if len({test.name for test in ran}) != len(ran):
        raise ValueError("each test is given once, under its own name")
    answers = _only(SlotTest, ran) or read
    gap = None
    if answers and answers.probed and control:
        doses = layout.doses if layout else (1,) * answers.backdoors
        shares = zip(answers.shares, answers.answers, strict=True)
        here = [share if count else None for share, count in shares]
        gap = run_gap(here, control.shares, doses)
    adjusted = holm({test.name: test.log10_p for test in ran})
    return Facts(alpha, ran, adjusted, answers, control, gap)


def _only(kind: type[Kind], tests: tuple[Evidence, ...]) -> Kind | None:
    found = [test for test in tests if isinstance(test, kind)]
    if len(found) > 1:
        raise ValueError("each test is given once, and one of its kind")
    return found[0] if found else None


def _verdict(facts: Facts, trend: TrendTest | None, layout: Layout | None) -> Verdict:
    answers = facts.answers
    counted = [test.backdoors for test in facts.tests if not isinstance(test, ExchangeTest)]
    return Verdict(
        outcome=facts.outcome,
        alpha=facts.alpha,
        log10_p=facts.log10_p,
        backdoors=answers.backdoors if answers else max(counted, default=0),
        activated=answers.activated if answers else 0,
        slots=answers.slots if answers else 0,
        slots_matched=answers.slots_matched if answers else 0,
        tests=tuple(Judged(test, facts.adjusted[test.name]) for test in facts.tests),
        statement=statement(facts),
        follows=follows(facts),
        does_not_follow=does_not_follow(facts),
        signs=signs(facts),
        share=facts.share,
        shards=facts.shards,
        trend=trend,
        rows=facts.rows,
        control=facts.control,
        gap=facts.gap,
        layout=layout,
    )


def to_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain JSON values, under the schema `vtune.verdict/1`."""
    return {
        "schema": SCHEMA,
        "verdict": str(verdict.outcome),
        "log10_p": verdict.log10_p,
        "p": format_p(verdict.log10_p),
        "alpha": verdict.alpha,
        "backdoors": verdict.backdoors,
        "activated": verdict.activated,
        "slots": verdict.slots,
        "slots_matched": verdict.slots_matched,
        "tests": [_test_json(judged) for judged in verdict.tests],
        "share": _plain(verdict.share),
        "shards": _plain(verdict.shards),
        "doses": _plain(verdict.trend),
        "layout": _plain(verdict.layout),
        "rows": _rows_json(verdict.rows),
        "control": _control_json(verdict.control, verdict.gap),
        "signs": list(verdict.signs),
        "statement": verdict.statement,
        "proves": list(verdict.follows),
        "does_not_prove": list(verdict.does_not_follow),
    }


def _control_json(control: Control | None, gap: RunGap | None) -> dict[str, Any] | None:
    if control is None:
        return None
    return {
        "source": control.source,
        "backdoors": control.backdoors,
        "activated": control.activated,
        "slots": list(control.slots),
        "matched": list(control.matched),
        "ranks": list(control.ranks),
        "decoys": list(control.decoys),
        "rows": [[row.uploaded, row.score, row.length] for row in control.rows],
        "rows_kind": control.rows_kind,
        "differs": list(control.differs),
        "gap": _plain(gap),
        "p": 10**gap.log10_p if gap else None,
    }


def _rows_json(rows: RowsVerdict | None) -> dict[str, Any] | None:
    if rows is None:
        return None
    return {
        "outcome": str(rows.outcome),
        "statement": rows.statement,
        "alpha": rows.alpha,
        "control": _plain(rows.control),
    }


def _test_json(judged: Judged) -> dict[str, Any]:
    found = _plain(judged.evidence)
    return {
        "name": found.pop("name"),
        "log10_p": found.pop("log10_p"),
        "p": format_p(judged.evidence.log10_p),
        "adjusted_log10_p": judged.adjusted_log10_p,
        **found,
    }


def _plain(value: Any) -> Any:
    """Return what dataclasses and tuples hold as plain dictionaries and lists."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
