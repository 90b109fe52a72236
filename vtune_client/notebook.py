"""A verdict as a notebook shows it: a fragment of HTML that takes the notebook's own colours."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from vtune_client.foreign import said
from vtune_client.statements import format_p

SIGNS = {"verified": "✓", "partial": "◐", "not verified": "✗", "inconclusive": "?"}

_CELL = "text-align:left;padding:0 1.5em 0 0;background:none;border:0"


def fragment(verdict: Mapping[str, Any]) -> str:
    """Return the JSON form of a verdict, with or without what places it, as HTML.

    Styles stand in the elements, so they reach nothing else; text keeps the page's colour, in light
    and in dark. Holds no secret."""
    outcome = verdict["verdict"]
    rows = "".join(
        f'<tr><th scope="row" style="{_CELL};font-weight:normal">{_text(test["name"])}</th>'
        f'<td style="{_CELL}">{_text(test["p"])}</td>'
        f'<td style="{_CELL}">{_text(format_p(test["adjusted_log10_p"]))}</td></tr>'
        for test in verdict["tests"]
    )
    heads = "".join(
        f'<th scope="col" style="{_CELL}">{name}</th>' for name in ("test", "p", "adjusted p")
    )
    points = "".join(f"<li>{_text(point)}</li>" for point in verdict["does_not_prove"])
    model = f" · {_text(verdict['model'])}" if "model" in verdict else ""
    return (
        '<div style="border-left:.4em solid currentColor;padding:.2em 1em;max-width:48em">'
        f"<p><strong>{SIGNS[outcome]} {_text(outcome).capitalize()}</strong>, p = "
        f"{_text(verdict['p'])}{model}</p><p>{_text(verdict['statement'])}</p>"
        f'<table style="border-collapse:collapse"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        f"<details><summary>It does not prove</summary><ul>{points}</ul></details></div>"
    )


def _text(value: object) -> str:
    return escape(said(value))
