"""What every command shares: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vtune_client.cli.logs import as_json
from vtune_client.errors import DatasetError, VTuneError
from vtune_client.redaction import redact

if TYPE_CHECKING:
    from vtune_client.client import VTune
    from vtune_client.phrases import PhraseSource

Command = TypeVar("Command", bound=Callable[..., Any])

EXIT_CODES = {"verified": 0, "partial": 1, "not verified": 1, "inconclusive": 3}

UNWRAPPED = 10_000  # columns where the output is no terminal: programs read whole lines

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
    shown = json.dumps(data, indent=2) if format_ == "json" else text()
    say(shown if isinstance(shown, str) else _rendered(shown))


def say(text: str) -> None:
    """Print to stdout."""
    try:
        click.echo(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader has seen enough (`| head`): the exit code still tells the result.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _rendered(renderable: Any) -> str:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else UNWRAPPED, highlight=False)
    with console.capture() as captured:
        console.print(renderable, end="")
    return captured.get()


def complain(text: str, **fields: Any) -> None:
    """Say to stderr what stopped a command; `fields` go along where logs are JSON."""
    if as_json():
        logging.getLogger("vtune_client").error("%s", text, extra=fields)
    else:
        click.echo(f"error: {redact(text)}", err=True)


def show_error(error: VTuneError) -> None:
    """Print an error, and every problem of a file by its line, to stderr."""
    fields: dict[str, Any] = {"error": type(error).__name__, "exit_code": error.exit_code}
    if not isinstance(error, DatasetError):
        complain(str(error), **fields)
        return
    if as_json():
        fields["problems"] = [asdict(problem) for problem in error.problems]
    else:
        for problem in error.problems:
            where = f"{error.path}:{problem.line}" if problem.line else error.path
            click.echo(f"{where}: {problem.reason}", err=True)
        if error.more:
            click.echo(f"{error.path}: and {error.more} more", err=True)
    complain(f"{error.path} cannot be used. {error.advice}".strip(), **fields)


def show_bug(error: Exception) -> None:
    """Say where this program went wrong; with -vv, by which way it came there.

    Neither the error's text nor any value is shown: both may hold secrets."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} in {os.path.basename(last.filename)}, line {last.lineno}"
    fields: dict[str, Any] = {"error": type(error).__name__}
    lines = [
        f"{''.join(traceback.format_tb(cause.__traceback__))}{type(cause).__name__}"
        for cause in _causes(error)
        if logging.getLogger("vtune_client").isEnabledFor(logging.DEBUG)
    ]
    if as_json() and lines:
        fields["traceback"] = lines
    complain(
        f"This is a bug in vtune ({where}). "
        "Please report it with what `vtune -vv ...` prints; no secret is in it.",
        **fields,
    )
    for line in lines if not as_json() else ():
        click.echo(line, err=True)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what led to it, the first cause first."""
    if error is not None:
        yield from _causes(error.__cause__ or error.__context__)
        yield error


@contextmanager
def progress() -> Iterator[Tell]:
    """Show what is going on, on stderr; silent where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda what, share: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bars:
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


def open_client(phrases: PhraseSource | None = None) -> VTune:
    """Return the client on VTUNE_HOME; a file vault's passphrase is asked for in the terminal."""
    from vtune_client.client import VTune

    return VTune(phrases=phrases, passphrase=ask_passphrase)


def ask_passphrase() -> str:
    """Ask in the terminal; nothing where there is none."""
    if not sys.stdin.isatty():
        return ""
    answer: str = click.prompt("Passphrase of the vault", hide_input=True, err=True)
    return answer
