"""`vtune fine-tune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.connection import connection, connection_options, pair
from vtune_client.cli.jobs import job_json, job_line, wait_for
from vtune_client.cli.output import emit, format_option, open_client
from vtune_client.cli.plan_options import phrase_source, plan_options, plan_spec

if TYPE_CHECKING:
    from vtune_client.client import VTune
    from vtune_client.ledger import CommitmentRecord, Job

RECIPE = (
    "method",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    "suffix",
    "validation_file",
)


@click.command("fine-tune")
@click.argument("file", required=False, type=click.Path(dir_okay=False))
@click.option("--plan", "plan_id", help="Use this plan and its file instead of a new one.")
@click.option("--provider", default="local", show_default=True, envvar="VTUNE_PROVIDER")
@click.option("--model", default="smollm2-135m-instruct", show_default=True, help="Base to tune.")
@click.option("--method", type=click.Choice(["supervised", "dpo"]), default="supervised")
@click.option("--epochs", type=int)
@click.option("--batch-size", type=int)
@click.option("--learning-rate", type=float)
@click.option("--seed", type=int)
@click.option("--suffix", help="A word to find in the delivered model's name.")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="One of the provider."
)
@click.option("--validation-file", type=click.Path(exists=True, dir_okay=False, resolve_path=True))
@click.option("--budget", type=float, help="The most that training may cost.")
@connection_options
@click.option("--keep-planted", is_flag=True, help="Keep the planted file after the upload.")
@click.option("--wait/--no-wait", "wait_", default=True, show_default=True)
@plan_options
@format_option
def fine_tune(
    file: str | None,
    plan_id: str | None,
    provider: str,
    model: str,
    options: tuple[str, ...],
    budget: float | None,
    base_url: str | None,
    connect: tuple[str, ...],
    keep_planted: bool,
    wait_: bool,
    format_: str,
    **rest: Any,
) -> None:
    """Plant FILE, upload it, start a fine-tuning job and wait for the model.

    Stopped at any time, even by kill -9, `vtune wait JOB` goes on and never starts a second job.
    """
    if (file is None) == (plan_id is None):
        raise click.UsageError("Name a FILE or a --plan, one of the two.")
    recipe = {name: rest.pop(name) for name in RECIPE}
    if plan_id and any(value is not None for value in rest.values()):
        raise click.UsageError("A --plan has its backdoors, dose and the rest already.")
    source = phrase_source(rest)
    with open_client(source) as vtune:
        job = vtune.fine_tune(
            file,
            model=model,
            provider=provider,
            connection=connection(base_url, connect),
            plan=plan_id or plan_spec(**rest),
            budget=budget,
            keep_planted=keep_planted,
            on_job=lambda job: _announce(vtune, job),
            on_commitment=_commit,
            options=dict(pair(option, "--option") for option in options),
            **recipe,
        )
        if wait_:
            job = wait_for(vtune, job.id)
    emit(format_, job_json(job), lambda: job_line(job))


def _announce(vtune: VTune, job: Job) -> None:
    """Say, before anything is sent, which job this is and what its verdict will be able to tell."""
    for line in (f"{job.id} (plan {job.plan_id})", *vtune.foresight(job.plan_id)):
        click.echo(line, err=True)


def _commit(commitment: CommitmentRecord) -> None:
    """Print what binds the job: whoever was given it can hold us to it afterwards."""
    click.echo(f"commitment sha256:{commitment.digest}", err=True)
    for receipt in commitment.receipts:
        click.echo(f"  seen by {receipt['witness']} at {receipt['at']}", err=True)
