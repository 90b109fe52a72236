"""`vtune plant`."""

from __future__ import annotations

from typing import Any

import click

from vtune_client.cli.output import emit, format_option, open_client
from vtune_client.cli.plan_options import phrase_source, plan_options, plan_spec


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
    if out and not Path(out).resolve().parent.is_dir():
        raise InputError(f"There is no directory for {out}.", "Make it first.")
    if out and Path(out).resolve() == Path(file).resolve():
        raise InputError(f"{out} is the file itself.", "Choose another name; it is still needed.")
    source = phrase_source(spec)
    with open_client(source) as vtune:
        record = vtune.plan(file, plan_spec(**spec))
        planted = vtune.plant(record.id, out) if out else None
        foresight = vtune.foresight(record.id)
        commitment = vtune.ledger.commitments(record.id)[-1]
    data = {
        "plan": record.id,
        "rows": record.rows,
        "backdoors": record.backdoors,
        "carriers": record.carriers,
        "signature_bits": round(record.bits, 1),
        "source_sha256": record.source_sha256,
        "planted": str(planted.path) if planted else None,
        "planted_sha256": planted.sha256 if planted else None,
        "commitment": f"sha256:{commitment.digest}",
        "foresight": list(foresight),
    }
    lines = [
        f"{record.id}: {record.backdoors} backdoors ({record.bits:.0f} bits) on "
        f"{record.carriers} of {record.rows} rows.",
        *foresight,
    ]
    if planted:
        lines.append(f"Planted file: {planted.path}")
    lines.append(f"commitment sha256:{commitment.digest}")
    emit(format_, data, lambda: "\n".join(lines))


@click.command("held-out")
@click.argument("plan")
@click.option("-o", "--out", type=click.Path(dir_okay=False), required=True)
@click.option("--force", is_flag=True, help="Overwrite the output file.")
@format_option
def held_out(plan: str, out: str, force: bool, format_: str) -> None:
    """Write the rows that PLAN withholds from the upload, byte for byte.

    Nobody was sent them: a validation split to evaluate the delivered model on yourself. A service
    that is given them makes the comparison of rows worthless.
    """
    from pathlib import Path

    from vtune_client.errors import InputError

    if Path(out).exists() and not force:
        raise InputError(f"{out} exists already.", "Choose another name, or give --force.")
    with open_client() as vtune:
        rows = vtune.write_held_out(plan, out)
    emit(format_, {"plan": plan, "rows": rows, "path": out}, lambda: f"{rows} rows: {out}")
