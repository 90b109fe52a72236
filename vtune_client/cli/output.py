"""What every command shares: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vtune_client.errors import DatasetError, VTuneError

if TYPE_CHECKING:
    from vtune_client.client import VTune

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_CODES = {"verified": 0, "partial": 1, "not verified": 1, "inconclusive": 3}

Tell = Callable[[str, float | None], None]  # what is going on, and the share of it done


def format_option(command: Command) -> Command:
    """Add `--format text|json`."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["text", "json"]),
        default="text",
        envvar="VTUNE_FORMAT",
        show_envvar=True,
        help="How to print the result.",
    )(command)


def emit(format_: str, data: Mapping[str, Any] | list[Any], text: Callable[[], Any]) -> None:
    """Print `data` as JSON, or what `text` makes: a string or something rich can print."""
    if format_ == "json":
        click.echo(json.dumps(data, indent=2))
        return
    from rich.console import Console

    Console().print(text(), highlight=False, markup=False)


def show_error(error: VTuneError) -> None:
    """Print an error, and every problem of a file by its line, to stderr."""
    if isinstance(error, DatasetError):
        for problem in error.problems:
            where = f"{error.path}:{problem.line}" if problem.line else error.path
            click.echo(f"{where}: {problem.reason}", err=True)
        if error.more:
            click.echo(f"{error.path}: and {error.more} more", err=True)
        click.echo(f"error: {error.path} cannot be used. {error.advice}".strip(), err=True)
    else:
        click.echo(f"error: {error}", err=True)


@contextmanager
def progress() -> Iterator[Tell]:
    """Show what is going on, on stderr; silent where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def tell(what: str, share: float | None) -> None:
            if what not in tasks:
                for task in tasks.values():
                    bars.update(task, total=1, completed=1)
                tasks[what] = bars.add_task(what, total=None)
            if share is not None:
                bars.update(tasks[what], total=1, completed=share)

        yield tell
        for task in tasks.values():
            bars.update(task, total=1, completed=1)


def open_client() -> VTune:
    """Return the client on VTUNE_HOME; a file vault's passphrase is asked for in the terminal."""
    from vtune_client.client import VTune

    return VTune(passphrase=ask_passphrase)


def ask_passphrase() -> str:
    """Ask in the terminal; nothing where there is none."""
    if not sys.stdin.isatty():
        return ""
    answer: str = click.prompt("Passphrase of the vault", hide_input=True, err=True)
    return answer
