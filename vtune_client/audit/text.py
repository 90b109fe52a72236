"""An audit in the terminal: how it stands, what it would do, and how it goes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vtune_client.audit.audit import Audit
from vtune_client.audit.pages import STATES, explanation, headline, share
from vtune_client.audit.runner import OnProgress, Progress
from vtune_client.foreign import said

STYLES = {
    "holds": "bold green",
    "fails": "bold red",
    "open": "bold yellow",
    "error": "bold yellow",
    "due": "dim",
}
DASH = "\N{EN DASH}"
PER_SECOND = 4  # times the live table is drawn


def render_summary(summary: Mapping[str, Any]) -> RenderableType:
    """Return the table of all checks, and below it what is to be said of those that do not hold."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("check", "vendor", "policy", "verdict", "p", "rows used"):
        table.add_column(column, no_wrap=column in ("policy", "verdict", "p"))
    for check in summary["checks"]:
        table.add_row(
            Text(said(check["name"])),
            Text(said(check["vendor"])),
            Text(STATES[check["state"]], STYLES[check["state"]]),
            check["verdict"] or DASH,
            check["p"] or DASH,
            share(check["share"]),
        )
    notes = [
        Text(f"{said(check['name'])}: {said(explanation(check)[0])}")
        for check in summary["checks"]
        if check["state"] != "holds"
    ]
    notes += [
        Text(f"{said(check['name'])}: {said(' '.join(check['worse']))}")
        for check in summary["checks"]
        if check["worse"]
    ]
    return Group(table, *notes, Text(headline(summary), style="bold"))


def render_forecast(data: Mapping[str, Any]) -> RenderableType:
    """Return the table of what would be done."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    for column in ("check", "vendor", "does", "rows", "questions", "tokens", "price"):
        table.add_column(column)
    for each in data["checks"]:
        price = f"{each['price']:.2f} {each['currency']}" if each["price"] is not None else DASH
        numbers = [str(each.get(key) or DASH) for key in ("rows", "questions", "tokens")]
        name, vendor = Text(said(each["name"])), Text(said(each["vendor"]))
        table.add_row(name, vendor, each["does"], *numbers, price)
    errors = [
        Text(f"{said(each['name'])}: {said(each['error']['message'])} {each['error']['advice']}")
        for each in data["checks"]
        if each["does"] == "error"
    ]
    total = f"{data['price']:.2f}" if data["price"] is not None else "nobody says what"
    return Group(table, *errors, Text(f"Training would cost {total}.", style="bold"))


@contextmanager
def watching(audit: Audit, console: Console, live: bool) -> Iterator[OnProgress]:
    """Show how the checks go: as a table that is drawn anew, or, not `live`, a line per change."""
    if not live:
        yield _lines(console)
        return
    board = {check.name: Progress(check.name, DASH) for check in audit.checks}
    vendors = {check.name: check.vendor.name for check in audit.checks}

    def drawn() -> Table:
        return _board(board, vendors)

    with Live(get_renderable=drawn, console=console, refresh_per_second=PER_SECOND):

        def tell(progress: Progress) -> None:
            known = board[progress.check]
            loss = known.loss if progress.loss is None else progress.loss
            board[progress.check] = Progress(progress.check, progress.doing, progress.share, loss)

        yield tell


def _board(board: Mapping[str, Progress], vendors: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("check", "vendor", "state", "", "loss"):
        table.add_column(column)
    for name, progress in board.items():
        bar = ProgressBar(total=1.0, completed=progress.share or 0.0, width=20)
        loss = DASH if progress.loss is None else f"{progress.loss:.3f}"
        table.add_row(
            Text(said(name)), Text(said(vendors[name])), Text(said(progress.doing)), bar, loss
        )
    return table


def _lines(console: Console) -> OnProgress:
    """Return what prints a line whenever a check does something else than before."""
    doing: dict[str, str] = {}

    def tell(progress: Progress) -> None:
        if doing.get(progress.check) != progress.doing:
            doing[progress.check] = progress.doing
            now = time.strftime("%H:%M:%S")
            console.print(
                Text(f"{now}  {said(progress.check)}  {said(progress.doing)}"), soft_wrap=True
            )

    return tell
