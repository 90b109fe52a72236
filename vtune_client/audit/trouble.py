"""What stands in the way of a check: errors by their family, as a summary tells them."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from vtune_client.errors import (
    InputError,
    LedgerError,
    NetworkError,
    NotYet,
    ProviderError,
    SecretsError,
    VTuneError,
)

BUG = 70  # as the command line says of a bug
FAMILIES: tuple[tuple[type[VTuneError], str], ...] = (
    (SecretsError, "secrets"),
    (NotYet, "not yet"),
    (ProviderError, "vendor"),
    (NetworkError, "network"),
    (LedgerError, "ledger"),
    (InputError, "input"),
)


@dataclass(frozen=True)
class Trouble:
    """Why a check has no verdict: what kind of error, in the words of `errors`, its exit code."""

    family: str
    message: str
    advice: str
    exit_code: int


class Stopped(Exception):
    """A check cannot go on, for a reason that is known already."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble.family)
        self.trouble = trouble


def trouble_of(error: Exception) -> Trouble:
    """Return an error as a check's trouble. Of a bug only the place is told: its text and values
    may hold secrets."""
    if isinstance(error, Stopped):
        return error.trouble
    if isinstance(error, VTuneError):
        family = next((name for kind, name in FAMILIES if isinstance(error, kind)), "input")
        return Trouble(family, error.message, error.advice, error.exit_code)
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {Path(last.filename).name}, line {last.lineno}"
    return Trouble("bug", f"This is a bug ({where}).", "Please report it.", BUG)


def of_control(control: str, trouble: Trouble) -> Trouble:
    """Return a control's trouble as that of a check which needs it."""
    return replace(trouble, message=f"Its control {control} has no verdict. {trouble.message}")
