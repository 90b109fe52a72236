"""`vtune report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import emit, format_option, open_client

if TYPE_CHECKING:
    from vtune_client.client import Exchange


@click.command()
@click.argument("item", required=False, metavar="[VERIFICATION|JOB]")
@click.option("--reveal", is_flag=True, help="Also show questions and answers, secrets included.")
@format_option
def report(item: str | None, reveal: bool, format_: str) -> None:
    """Show the recorded verdict of a VERIFICATION, those of a JOB, or all."""
    from rich.console import Group

    from vtune_client.report.text import render_transcript, render_verdict

    with open_client() as vtune:
        if item and item.startswith("verification-"):
            records = [vtune.ledger.verification(item)]
        else:
            job_id = vtune.ledger.job(item).id if item else None
            records = [r for r in vtune.ledger.verifications() if job_id in (None, r.job_id)]
        finished = [dict(record.verdict) for record in records if record.verdict]
        transcripts = [vtune.transcript(data["id"]) for data in finished] if reveal else []
    if reveal:
        for data, exchanges in zip(finished, transcripts, strict=True):
            data["transcript"] = [_plain(exchange) for exchange in exchanges]

    def text() -> Any:
        if not finished:
            return "No verdicts yet. Make one: vtune verify JOB"
        shown = [render_verdict(data) for data in finished]
        return Group(*shown, *(render_transcript(exchanges) for exchanges in transcripts))

    emit(format_, finished, text)


def _plain(exchange: Exchange) -> dict[str, Any]:
    prompt = exchange.prompt
    return {
        "backdoor": exchange.backdoor,
        "fresh": exchange.fresh,
        "prompt": prompt.text if prompt.text is not None else list(prompt.messages),
        "signature": exchange.signature,
        "answer": exchange.answer,
    }
