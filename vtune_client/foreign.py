"""Text that others wrote, made fit to stand in a report: names of models, words of vendors."""

from __future__ import annotations

import unicodedata

MOST_SHOWN = 2000  # characters


def said(value: object) -> str:
    """Return text from elsewhere so that it cannot vanish, reorder its surroundings or run on.

    Control and format characters (Unicode Cc and Cf: line ends, bidirectional overrides, joiners)
    and lone surrogates show as their code points; None is a dash."""
    text = "\N{EN DASH}" if value is None else str(value)
    shown = "".join(
        f"<U+{ord(sign):04X}>" if unicodedata.category(sign) in ("Cc", "Cf", "Cs") else sign
        for sign in text[:MOST_SHOWN]
    )
    return shown + ("\N{HORIZONTAL ELLIPSIS}" if len(text) > MOST_SHOWN else "")
