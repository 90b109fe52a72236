"""A verdict in the terminal, from its JSON: what was recorded is what is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from vtune_client.statements import format_p

if TYPE_CHECKING:
    from vtune_client.client import Exchange

STYLES = {
    "verified": "bold green",
    "partial": "bold yellow",
    "not verified": "bold red",
    "inconclusive": "bold yellow",
}


def render_verdict(data: Mapping[str, Any]) -> RenderableType:
    """Return the verdict, its numbers, and what it proves and does not."""
    parts: list[RenderableType] = [
        Text.assemble((data["verdict"].upper(), STYLES[data["verdict"]]), f"  p = {data['p']}"),
        Text(data["statement"]),
        _numbers(data),
    ]
    parts += _points("Proves", data["proves"])
    parts += _points("Does not prove", data["does_not_prove"])
    parts += _points("Worth asking", data.get("signs", ()))
    reserve = f", its reserve, after {data['reprobes']}" if data.get("reprobes") else ""
    parts.append(Text(f"{data['id']} of {data['plan']}{reserve}", style="dim"))
    return Group(*parts)


def render_transcript(exchanges: Sequence[Exchange]) -> RenderableType:
    """Return every question and answer, secrets included."""
    lines = []
    for exchange in exchanges:
        kind = "fresh" if exchange.fresh else "own"
        lines.append(Text(f"backdoor {exchange.backdoor + 1}, {kind} prompt", style="bold"))
        lines.append(Text(f"  asked     {question(exchange)}"))
        lines.append(Text(f"  secret    {exchange.signature}"))
        lines.append(Text(f"  answered  {' '.join(exchange.answer.split())}"))
    return Group(*lines)


def question(exchange: Exchange) -> str:
    """Return the last turn of what was asked, on one line."""
    prompt = exchange.prompt
    content = prompt.text if prompt.text is not None else prompt.messages[-1]["content"]
    if not isinstance(content, str):
        content = " ".join(part.get("text", "") for part in content)
    return " ".join(content.split())


def _numbers(data: Mapping[str, Any]) -> RenderableType:
    fresh = data["fresh_prompts"]
    lines = [
        ("model", str(data["model"])),
        ("backdoors", f"{data['activated']} of {data['backdoors']} answered in full"),
        ("secret words", f"{data['slots_matched']} of {data['slots']}"),
        ("fresh prompts", f"{fresh['activated']} of {fresh['asked']}"),
        *((f"test: {test['name']}", f"p = {test['p']}") for test in data["tests"]),
        *_anytime(data.get("anytime")),
        *_compared(data),
    ]
    table = Table.grid(padding=(0, 2))
    for name, value in lines:
        table.add_row(name, Text(value))  # a name with brackets in it is no markup
    return Padding(table, (0, 2), expand=False)


def _anytime(data: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return the line on the e-value; verdicts of old have none."""
    if data is None:
        return []
    asked = f"after {data['asked']} of {data['planned']} questions"
    return [("e-value", f"10^{data['log10_e']:.1f} {asked}")]


def _compared(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what a ladder of doses, the rows and a control add, where they are there."""
    lines = []
    if doses := data.get("doses"):
        p = format_p(doses["log10_p"])
        lines.append(("dose trend", f"p = {p} for more carriers being answered no better"))
    if rows := data.get("rows"):
        lines.append(("rows", rows["outcome"]))
    if (control := data.get("control")) and control["p"] is not None:
        lines.append(("gap to the control", f"p = {format_p(math.log10(control['p']))}"))
    return lines


def _points(title: str, points: Sequence[str]) -> list[RenderableType]:
    if not points:
        return []
    return [Text(f"{title}:", style="bold"), *(Text(f"  - {point}") for point in points)]
