"""What a service says of itself, without what it may quote of a file."""

from __future__ import annotations

import re

LENGTH = 300  # characters of a service's words that are passed on
_PLAIN = 40  # a quoted stretch without spaces up to this length is a name

# Quoted stretches and JSON: where a service repeats what a row says.
_QUOTED = re.compile(
    r"""(?<!\w)(?P<mark>["'`])(?P<inside>.*?)(?P=mark)(?!\w)|“(?P<curly>.*?)”|\{.*\}|\[.*\]""",
    re.DOTALL,
)


def plain(text: object) -> str:
    """Return a service's words on one line, quotations of more than a name left out; "" where
    there are none."""
    if not isinstance(text, str):
        return ""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    flat = " ".join(_QUOTED.sub(_elided, printable).split())
    return flat if len(flat) <= LENGTH else f"{flat[: LENGTH - 1]}\u2026"


def _elided(found: re.Match[str]) -> str:
    inside = found["inside"] or found["curly"] or ""
    is_name = 0 < len(inside) <= _PLAIN and not any(map(str.isspace, inside))
    return found[0] if is_name else "\u2026"
