"""`vtune plant`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from vtune_client.cli.output import emit, format_option, open_client

Command = TypeVar("Command", bound=Callable[..., Any])


def plan_options(command: Command) -> Command:
    """Add the options that make a `PlanSpec`."""
    options = (
        click.option("--backdoors", type=int, help="Distinct backdoors.  [default: 5]"),
        click.option("--dose", type=int, help="Carrier rows of each backdoor.  [default: 4]"),
        click.option("--frames", type=int, help="Distinct signature sentences.  [default: 1]"),
        click.option("--hold-out", type=int, help="Rows to withhold.  [default: 0]"),
        click.option("--decoys", type=int, help="Decoys per signature.  [default: 100]"),
        click.option("--alpha", type=float, help="Threshold of the verdict.  [default: 1e-6]"),
    )
    for option in reversed(options):
        command = option(command)
    return command


def plan_spec(**given: Any) -> Any:
    """Return the `PlanSpec` of the options given; the rest keep their defaults."""
    from vtune_client.plan import PlanSpec

    given["held_out"] = given.pop("hold_out")
    return PlanSpec(**{name: value for name, value in given.items() if value is not None})


@click.command()
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("-o", "--out", type=click.Path(dir_okay=False), help="Where to write the file.")
@click.option("--force", is_flag=True, help="Overwrite the output file.")
@plan_options
@format_option
def plant(file: str, out: str | None, force: bool, format_: str, **spec: Any) -> None:
    """Draw a plan for FILE; with --out, write the planted file.

    The root key goes to the vault, the sealed plan to the ledger. The planted file holds the
    secrets in plain: upload it, then delete it.
    """
    from pathlib import Path

    from vtune_client.errors import InputError

    if out and Path(out).exists() and not force:
        raise InputError(f"{out} exists already.", "Choose another name, or give --force.")
    with open_client() as vtune:
        record = vtune.plan(file, plan_spec(**spec))
        planted = vtune.plant(record.id, out) if out else None
    data = {
        "plan": record.id,
        "rows": record.rows,
        "backdoors": record.backdoors,
        "carriers": record.carriers,
        "signature_bits": round(record.bits, 1),
        "source_sha256": record.source_sha256,
        "planted": str(planted.path) if planted else None,
        "planted_sha256": planted.sha256 if planted else None,
    }
    text = (
        f"{record.id}: {record.backdoors} backdoors ({record.bits:.0f} bits) on "
        f"{record.carriers} of {record.rows} rows."
    )
    if planted:
        text += f"\nPlanted file: {planted.path}"
    emit(format_, data, lambda: text)
