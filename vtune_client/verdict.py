"""From evidence to a verdict, and to the sentences that say what it proves and what it does not.

The p-values of all tests that ran are adjusted by Holm; the model is verified where the smallest is
at most `alpha`. Anything else is inconclusive, unless a positive control (an honest run of the same
plan and recipe) shows that this much silence is not how honest training looks. With a control a
model that met the file can also be found to have met only a part of it. Silence by itself is never
an accusation: some honest services memorise little.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from vtune_client.evidence import (
    AnytimeTest,
    DoseCount,
    RankTest,
    ShareInterval,
    SlotTest,
    activation_gap,
    count_by_dose,
    holm,
    share_interval,
    share_lower_bound,
)

SCHEMA = "vtune.verdict/1"
# How unlikely the gap to the control must be before silence is called more than silence.
GAP_ALPHA = 0.01

Evidence = SlotTest | RankTest | AnytimeTest


class Outcome(StrEnum):
    """What a verdict says. PARTIAL: verified, and by a control not on the whole file."""

    VERIFIED = "verified"
    PARTIAL = "partial"
    NOT_VERIFIED = "not verified"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Control:
    """A run known to be honest, of the same plan and recipe: how many backdoors it activated.

    `source` names it in reports, for example "a reference run". `seen` says of each backdoor of the
    plan whether it was activated, where that is known: an upper bound on the share needs it. Raises
    `ValueError` for counts that cannot be.
    """

    activated: int
    backdoors: int
    source: str
    seen: tuple[bool, ...] = ()

    def __post_init__(self) -> None:
        if self.backdoors < 1 or not 0 <= self.activated <= self.backdoors:
            raise ValueError("a control activates between 0 and all of its backdoors, at least 1")
        if self.seen and (sum(self.seen), len(self.seen)) != (self.activated, self.backdoors):
            raise ValueError("a control's backdoors do not add up to its counts")


@dataclass(frozen=True)
class Judged:
    """One test that ran, with its p-value after Holm's adjustment for all that ran."""

    evidence: Evidence
    adjusted_log10_p: float


@dataclass(frozen=True)
class Verdict:
    """The judgement. `log10_p` is Holm's over all `tests`; 0.0 and no tests where none ran.

    `backdoors`, `activated`, `slots` and `slots_matched` count the text answers; `slots` is 0 where
    none was read. `share` is given with VERIFIED and PARTIAL, where the doses are known.
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
    share: ShareInterval | None = None
    control: Control | None = None
    control_p: float | None = None


def judge(
    *tests: Evidence,
    alpha: float = 1e-6,
    read: SlotTest | None = None,
    control: Control | None = None,
    doses: Sequence[int] | None = None,
    layered: bool = True,
    confidence: float = 0.95,
) -> Verdict:
    """Judge the delivered model by every test that ran; a test without answers did not run.

    `alpha` bounds the probability of calling an untrained model verified. `doses` are the numbers
    of carriers per backdoor; with them, a verified model gets bounds on the share of rows used.
    `layered` tells how carriers were placed (`Plan.placement`): in layers, or as plans once were,
    one of each backdoor in each stretch of the file, which bounds the share less well. `read` is
    what was read in the answers where that is not tested itself: an anytime test stands alone,
    since asking stopped when it said so. Raises `ValueError` for two slot tests, two tests of one
    name, or a bad `alpha`.
    """
    if not 0 < alpha < 1:
        raise ValueError("alpha lies within (0, 1)")
    ran = [test for test in tests if not isinstance(test, SlotTest) or test.probed]
    names = {test.name for test in ran}
    slot_tests = [test for test in ran if isinstance(test, SlotTest)]
    if len(names) != len(ran) or len(slot_tests) > 1:
        raise ValueError("each test is given once, under its own name")
    adjusted = holm({test.name: test.log10_p for test in ran})
    log10_p = min(adjusted.values(), default=0.0)
    answers = slot_tests[0] if slot_tests else read
    control_p = _control_p(answers, control)
    rejected = log10_p <= math.log10(alpha)
    share = _share(answers, doses, layered, control, confidence) if rejected else None
    outcome = _outcome(rejected, share, control_p)
    follows, does_not_follow = _consequences(outcome, log10_p, control, share)
    return Verdict(
        outcome=outcome,
        alpha=alpha,
        log10_p=log10_p,
        backdoors=answers.backdoors if answers else max((t.backdoors for t in ran), default=0),
        activated=answers.activated if answers else 0,
        slots=answers.slots if answers else 0,
        slots_matched=answers.slots_matched if answers else 0,
        tests=tuple(Judged(test, adjusted[test.name]) for test in ran),
        statement=_statement(
            outcome, log10_p, alpha, answers, bool(ran), control, control_p, share
        ),
        follows=follows,
        does_not_follow=does_not_follow,
        share=share,
        control=control,
        control_p=control_p,
    )


def format_p(log10_p: float) -> str:
    """Return p as text of two digits, rounded up: "0.042", "3.2e-61", also far below 1e-308."""
    exponent = math.floor(log10_p)
    tenths = math.ceil(10 ** (log10_p - exponent + 1) - 1e-6)
    if tenths >= 100:
        exponent, tenths = exponent + 1, 10
    if exponent >= -3:
        return f"{tenths * 10.0 ** (exponent - 1):.2g}"
    return f"{tenths // 10}.{tenths % 10}e{exponent}"


def to_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain JSON values, under the schema `vtune.verdict/1`."""
    share, control = verdict.share, verdict.control
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
        "share": asdict(share) if share else None,
        "control": _control_json(control, verdict.control_p),
        "statement": verdict.statement,
        "proves": list(verdict.follows),
        "does_not_prove": list(verdict.does_not_follow),
    }


def _control_json(control: Control | None, p: float | None) -> dict[str, Any] | None:
    return {**asdict(control), "seen": list(control.seen), "p": p} if control else None


def _test_json(judged: Judged) -> dict[str, Any]:
    plain = {
        key: _plain(value)
        for key, value in asdict(judged.evidence).items()
        if key not in ("name", "log10_p")
    }
    return {
        "name": judged.evidence.name,
        "log10_p": judged.evidence.log10_p,
        "p": format_p(judged.evidence.log10_p),
        "adjusted_log10_p": judged.adjusted_log10_p,
        **plain,
    }


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _control_p(answers: SlotTest | None, control: Control | None) -> float | None:
    """Compare with the control, over answered backdoors alone: a lost query is not silence."""
    if answers is None or control is None:
        return None
    return activation_gap(answers.activated, answers.probed, control.activated, control.backdoors)


def _outcome(rejected: bool, share: ShareInterval | None, control_p: float | None) -> Outcome:
    if rejected:
        return Outcome.PARTIAL if share and share.high < 1 else Outcome.VERIFIED
    if control_p is not None and control_p <= GAP_ALPHA:
        return Outcome.NOT_VERIFIED
    return Outcome.INCONCLUSIVE


def _share(
    answers: SlotTest | None,
    doses: Sequence[int] | None,
    layered: bool,
    control: Control | None,
    confidence: float,
) -> ShareInterval | None:
    """Count backdoors without an answer as unseen below and as seen above: both bounds hold."""
    if answers is None or doses is None:
        return None
    if not layered:
        return _share_of_stretches(answers, max(doses), confidence)
    lost = [count == 0 for count in answers.answers]
    counts = count_by_dose(doses, answers.seen, lost=lost, chance=answers.chance)
    there: tuple[DoseCount, ...] | None = None
    if control and control.seen:
        there = count_by_dose(doses, control.seen, chance=answers.chance)
    return share_interval(counts, there, confidence)


def _share_of_stretches(answers: SlotTest, dose: int, confidence: float) -> ShareInterval:
    low = share_lower_bound(
        answers.activated,
        answers.backdoors,
        dose,
        confidence,
        chance=answers.chance,
        spread=True,
    )
    reasoning = (
        f"{answers.activated} of {answers.backdoors} backdoors answered in full, and each answer "
        f"shows that one of its {dose} carrier rows was used. Holds where the carriers stand "
        "spread evenly over the file and the rows used were chosen without regard to them."
    )
    return ShareInterval(low, 1.0, confidence, reasoning)


def _statement(
    outcome: Outcome,
    log10_p: float,
    alpha: float,
    answers: SlotTest | None,
    ran: bool,
    control: Control | None,
    control_p: float | None,
    share: ShareInterval | None,
) -> str:
    if not ran:
        return "No test ran, so nothing is known about the delivered model."
    seen = ""
    if answers:
        seen = (
            f" {answers.activated} of {answers.backdoors} backdoors answered in full, "
            f"{answers.slots_matched} of {answers.slots} secret words came back."
        )
    p = format_p(log10_p)
    if control and share and outcome is Outcome.PARTIAL:
        return (
            "Information from this file reached the served system, but not all of it was used: at "
            f"most {_percent_up(share.high)} of its rows, compared with {control.source} "
            f"({share.confidence:.0%} confidence).{seen} p = {p}."
        )
    if outcome is Outcome.VERIFIED:
        return (
            "Information from this file reached the served system: one that never met it would "
            f"answer like this with probability at most {p} (threshold {alpha:.2g}).{seen}"
        )
    if control and control_p is not None and outcome is Outcome.NOT_VERIFIED:
        return (
            "The delivered model does not answer as honest training on this file does: "
            f"{control.source} activated {control.activated} of {control.backdoors} backdoors "
            f"(gap: p = {format_p(math.log10(control_p))}).{seen} p = {p}."
        )
    return (
        "The tests do not tell whether this file was used: "
        f"p = {p}, above the threshold {alpha:.2g}.{seen}"
    )


def _consequences(
    outcome: Outcome, log10_p: float, control: Control | None, share: ShareInterval | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what the outcome proves and what it does not."""
    if outcome is Outcome.VERIFIED:
        return _proved(log10_p, share), (
            "That weights changed: a system that looks its answers up in the uploaded file would "
            "pass as well.",
            "That all rows were used, or how often.",
            "That the user's own rows were trained on: a vendor who found the carrier rows may "
            "have used them alone.",
        )
    if outcome is Outcome.PARTIAL and control:
        return _proved(log10_p, share), (
            "That the vendor left rows out on purpose: fewer epochs, a lower learning rate, "
            f"another base model or recipe than those of {control.source} look the same.",
            "That weights changed: a system that looks its answers up in the uploaded file would "
            "pass as well.",
        )
    if outcome is Outcome.NOT_VERIFIED and control:
        return (
            (
                f"The delivered model activates far fewer backdoors than {control.source}, run "
                "with the same plan and recipe.",
            ),
            (
                "That the vendor cheated: a lost adapter, a wrong model name, another base model "
                "or another recipe look the same.",
                "That no row was used: weak training can leave no trace in the answers.",
            ),
        )
    return (), (
        "That the file was not used: some honest services memorise too little to answer, and "
        "there is no control that says otherwise.",
        "That the file was used.",
    )


def _proved(log10_p: float, share: ShareInterval | None) -> tuple[str, ...]:
    first = (
        "Information from this file reached the served system (p at most "
        f"{format_p(log10_p)}, whatever the system is)."
    )
    if share is None or (share.low <= 0 and share.high >= 1):
        return (first,)
    least = math.floor(share.low * 1000) / 10  # rounded down: a lower bound stays one
    most = f", and at most {_percent_up(share.high)}" if share.high < 1 else ""
    return (
        first,
        f"At least {least:g} % of the file's rows were used{most} (confidence "
        f"{share.confidence:.0%}). {share.reasoning}",
    )


def _percent_up(share: float) -> str:
    """Return a share in percent, rounded up: an upper bound stays one."""
    return f"{math.ceil(share * 1000) / 10:g} %"
