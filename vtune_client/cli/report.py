"""`vtune report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import emit, format_option, open_client

if TYPE_CHECKING:
    from vtune_client.client import Exchange
    from vtune_client.ledger import Ledger, VerificationRecord


@click.command()
@click.argument("item", required=False, metavar="[VERIFICATION|JOB|PLAN]")
@click.option("--reveal", is_flag=True, help="Also show questions and answers, secrets included.")
@format_option
def report(item: str | None, reveal: bool, format_: str) -> None:
    """Show the recorded verdict of a VERIFICATION, those of a JOB or a PLAN, or all."""
    with open_client() as vtune:
        records = _records(vtune.ledger, item)
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
