"""What goes wrong on request, so that clients can be tried against it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vtune_client.errors import InputError

# Name -> (the value where none is given, None: it has to be given, and what happens).
FAULTS: dict[str, tuple[float | None, str]] = {
    "create-then-500": (0, "a job is accepted, the answer is a 500"),
    "create-then-cut": (0, "a job is accepted, the connection closes without an answer"),
    "busy": (None, "a job is not accepted: 429, try again in VALUE seconds"),
    "slow-validation": (None, "an uploaded file is looked at only after VALUE seconds"),
    "stuck": (0, "a job says for ever that it is running, until it is cancelled"),
    "unknown-status": (3, "a job says a status nobody knows in VALUE answers, then goes on"),
    "no-model-name": (-1, "a job that succeeded names no model in VALUE answers (-1: in none)"),
    "cut-upload": (0, "the connection closes in the middle of an upload"),
}
_FAULT = re.compile(r"([a-z0-9-]+)(?:=(-?[0-9.]+))?(?:\*([0-9]+))?")


@dataclass(frozen=True)
class Fault:
    """`times` is how often it is still to happen; None: always."""

    name: str
    value: float = 0.0
    times: int | None = None


def parse_fault(text: str) -> Fault:
    """Return the fault of NAME[=VALUE][*TIMES]; `InputError` where that is none."""
    found = _FAULT.fullmatch(text)
    if not found:
        raise InputError(f"{text!r} is no fault.", "Write NAME, NAME=VALUE or NAME=VALUE*TIMES.")
    name, value, times = found.groups()
    return make_fault(
        name, None if value is None else _number(text, value), int(times) if times else None
    )


def make_fault(name: str, value: float | None = None, times: int | None = None) -> Fault:
    if name not in FAULTS:
        raise InputError(f"There is no fault {name!r}.", f"Known: {', '.join(FAULTS)}.")
    value = FAULTS[name][0] if value is None else value
    if value is None:
        raise InputError(f"The fault {name!r} needs a value.", f"Write {name}=SECONDS.")
    return Fault(name, value, times)


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise InputError(f"{text!r} has no number as its value.", "Write NAME=VALUE.") from None


class Faults:
    """Those still to happen. Safe to change from another thread."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        self._faults = list(faults)
        self._lock = threading.Lock()

    def add(self, name: str, value: float | None = None, *, times: int | None = None) -> None:
        """Let a fault happen `times` times; None: from now on."""
        with self._lock:
            self._faults.append(make_fault(name, value, times))

    def clear(self) -> None:
        with self._lock:
            self._faults.clear()

    def take(self, name: str) -> Fault | None:
        """Return the fault of that name if it is to happen now, and count it."""
        with self._lock:
            for index, fault in enumerate(self._faults):
                if fault.name == name and fault.times != 0:
                    if fault.times is not None:
                        self._faults[index] = replace(fault, times=fault.times - 1)
                    return fault
        return None
