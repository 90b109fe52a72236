"""`vtune schema`."""

from __future__ import annotations

import click

from vtune_client.cli.output import say


@click.command()
@click.argument("name", default="vtune.verdict/1", metavar="[NAME]")
def schema(name: str) -> None:
    """Print the JSON schema (2020-12) of a document: vtune.verdict/1, or the NAME given."""
    import json

    from vtune_client.report.schema import schema as schema_of

    say(json.dumps(schema_of(name), indent=2))
