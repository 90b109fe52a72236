"""`vtune audit`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import ask_passphrase, emit, format_option

if TYPE_CHECKING:
    from vtune_client.audit.audit import Audit


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--only", multiple=True, metavar="CHECK", help="Do this check alone; repeatable.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and what it would cost.")
@click.option("--watch", is_flag=True, help="Show all checks while they go.")
@click.option("--retry", is_flag=True, help="Start checks anew whose job failed.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Stop waiting for jobs, not them.")
@format_option
def audit(
    file: str,
    only: tuple[str, ...],
    dry_run: bool,
    watch: bool,
    retry: bool,
    timeout: float | None,
    format_: str,
) -> int:
    """Do what is due of the audit in FILE (TOML or YAML), and say which policies hold.

    Stopped at any time, even by kill -9, the same command goes on; run again, it does nothing
    twice. Exit codes: 0 all policies hold, 1 some fail; where none fails: 2 bad input, 5 secrets,
    4 vendor or network, 3 something is open.
    """
    from vtune_client.audit.load import load_audit

    chosen = load_audit(file)
    for name in only:
        chosen.check(name)
    if dry_run:
        return _forecast(chosen, only, format_)
    return _performed(chosen, only, watch, format_, {"retry": retry, "timeout_s": timeout})


def _forecast(audit: Audit, only: tuple[str, ...], format_: str) -> int:
    from vtune_client.audit.forecast import forecast
    from vtune_client.audit.text import render_forecast
    from vtune_client.client import AsyncVTune

    async def look() -> dict[str, Any]:
        async with AsyncVTune(passphrase=ask_passphrase) as vtune:
            names = only or tuple(check.name for check in audit.checks)
            return await forecast(vtune, audit, names)

    found = asyncio.run(look())
    emit(format_, found, lambda: render_forecast(found))
    return 2 if any(each["does"] == "error" for each in found["checks"]) else 0


def _performed(
    audit: Audit, only: tuple[str, ...], watch: bool, format_: str, how: dict[str, Any]
) -> int:
    from rich.console import Console

    from vtune_client.audit.perform import run_audit
    from vtune_client.audit.runner import silent
    from vtune_client.audit.text import render_summary, watching

    def run(tell: Any) -> dict[str, Any]:
        return asyncio.run(run_audit(audit, only=only, tell=tell, passphrase=ask_passphrase, **how))

    if watch:
        console = Console(stderr=True, highlight=False)
        live = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        with watching(audit, console, live) as tell:
            summary = run(tell)
    else:
        summary = run(silent)
    emit(format_, summary, lambda: render_summary(summary))
    code: int = summary["exit_code"]
    return code
