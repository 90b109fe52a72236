"""`vtune doctor`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from vtune_client.cli.output import emit, format_option

if TYPE_CHECKING:
    from vtune_client.cli.doctor.finding import Finding


@click.command()
@click.option("--offline", is_flag=True, help="Ask no service.")
@click.option(
    "--key-for", metavar="HOST", help="Send VTUNE_API_KEY to this one of the services asked."
)
@format_option
def doctor(offline: bool, key_for: str | None, format_: str) -> int:
    """Check vault, ledger, providers and models on this machine, and say what to do.

    Services that are recorded with jobs, or that a key in the environment is for, are asked for
    their lists of models, which costs nothing. VTUNE_API_KEY says nothing of whose it is, so it
    is sent to none of them but the HOST that you name. Exit code 0 if nothing is wrong, 5 if the
    vault cannot be used, 2 if something else on this machine is wrong, 4 if only a service is.
    """
    findings = list(_findings(offline, key_for))
    marks = {True: "ok  ", None: "note", False: "FAIL"}
    lines = [f"{marks[f.ok]}  {f.what}: {f.found} {f.advice}".rstrip() for f in findings]
    emit(format_, [asdict(finding) for finding in findings], lambda: "\n".join(lines))
    wrong = {finding.code for finding in findings if finding.ok is False}
    return next((code for code in (5, 2, 4) if code in wrong), 0)


def _findings(offline: bool, key_for: str | None) -> Iterator[Finding]:
    from vtune_client.cli.doctor import machine, records, services

    yield from machine.findings()
    yield from records.findings()
    if not offline:
        yield from services.findings(key_for)
