"""`vtune reprobe`."""

from __future__ import annotations

import click

from vtune_client.cli.connection import connect_option, connection
from vtune_client.cli.output import EXIT_CODES, emit, format_option, open_client, progress
from vtune_client.cli.verify import on_step, text


@click.command()
@click.argument("verification")
@click.option("--model", help="Another model at the same service.  [default: the one asked then]")
@connect_option
@click.option("--budget", type=int, help="The most queries to send, scored texts included.")
@click.option("--text-only", is_flag=True, help="Ask for no scores: fewer queries, one test less.")
@click.option("--stop-early", is_flag=True, help="Ask for text until it suffices; anytime-valid.")
@format_option
def reprobe(
    verification: str,
    model: str | None,
    connect: tuple[str, ...],
    budget: int | None,
    text_only: bool,
    stop_early: bool,
    format_: str,
) -> int:
    """Ask the backdoors kept in reserve, where VERIFICATION asked the others.

    For a re-audit: the service has never been asked about them, whatever it was shown since. They
    are planted by --reserve, and can be asked once. A verification of its own, without a control.
    """
    with open_client() as vtune, progress() as tell:
        result = vtune.reprobe(
            verification,
            model=model,
            budget=budget,
            text_only=text_only,
            stop_early=stop_early,
            on_step=on_step(tell),
            connection=connection(None, connect),
        )
    emit(format_, result.to_json(), lambda: text(result.to_json()))
    return EXIT_CODES[result.verdict.outcome]
