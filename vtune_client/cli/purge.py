"""`vtune purge`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import ask_passphrase, emit, format_option, progress
from vtune_client.errors import InputError

if TYPE_CHECKING:
    from vtune_client.ledger import Ledger
    from vtune_client.purge import Holding, Purged
    from vtune_client.vault import Vault

PARTIAL = 1


@click.command()
@click.argument("item", required=False, metavar="[PLAN|JOB]")
@click.option(
    "--older-than",
    type=click.FloatRange(min=0),
    metavar="DAYS",
    help="Every plan that has not been used for so long.",
)
@click.option("--keep-verdicts", is_flag=True, help="Keep verdicts, commitments and public facts.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted; delete nothing.")
@click.option(
    "--certificate",
    type=click.Path(dir_okay=False),
    help="Write a signed statement of what was deleted to this file.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@format_option
def purge(
    item: str | None,
    older_than: float | None,
    keep_verdicts: bool,
    dry_run: bool,
    certificate: str | None,
    yes: bool,
    format_: str,
) -> int:
    """Forget a PLAN, or the plan of a JOB, for good: its root key, all that is sealed, its files.

    Nothing can be asked about it or opened afterwards. The log keeps that it was there. A plan with
    a job that may still run is refused; with --older-than it is left as it is, and named.
    Exit code 0; 1 where deleted rows could not be overwritten in the database's files, mostly for
    another program's reading: run it again.
    """
    from vtune_client.home import home
    from vtune_client.ledger import Ledger
    from vtune_client.vault import open_vault

    if (item is None) == (older_than is None):
        raise click.UsageError("Name a plan or a job, or give --older-than DAYS; one of them.")
    if certificate:
        _require_free(Path(certificate))
    with Ledger(home()) as ledger:
        found, running = _chosen(ledger, item, older_than, keep_verdicts)
        left = [each.plan.id for each in running]
        for each in running:
            click.echo(f"left: {each.plan.id}, for {', '.join(each.running)} may run", err=True)
        if dry_run:
            plans = [each.to_json() for each in found]
            emit(format_, {"plans": plans, "left": left, "dry_run": True}, lambda: _lines(found))
            return 0
        if found and not yes:
            _ask(found)
        vault = open_vault(home(), passphrase=ask_passphrase)
        done = _run(ledger, vault, found, keep_verdicts)
        if certificate:
            _certify(ledger, vault, done, Path(certificate))
    emit(format_, {**done.to_json(), "left": left}, lambda: _lines(found))
    _warn(done)
    if not done.swept:
        click.echo("Run this again to have deleted rows overwritten.", err=True)
    return 0 if done.swept else PARTIAL


def _warn(done: Purged) -> None:
    """Say on stderr what a purge here cannot reach."""
    for plan in done.plans:
        if not plan["root_key_deleted"]:
            click.echo(f"{plan['plan']}: its root key is in no vault of yours", err=True)
        if plan["handed_over"]:
            click.echo(f"{plan['plan']}: was handed over; whoever has it must purge it", err=True)
        for each in plan["left_elsewhere"]:
            what = f"the planted file {each['file']}" if "file" in each else f"{each['model']}"
            click.echo(f"{plan['plan']}: stays with {each['provider']}: {what}", err=True)


def _require_free(path: Path) -> None:
    if path.exists():
        raise InputError(f"{path} exists already.", "Choose another name for the certificate.")
    if not path.resolve().parent.is_dir():
        raise InputError(f"There is no directory for {path}.", "Make it first.")


def _chosen(
    ledger: Ledger, item: str | None, days: float | None, keep_verdicts: bool
) -> tuple[list[Holding], list[Holding]]:
    from vtune_client.home import home
    from vtune_client.purge import of_item, older_than

    if item is not None:
        return [of_item(ledger, home(), item)], []
    return older_than(ledger, home(), days or 0.0, keep_verdicts=keep_verdicts)


def _ask(found: list[Holding]) -> None:
    if not sys.stdin.isatty():
        raise InputError("Nobody can be asked whether to purge.", "Give --yes, or --dry-run first.")
    click.echo(_lines(found), err=True)
    click.confirm("Delete this for good?", abort=True, err=True)


def _run(ledger: Ledger, vault: Vault, found: list[Holding], keep_verdicts: bool) -> Purged:
    from vtune_client.home import home
    from vtune_client.purge import purge as run

    with progress() as tell:
        work = run(
            ledger,
            vault,
            home(),
            found,
            keep_verdicts=keep_verdicts,
            tell=lambda what: tell(what, None),
        )
        return asyncio.run(work)


def _certify(ledger: Ledger, vault: Vault, done: Purged, path: Path) -> None:
    from vtune_client.signing import signer_from
    from vtune_client.writing import write_whole

    write_whole(path, done.signed(signer_from(ledger, vault)), private=False)


def _lines(found: list[Holding]) -> str:
    return "\n".join(map(_line, found)) or "There is nothing to purge."


def _line(holding: Holding) -> str:
    counts: list[tuple[int, str]] = [
        (len(holding.jobs), "job"),
        (len(holding.verifications), "verification"),
        (holding.answers, "sealed answer"),
        (len(holding.files), "file"),
    ]
    parts: list[Any] = [f"{number} {what}{'' if number == 1 else 's'}" for number, what in counts]
    return f"{holding.plan.id}: its root key, {', '.join(parts)}"
