"""How a provider is reached, from the command line. Keys come from the environment alone: a command
line can be read by everybody on the machine."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])

connect_option = click.option(
    "--connect",
    "connect",
    multiple=True,
    metavar="NAME=VALUE",
    help="How to reach the provider, such as preset=azure; see docs/providers.md.",
)


def connection_options(command: Command) -> Command:
    """Add --base-url and --connect."""
    url = click.option("--base-url", metavar="URL", help="Where the provider's service is.")
    return url(connect_option(command))


def connection(base_url: str | None, connect: Iterable[str]) -> dict[str, Any]:
    """Return the keywords for the provider that the two options name."""
    found = dict(pair(text, "--connect") for text in connect)
    for name in ("api_key", "headers"):
        if name in found:
            raise click.UsageError(f"{name} is not given here: set VTUNE_API_KEY to the key.")
    return {**found, **({"base_url": base_url} if base_url else {})}


def pair(text: str, option: str) -> tuple[str, Any]:
    """Return NAME=VALUE as a pair; a value that is JSON is read as such."""
    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{option} {text!r} is not NAME=VALUE.")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value
