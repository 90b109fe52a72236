"""`vtune providers`."""

from __future__ import annotations

from dataclasses import asdict

import click

from vtune_client.cli.output import emit, format_option


@click.command()
@format_option
def providers(format_: str) -> None:
    """List who can train and who can serve, and plug-ins that do not load."""
    from vtune_client.provider import installed

    good, broken = installed()
    found = [
        {
            "name": name,
            "trains": provider.trainer is not None,
            "serves": provider.endpoint is not None,
            "summary": provider.summary,
        }
        for name, provider in good.items()
    ]
    lines = []
    for entry in found:
        does = [what for what in ("trains", "serves") if entry[what]]
        lines.append(f"{entry['name']:<10} {' and '.join(does):<17} {entry['summary']}")
    lines += [f"{item.name:<10} does not load     {item.reason}" for item in broken]
    data = {"providers": found, "broken": [asdict(item) for item in broken]}
    emit(format_, data, lambda: "\n".join(lines) or "No providers are installed.")
