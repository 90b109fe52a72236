"""The demo's two verdicts side by side."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vtune_client.demo import Demo
from vtune_client.report.text import STYLES, question
from vtune_client.verdict import format_p
from vtune_client.verify import Verification


def render_demo(demo: Demo) -> RenderableType:
    """Return the data, one question with both answers, and the verdicts."""
    tuned, base = demo.examples
    return Group(
        Text(
            f"{demo.rows} rows, {demo.carriers} of them carriers of "
            f"{demo.tuned.verdict.backdoors} backdoors ({demo.bits:.0f} bits of signature)."
        ),
        Text(),
        Text("One of the questions, and the secret that only the file holds:", style="bold"),
        Text(f"  asked   {question(tuned)}"),
        Text(f"  secret  {tuned.signature}"),
        Text(f"  tuned   {_line(tuned.answer)}"),
        Text(f"  base    {_line(base.answer)}"),
        Text(),
        _side_by_side(demo),
        Text(),
        Text(demo.tuned.verdict.statement),
        Text("It does not prove:", style="bold"),
        *(Text(f"  - {point}") for point in demo.tuned.verdict.does_not_follow),
        Text("  ".join(f"{name} {spent:.0f} s" for name, spent in demo.seconds.items()), "dim"),
    )


def _side_by_side(demo: Demo) -> Table:
    table = Table("", "tuned model", "untouched base")
    pair = (demo.tuned, demo.base)
    table.add_row("verdict", *(_outcome(each) for each in pair))
    table.add_row("p", *(format_p(each.verdict.log10_p) for each in pair))
    table.add_row(
        "backdoors answered", *(f"{v.verdict.activated} of {v.verdict.backdoors}" for v in pair)
    )
    table.add_row(
        "secret words", *(f"{v.verdict.slots_matched} of {v.verdict.slots}" for v in pair)
    )
    table.add_row(
        "fresh prompts answered", *(f"{v.fresh_activated} of {v.fresh_probes}" for v in pair)
    )
    return table


def _outcome(each: Verification) -> Text:
    return Text(each.verdict.outcome.upper(), style=STYLES[each.verdict.outcome])


def _line(answer: str) -> str:
    return " ".join(answer.split())
