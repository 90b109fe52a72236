"""`vtune completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from vtune_client.cli.output import say


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of SHELL.

    For instance in ~/.bashrc: eval "$(vtune completion bash)"
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"There is no completion for {shell}.")
    say(kind(ctx.find_root().command, {}, "vtune", "_VTUNE_COMPLETE").source())
