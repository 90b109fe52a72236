"""The command group: commands load when they are called, errors become exit codes.

0 verified (or done) · 1 not verified or partial · 2 usage or bad input · 3 inconclusive ·
4 provider or network · 5 secrets unavailable · 70 a bug in this program · 130 interrupted
"""

from __future__ import annotations

import io
import os
import sys
from importlib import import_module

import click

from vtune_client.cli import logs, tracing
from vtune_client.cli.output import complain, show_bug, show_error
from vtune_client.errors import VTuneError
from vtune_client.telemetry import span
from vtune_client.version import __version__

BUG = 70  # EX_SOFTWARE of sysexits.h
INTERRUPTED = 130

# Name -> (module under vtune_client.cli, one line of help), in the order of the pipeline.
COMMANDS = {
    "demo": ("demo", "Do the whole of it on the embedded model: two verdicts side by side."),
    "plant": ("plant", "Draw a plan for a file and write the planted file."),
    "fine-tune": ("fine_tune", "Plant a file, upload it and start a fine-tuning job."),
    "jobs": ("jobs", "List your jobs."),
    "status": ("jobs", "Ask the provider how a job stands."),
    "wait": ("jobs", "Follow a job to its end, from wherever it was left."),
    "pause": ("jobs", "Stop a job's training for now."),
    "resume": ("jobs", "Go on with a paused job."),
    "cancel": ("jobs", "Cancel a job."),
    "export": ("jobs", "Write the weights that a job delivered."),
    "verify": ("verify", "Ask the delivered model and judge it."),
    "reprobe": ("reprobe", "Ask the backdoors kept in reserve, for a re-audit."),
    "report": ("report", "Show recorded verdicts, or write them as HTML, Markdown or JUnit."),
    "schema": ("schema", "Print the JSON schema of a verdict."),
    "attest": ("attest", "Sign a verdict, with all that is needed to compute it again."),
    "check": ("check", "Check a signed statement: every number, every digest."),
    "audit": ("audit", "Check many jobs and vendors by one file, again and again."),
    "held-out": ("plant", "Write the rows that a plan withholds, as a validation split."),
    "lint": ("lint", "Look for carriers in a planted file as a vendor would."),
    "serve": ("serve", "Offer fine-tuning on this machine as a service."),
    "vault": ("vault", "See to the place where root keys are kept."),
    "signer": ("signer", "See to the keys that sign your statements."),
    "log": ("log", "Show who did what when, or check that nothing of it was changed."),
    "purge": ("purge", "Forget a plan for good: its key, its answers, its files."),
    "handover": ("handover", "Hand a plan to a colleague, sealed to their key."),
    "providers": ("providers", "List who can train and who can serve."),
    "doctor": ("doctor", "Check this machine and say what to do."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"vtune_client.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="vtune")
@click.option("-v", "--verbose", count=True, help="Log to stderr; twice for everything.")
@click.option(
    "--home",
    type=click.Path(file_okay=False),
    envvar="VTUNE_HOME",
    help="Where the ledger lies.  [env: VTUNE_HOME]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    envvar="VTUNE_LOG_FORMAT",
    help="How to log: json is one object per line.  [env: VTUNE_LOG_FORMAT]",
)
@click.pass_context
def vtune(ctx: click.Context, verbose: int, home: str | None, log_format: str) -> None:
    """Proof that a fine-tuning vendor really trained on your file.

    Exit codes: 0 verified or done, 1 not verified or partial, 2 usage or bad input,
    3 inconclusive, 4 provider or network, 5 secrets unavailable, 70 a bug, 130 interrupted.
    """
    logs.set_up(verbose, log_format)
    if home:
        os.environ["VTUNE_HOME"] = home
    if tracing.wanted():
        ctx.call_on_close(tracing.set_up())
        ctx.with_resource(span(f"vtune {ctx.invoked_subcommand}"))


def main() -> None:
    """Run the command line; every way out has its documented exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A file name or an answer that the terminal cannot show is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(vtune.main(standalone_mode=False))
    except click.ClickException as error:
        if logs.as_json():
            complain(error.format_message(), error="Usage", exit_code=error.exit_code)
        else:
            error.show()
        sys.exit(error.exit_code)
    except VTuneError as error:
        show_error(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        said = "Interrupted. A job that was started goes on; see `vtune jobs`."
        if logs.as_json():
            complain(said, exit_code=INTERRUPTED)
        else:
            click.echo(said, err=True)
        sys.exit(INTERRUPTED)
    except Exception as error:
        show_bug(error)
        sys.exit(BUG)
