"""`vtune report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import emit, format_option, open_client, say
from vtune_client.errors import InputError
from vtune_client.writing import write_whole

if TYPE_CHECKING:
    from vtune_client.client import Exchange, VTune
    from vtune_client.ledger import Ledger, VerificationRecord
    from vtune_client.report.gather import Report

FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
STDOUT = Path("-")


@click.command()
@click.argument("item", required=False, metavar="[VERIFICATION|JOB|PLAN]")
@click.option(
    "--html", type=FILE, metavar="FILE", help="Write one page that stands alone; - prints."
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for a pull request.")
@click.option("--junit", type=FILE, metavar="FILE", help="Write JUnit XML, for CI; - prints.")
@click.option(
    "--reveal",
    is_flag=True,
    help="Also show questions and answers, secrets included; in a page that burns the backdoors.",
)
@format_option
def report(
    item: str | None,
    html: Path | None,
    markdown: bool,
    junit: Path | None,
    reveal: bool,
    format_: str,
) -> None:
    """Show the recorded verdict of a VERIFICATION, those of a JOB or a PLAN, or all.

    JUnit XML has a suite for each verification: partial and not verified fail, inconclusive is an
    error."""
    if reveal and (markdown or (junit and not html)):
        raise click.UsageError("--reveal goes with --html, or with no other form.")
    with open_client() as vtune:
        records = [record for record in _records(vtune.ledger, item) if record.verdict]
        if html or markdown or junit:
            _write(vtune, records, html, markdown, junit, reveal, format_)
        else:
            _show(vtune, records, reveal, format_)


def _write(
    vtune: VTune,
    records: list[VerificationRecord],
    html: Path | None,
    markdown: bool,
    junit: Path | None,
    reveal: bool,
    format_: str,
) -> None:
    from vtune_client.report.gather import gather
    from vtune_client.report.junit import junit as junit_of
    from vtune_client.report.markdown import markdown as markdown_of

    if html and len(records) != 1:
        raise InputError(
            f"A page shows one verdict, and here are {len(records)}.",
            "Name a verification: see `vtune report --format json`.",
        )
    reports = [gather(vtune.ledger, record.id) for record in records]
    if html:
        _write_page(vtune, reports[0], html, reveal)
    if junit:
        _put(junit, junit_of(reports), private=False)
    if markdown:
        say("\n".join(map(markdown_of, reports)).rstrip())
    written = {"html": str(html) if html else None, "junit": str(junit) if junit else None}
    names = [name for name in written.values() if name]
    if not markdown and STDOUT not in (html, junit):
        emit(format_, written, lambda: "\n".join(f"Written: {name}" for name in names))


def _put(file: Path, content: bytes, *, private: bool) -> None:
    if file == STDOUT:
        say(content.decode().rstrip())
    else:
        write_whole(file, content, private=private)


def _write_page(vtune: VTune, shown: Report, file: Path, reveal: bool) -> None:
    from dataclasses import replace

    from vtune_client.report.html import html

    if reveal:
        exchanges = tuple(vtune.transcript(shown.verdict.id))
        shown = replace(shown, transcript=exchanges)
        # Before the file is there: who reads it can answer for a model.
        why = f"shown in a report of {shown.verdict.id}"
        vtune.ledger.open_backdoors(shown.plan.id, {each.backdoor for each in exchanges}, why)
    _put(file, html(shown).encode(), private=reveal)


def _show(vtune: VTune, records: list[VerificationRecord], reveal: bool, format_: str) -> None:
    finished = [dict(record.verdict) for record in records if record.verdict]
    transcripts = [vtune.transcript(data["id"]) for data in finished] if reveal else []
    if reveal:
        for data, exchanges in zip(finished, transcripts, strict=True):
            data["transcript"] = [_plain(exchange) for exchange in exchanges]

    def text() -> Any:
        from rich.console import Group

        from vtune_client.report.text import render_transcript, render_verdict

        if not finished:
            return "No verdicts yet. Make one: vtune verify JOB"
        shown = [render_verdict(data) for data in finished]
        return Group(*shown, *(render_transcript(exchanges) for exchanges in transcripts))

    emit(format_, finished, text)


def _records(ledger: Ledger, item: str | None) -> list[VerificationRecord]:
    if item is None:
        return ledger.verifications()
    if item.startswith("verification-"):
        return [ledger.verification(item)]
    if item.startswith("plan-"):
        plan_id = ledger.plan(item).id
        return [record for record in ledger.verifications() if record.plan_id == plan_id]
    job_id = ledger.job(item).id
    return [record for record in ledger.verifications() if record.job_id == job_id]


def _plain(exchange: Exchange) -> dict[str, Any]:
    prompt = exchange.prompt
    return {
        "backdoor": exchange.backdoor,
        "fresh": exchange.fresh,
        "prompt": prompt.text if prompt.text is not None else list(prompt.messages),
        "signature": exchange.signature,
        "answer": exchange.answer,
    }
