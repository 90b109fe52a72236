"""`vtune verify`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.connection import connect_option, connection
from vtune_client.cli.output import EXIT_CODES, Tell, emit, format_option, open_client, progress

if TYPE_CHECKING:
    from vtune_client.client import VTune
    from vtune_client.verify import Verification


@click.command()
@click.argument("item", metavar="JOB|PLAN")
@click.option("--endpoint", metavar="URL", help="Ask an OpenAI-compatible service (ends in /v1).")
@click.option(
    "--provider",
    default="chat",
    show_default=True,
    help="Who asks the --endpoint: vllm, openai, ... give scores where chat has text alone.",
)
@connect_option
@click.option("--model", help="The model's name at the endpoint.")
@click.option(
    "--weights",
    type=click.Path(exists=True, file_okay=False, resolve_path=True),
    help="Ask a model directory.",
)
@click.option("--base", help="The untouched base, asked for comparison where there are scores.")
@click.option("--control", metavar="VERIFICATION", help="A verified run of the same plan.")
@click.option("--budget", type=int, help="The most queries to send, scored texts included.")
@click.option("--text-only", is_flag=True, help="Ask for no scores: fewer queries, one test less.")
@click.option(
    "--stop-early", is_flag=True, help="Ask for text until it suffices; anytime-valid, no control."
)
@click.option(
    "--rows/--no-rows", default=True, help="Ask about withheld rows, where the plan has some."
)
@click.option(
    "--file",
    type=click.Path(dir_okay=False),
    help="The user's file, where it is no longer at its place; --rows needs it.",
)
@format_option
def verify(
    item: str,
    control: str | None,
    budget: int | None,
    text_only: bool,
    stop_early: bool,
    rows: bool,
    file: str | None,
    format_: str,
    **where: Any,
) -> int:
    """Ask the model that JOB delivered, or any served model about a JOB's or PLAN's file.

    --endpoint asks a service (its key from VTUNE_API_KEY), --weights a directory on this machine.
    """
    with open_client() as vtune, progress() as tell:
        common = {
            "control": control,
            "budget": budget,
            "text_only": text_only,
            "stop_early": stop_early,
            "rows": rows,
            "file": file,
            "on_step": on_step(tell),
        }
        result = _verify(vtune, item, where, common)
    emit(format_, result.to_json(), lambda: text(result.to_json()))
    return EXIT_CODES[result.verdict.outcome]


def _verify(vtune: VTune, item: str, where: dict[str, Any], common: dict[str, Any]) -> Verification:
    endpoint, model, weights, base = (
        where[name] for name in ("endpoint", "model", "weights", "base")
    )
    if endpoint and weights:
        raise click.UsageError("Name an --endpoint or --weights, not both.")
    if endpoint and not model:
        raise click.UsageError("--endpoint needs --model, the name to ask for.")
    if weights and model:
        raise click.UsageError("--weights is the model; --model goes with --endpoint.")
    if not (endpoint or weights):
        if item.startswith("plan-"):
            raise click.UsageError("Say whom to ask about a plan: --weights, or --endpoint.")
        if base:
            raise click.UsageError("--base goes with --endpoint or --weights.")
        how = connection(None, where["connect"])
        return vtune.verify(item, model=model, connection=how, **common)
    plan = item if item.startswith("plan-") else vtune.ledger.job(item).plan_id
    if weights:
        return vtune.verify_plan(plan, provider="local", model=weights, base=base, **common)
    return vtune.verify_plan(
        plan,
        provider=where["provider"],
        model=model,
        base=base,
        connection=connection(endpoint, where["connect"]),
        **common,
    )


def on_step(tell: Tell) -> Any:
    """Return what tells a round's progress to a progress bar."""
    return lambda what, done, total: tell(what, done / total if total else None)


def text(data: dict[str, Any]) -> Any:
    """Return a verdict as the terminal shows it."""
    from vtune_client.report.text import render_verdict

    return render_verdict(data)
