"""JSON as RFC 8259 has it, and no other: what is signed must be read by all in one way."""

from __future__ import annotations

import json
from typing import Any


def loads(data: bytes) -> Any:
    """Return a JSON value in UTF-8 in which no name stands twice and every number is one.

    Raises `ValueError` (`UnicodeDecodeError` and `JSONDecodeError` among them) for anything else,
    and `RecursionError` where it is nested too deeply."""
    return json.loads(data.decode(), object_pairs_hook=_object, parse_constant=_constant)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"a name stands twice in one object: {name!r}")
        found[name] = value
    return found


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")
