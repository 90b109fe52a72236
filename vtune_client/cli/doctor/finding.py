"""What the doctor finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from vtune_client.errors import VTuneError

LOCAL, SERVICE, SECRETS = 2, 4, 5  # exit codes, as documented for every command


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `ok` None: nothing wrong, but something is not there.

    `code` is the exit code that a failure stands for, `data` what programs may want to know."""

    what: str
    ok: bool | None
    found: str
    advice: str = ""
    code: int = LOCAL
    data: dict[str, Any] = field(default_factory=dict)


def attempt(
    what: str, look: Callable[[], str], *, needed: bool = True, code: int = LOCAL
) -> Finding:
    """Return what `look` says, or what stopped it; that is no failure unless `needed`."""
    try:
        return Finding(what, True, look())
    except VTuneError as error:
        return Finding(what, False if needed else None, error.message, error.advice, code)
    except Exception as error:  # a broken install of anything at all must not end the round
        found = f"does not load: {type(error).__name__}."
        return Finding(what, False if needed else None, found, "Reinstall its packages.", code)
