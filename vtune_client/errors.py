"""Every error this package raises on purpose.

    VTuneError
    ├── InputError            what you gave us cannot be used            exit 2
    │   ├── DatasetError      rows of a training file, by line number
    │   ├── BudgetError       it would cost more than you allowed
    │   └── MissingExtra      an optional dependency is not installed
    ├── LedgerError           the local record is missing or unreadable  exit 2
    ├── ProviderError         the provider answered, and the answer is no  exit 4
    │   ├── JobFailed         the provider gave up on the job
    │   └── NotYet            it had not come to an end in the time given
    ├── NetworkError          no answer came                             exit 4
    └── SecretsError          the vault did not give up its secret       exit 5
        ├── NoVault           no keyring on this machine, none chosen
        ├── VaultLocked       it exists, and it is locked (or the passphrase is wrong)
        ├── KeyMissing        the vault is open, the key is not in it
        └── SealBroken        what the key should open was changed

A verdict is never an error: a model that was not trained on the file is an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class VTuneError(Exception):
    """Base of all: `message` is one sentence of what happened, `advice` one of what to do."""

    exit_code = 2

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.advice = advice

    def __str__(self) -> str:
        return f"{self.message} {self.advice}".strip()


class InputError(VTuneError):
    """What was given cannot be used."""


class BudgetError(InputError):
    """The work would cost more than the stated budget."""


class MissingExtra(InputError):
    """An optional dependency is missing."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} is not installed.", f"Run: pip install 'vtune-client[{extra}]'.")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a training file: `line` counts from 1 (0: the file as a whole)."""

    line: int
    reason: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.reason}" if self.line else self.reason


class DatasetError(InputError):
    """A training file has rows that cannot be trained on; `problems` lists them by line."""

    def __init__(
        self, path: str, problems: Sequence[Problem], *, more: int = 0, advice: str = ""
    ) -> None:
        self.path = path
        self.problems = tuple(problems)
        self.more = more
        count = len(self.problems) + more
        first = self.problems[0]
        where = f"{path}:{first.line}" if first.line else path
        rest = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(f"{where}: {first.reason}{rest}", advice or "Mend the file and try again.")


class LedgerError(VTuneError):
    """The local record is missing, locked, newer than this program, or does not hold the item."""


class ProviderError(VTuneError):
    """The provider answered, and the answer is a refusal or makes no sense."""

    exit_code = 4


class JobFailed(ProviderError):
    """The provider reports that the fine-tuning job failed or was cancelled."""


class NotYet(ProviderError):
    """The provider is still at it after the time it was given: asked again later, it goes on."""


class NetworkError(VTuneError):
    """No usable answer came: safe to try again where the call has no side effect.

    `retry_after` is how many seconds the service asks to wait, where it says. `acted` is False
    where the service has certainly done nothing: no connection was made, or it said it was busy."""

    exit_code = 4

    def __init__(
        self,
        message: str,
        advice: str = "",
        *,
        retry_after: float | None = None,
        acted: bool = True,
    ) -> None:
        super().__init__(message, advice)
        self.retry_after = retry_after
        self.acted = acted


class SecretsError(VTuneError):
    """The vault did not give up its secret."""

    exit_code = 5


class NoVault(SecretsError):
    """No keyring on this machine, and no other vault was chosen."""


class VaultLocked(SecretsError):
    """The vault is there but closed: locked keyring, or wrong passphrase."""


class KeyMissing(SecretsError):
    """The vault is open and does not hold this key."""


class SealBroken(SecretsError):
    """Sealed data does not open under its key: it was changed, or belongs to another plan."""
