"""What a check of a statement found, point by point."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ParamSpec

from vtune_client.errors import MissingExtra, VTuneError

P = ParamSpec("P")

# What hostile values make our own functions raise: each means that a value cannot be right.
BROKEN = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class Standing(StrEnum):
    """CONFIRMED: computed or compared here. REFUTED: it is not as the statement says. OPEN: cannot
    be told from what was given."""

    CONFIRMED = "confirmed"
    REFUTED = "refuted"
    OPEN = "open"


@dataclass(frozen=True)
class Finding:
    """One point: `what` was looked at, how it stands, and why, in a sentence."""

    what: str
    standing: Standing
    why: str


@dataclass(frozen=True)
class Checked:
    """All that was found."""

    findings: tuple[Finding, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing was refuted."""
        return not self.of(Standing.REFUTED)

    def of(self, standing: Standing) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.standing is standing)


def confirmed(what: str, why: str) -> Finding:
    return Finding(what, Standing.CONFIRMED, why)


def refuted(what: str, why: str) -> Finding:
    return Finding(what, Standing.REFUTED, why)


def left_open(what: str, why: str) -> Finding:
    return Finding(what, Standing.OPEN, why)


def told(what: str, holds: bool, yes: str, no: str) -> Finding:
    """Return `yes` as confirmed where it holds, else `no` as refuted."""
    return confirmed(what, yes) if holds else refuted(what, no)


def guarded(
    what: str, look: Callable[P, Iterable[Finding]], *args: P.args, **named: P.kwargs
) -> Iterator[Finding]:
    """Yield what a look finds; a value that it chokes on is refuted, whatever it is."""
    try:
        yield from look(*args, **named)
    except MissingExtra as error:
        yield left_open(what, str(error))
    except VTuneError as error:
        yield refuted(what, error.message)
    except BROKEN as error:
        yield refuted(what, f"It is not of the form that this program writes ({_name(error)}).")


def _name(error: Exception) -> str:
    # No text of the error: it may quote a secret.
    return type(error).__name__
