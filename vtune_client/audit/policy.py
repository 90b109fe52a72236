"""What is asked of a check: small policies, joined with `&`, `|` and `~`.

    max_p_value(1e-6) & min_share(0.8) | outcome("verified") & rows_trained()

A policy holds, fails, or cannot be told (None): an inconclusive verdict says nothing against a
vendor, and what was not measured says nothing either. The three are joined by Kleene's logic: one
part that fails makes `&` fail whatever the others are, one that holds makes `|` hold. Every ruling
says why, and keeps the rulings of its parts.

The manner is that of tenacity's strategies and of sigstore's verification policies.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtune_client.errors import InputError
from vtune_client.evidence import RowsOutcome
from vtune_client.facts import Outcome
from vtune_client.statements import format_p

WORDS = tuple(str(each) for each in Outcome)
TRAINED = (str(RowsOutcome.TRAINED), str(RowsOutcome.WITHOUT_BACKDOORS))


@dataclass(frozen=True)
class Case:
    """What a policy judges: a recorded JSON verdict, and what the audit knows besides.

    `survives` is whether a claim of this check is still one after correction over all checks of
    the audit, None where it claims nothing; `cost` what training cost, in the vendor's currency,
    None where nobody says; `worse` what got worse since the last run, in sentences."""

    verdict: Mapping[str, Any]
    survives: bool | None = None
    cost: float | None = None
    worse: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether the verdict leaves everything open."""
        return bool(self.verdict["verdict"] == Outcome.INCONCLUSIVE)


@dataclass(frozen=True)
class Ruling:
    """Whether a policy holds (None: cannot be told), why, and the rulings of its parts."""

    policy: str
    holds: bool | None
    reason: str
    parts: tuple[Ruling, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "policy": self.policy,
            "holds": self.holds,
            "reason": self.reason,
            "parts": [part.to_json() for part in self.parts],
        }


class Policy(ABC):
    """Something that holds of a check or does not; `str` writes it as a file has it."""

    @abstractmethod
    def judge(self, case: Case) -> Ruling:
        """Return whether it holds of this case, and why."""

    @abstractmethod
    def __str__(self) -> str: ...

    def __and__(self, other: Policy) -> Policy:
        return _Both(_joined(_Both, self, other))

    def __or__(self, other: Policy) -> Policy:
        return _Either(_joined(_Either, self, other))

    def __invert__(self) -> Policy:
        return _Not(self)


@dataclass(frozen=True)
class _Both(Policy):
    parts: tuple[Policy, ...]

    def __str__(self) -> str:
        return " & ".join(
            f"({part})" if isinstance(part, _Either) else str(part) for part in self.parts
        )

    def judge(self, case: Case) -> Ruling:
        rulings = tuple(part.judge(case) for part in self.parts)
        found = [ruling.holds for ruling in rulings]
        holds = False if False in found else None if None in found else True
        return Ruling(str(self), holds, _because(rulings, holds), rulings)


@dataclass(frozen=True)
class _Either(Policy):
    parts: tuple[Policy, ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.parts))

    def judge(self, case: Case) -> Ruling:
        rulings = tuple(part.judge(case) for part in self.parts)
        found = [ruling.holds for ruling in rulings]
        holds = True if True in found else None if None in found else False
        return Ruling(str(self), holds, _because(rulings, holds), rulings)


@dataclass(frozen=True)
class _Not(Policy):
    inner: Policy

    def __str__(self) -> str:
        compound = isinstance(self.inner, _Both | _Either)
        return f"~({self.inner})" if compound else f"~{self.inner}"

    def judge(self, case: Case) -> Ruling:
        part = self.inner.judge(case)
        holds = None if part.holds is None else not part.holds
        return Ruling(str(self), holds, part.reason, (part,))


def _joined(kind: type[_Both | _Either], *policies: Policy) -> tuple[Policy, ...]:
    """Return the parts of a chain: `a & b & c` has three."""
    return tuple(
        part for each in policies for part in (each.parts if isinstance(each, kind) else (each,))
    )


def _because(parts: Sequence[Ruling], holds: bool | None) -> str:
    """Return the reasons of those parts that decided."""
    return "; ".join(dict.fromkeys(part.reason for part in parts if part.holds is holds))


@dataclass(frozen=True, init=False)
class outcome(Policy):
    """The verdict is one of these words."""

    words: tuple[str, ...]

    def __init__(self, *words: str) -> None:
        unknown = [word for word in words if word not in WORDS]
        if unknown or not words:
            given = repr(unknown[0]) if unknown else "nothing"
            raise InputError(
                f"outcome() takes words of a verdict, not {given}.",
                f"They are: {', '.join(WORDS)}.",
            )
        object.__setattr__(self, "words", words)

    def __str__(self) -> str:
        return f"outcome({', '.join(map(repr, self.words))})"

    def judge(self, case: Case) -> Ruling:
        word = case.verdict["verdict"]
        holds = True if word in self.words else None if case.open else False
        return Ruling(str(self), holds, f"the verdict is {word}")


@dataclass(frozen=True)
class max_p_value(Policy):
    """The verdict's p-value is at most so much."""

    most: float

    def __post_init__(self) -> None:
        _within(self, self.most, 0, 1)

    def __str__(self) -> str:
        return f"max_p_value({self.most:g})"

    def judge(self, case: Case) -> Ruling:
        below = case.verdict["log10_p"] <= math.log10(self.most)
        holds = True if below else None if case.open else False
        return Ruling(str(self), holds, f"p = {format_p(case.verdict['log10_p'])}")


@dataclass(frozen=True)
class min_share(Policy):
    """At least so much of the file is shown to have been used.

    It asks for proof: where the plan could not have shown as much, it fails all the same, and
    `foresight` says beforehand how much a plan can show."""

    least: float

    def __post_init__(self) -> None:
        _within(self, self.least, 0, 1)

    def __str__(self) -> str:
        return f"min_share({self.least:g})"

    def judge(self, case: Case) -> Ruling:
        share = case.verdict.get("share")
        if share is None:
            silent = case.verdict["verdict"] == Outcome.NOT_VERIFIED
            return Ruling(str(self), False if silent else None, "no share of the rows is shown")
        shown = f"at least {100 * share['low']:.0f} % of the rows were used"
        shown += f", and at most {100 * share['high']:.0f} %" if share["high"] < 1 else ""
        return Ruling(str(self), bool(share["low"] >= self.least), shown)


@dataclass(frozen=True)
class min_activation(Policy):
    """At least so large a share of the backdoors answers in full."""

    least: float

    def __post_init__(self) -> None:
        _within(self, self.least, 0, 1)

    def __str__(self) -> str:
        return f"min_activation({self.least:g})"

    def judge(self, case: Case) -> Ruling:
        activated, backdoors = case.verdict["activated"], case.verdict["backdoors"]
        enough = backdoors and activated / backdoors >= self.least
        holds = True if enough else None if case.open else False
        return Ruling(str(self), holds, f"{activated} of {backdoors} backdoors answer in full")


@dataclass(frozen=True)
class rows_trained(Policy):
    """The rows that carry nothing are shown to have been trained on; wants rows held out."""

    def __str__(self) -> str:
        return "rows_trained()"

    def judge(self, case: Case) -> Ruling:
        rows = case.verdict.get("rows")
        if rows is None:
            return Ruling(str(self), None, "nothing was asked about the rows")
        less = rows["outcome"] == RowsOutcome.LESS
        holds = True if rows["outcome"] in TRAINED else False if less else None
        return Ruling(str(self), holds, f"of the rows: {rows['outcome']}")


@dataclass(frozen=True)
class no_signs(Policy):
    """Nothing was found that is worth a question to the vendor."""

    def __str__(self) -> str:
        return "no_signs()"

    def judge(self, case: Case) -> Ruling:
        signs = case.verdict.get("signs", ())
        reason = f"worth asking: {' '.join(signs)}" if signs else "nothing is worth asking"
        return Ruling(str(self), not signs, reason)


@dataclass(frozen=True)
class max_cost(Policy):
    """Training cost at most so much, in the vendor's currency."""

    most: float

    def __post_init__(self) -> None:
        _within(self, self.most, 0, math.inf)

    def __str__(self) -> str:
        return f"max_cost({self.most:g})"

    def judge(self, case: Case) -> Ruling:
        if case.cost is None:
            return Ruling(str(self), None, "nobody says what training cost")
        return Ruling(str(self), case.cost <= self.most, f"training cost {case.cost:.2f}")


@dataclass(frozen=True)
class survives(Policy):
    """What the check claims is still a claim after correction over all checks of the audit."""

    def __str__(self) -> str:
        return "survives()"

    def judge(self, case: Case) -> Ruling:
        reason = {
            True: "the claim survives the correction over all checks",
            False: "the claim does not survive the correction over all checks",
            None: "nothing is claimed that could be corrected",
        }[case.survives]
        claimless = case.survives is None and not case.open
        return Ruling(str(self), False if claimless else case.survives, reason)


@dataclass(frozen=True)
class steady(Policy):
    """Nothing got worse since the last run."""

    def __str__(self) -> str:
        return "steady()"

    def judge(self, case: Case) -> Ruling:
        reason = " ".join(case.worse) or "nothing got worse since the last run"
        return Ruling(str(self), not case.worse, reason)


ATOMS = {
    each.__name__: each
    for each in (
        outcome,
        max_p_value,
        min_share,
        min_activation,
        rows_trained,
        no_signs,
        max_cost,
        survives,
        steady,
    )
}


def _within(policy: Policy, value: Any, low: float, high: float) -> None:
    """Raise `InputError` where a policy's number is none, or not above `low` up to `high`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low < value <= high:
        bound = f"above {low:g}" + (f" and at most {high:g}" if high < math.inf else "")
        raise InputError(
            f"{type(policy).__name__}({value!r}) is not possible.", f"Give a number {bound}."
        )
