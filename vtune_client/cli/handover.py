"""`vtune handover`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vtune_client.cli.output import ask_passphrase, emit, format_option
from vtune_client.errors import InputError

if TYPE_CHECKING:
    from vtune_client.ledger import Ledger
    from vtune_client.vault import Vault


@click.group()
def handover() -> None:
    """Hand a plan to a colleague, for nobody else to read.

    The colleague prints a public key (`key`) and gives it to you. You write a file for it
    (`export`), and tell the colleague the fingerprint of your signing key on another way. The
    colleague takes the file in (`import`).
    """


@handover.command()
@format_option
def key(format_: str) -> None:
    """Print your public key, which others hand plans over to; made when there is none."""
    from vtune_client import handover as parcels
    from vtune_client.home import home
    from vtune_client.signing import fingerprint
    from vtune_client.vault import open_vault

    public = parcels.public_key(open_vault(home(), passphrase=ask_passphrase))
    text = parcels.to_text(public)
    emit(format_, {"public_key": text, "fingerprint": fingerprint(public)}, lambda: text)


@handover.command()
@click.argument("plan_id", metavar="PLAN")
@click.option(
    "--to", "to", required=True, metavar="KEY|FILE", help="The recipient's public key, or its file."
)
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="The file.")
@click.option("--without-answers", is_flag=True, help="Leave out what models have answered.")
@click.option("--force", is_flag=True, help="Overwrite the output file.")
@format_option
def export(
    plan_id: str, to: str, output: str, without_answers: bool, force: bool, format_: str
) -> None:
    """Write PLAN with its secrets, jobs and verifications to a file for one recipient."""
    from vtune_client import handover as parcels
    from vtune_client.signing import fingerprint, signer_from
    from vtune_client.writing import write_whole

    path = Path(output)
    if path.exists() and not force:
        raise InputError(f"{output} exists already.", "Choose another name, or give --force.")
    public = parcels.from_text(_text_of(to))
    with _opened() as (ledger, vault):
        content = parcels.seal_plan(ledger, vault, plan_id, public, answers=not without_answers)
        plan, sender = ledger.plan(plan_id).id, signer_from(ledger, vault).fingerprint
    write_whole(path, content, private=True)
    data = {"plan": plan, "path": output, "to": fingerprint(public), "signed_by": sender}
    emit(
        format_,
        data,
        lambda: (
            f"{plan} for {data['to']}: {output}\n"
            f"Tell the recipient on another way that {sender} signed it."
        ),
    )


@handover.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--from", "sender", metavar="FINGERPRINT", help="Of the sender's signing key.")
@format_option
def import_(file: str, sender: str | None, format_: str) -> None:
    """Take in the plan in FILE, that a colleague handed over to your key.

    The first time without --from it is only looked at, and tells who signed it: whoever knows your
    public key can write such a file, also a vendor who would like you to use a plan of theirs.
    """
    from vtune_client import handover as parcels

    with _opened() as (ledger, vault):
        parcel = parcels.open_parcel(vault, _read(Path(file)))
        if sender != parcel.sender and parcel.sender not in _own(ledger):
            whom = "not by that key" if sender else "by a key that is none of this ledger's"
            raise InputError(
                f"{file} is signed by {parcel.sender}, {whom}.",
                f"If that is what the sender told you, give --from {parcel.sender}.",
            )
        parcels.take_in(ledger, vault, parcel)
    counts = {name: parcel.count(name) for name in ("jobs", "verifications")}
    data = {"plan": parcel.plan_id, "signed_by": parcel.sender, "created": parcel.created, **counts}
    told = ", ".join(f"{count} {name}" for name, count in counts.items())
    emit(format_, data, lambda: f"{parcel.plan_id}, {told}, of {parcel.created}")


@contextmanager
def _opened() -> Iterator[tuple[Ledger, Vault]]:
    from vtune_client.home import home
    from vtune_client.ledger import Ledger
    from vtune_client.vault import open_vault

    with Ledger(home()) as ledger:
        yield ledger, open_vault(home(), passphrase=ask_passphrase)


def _own(ledger: Ledger) -> set[str]:
    return {signer.fingerprint for signer in ledger.signers()}


def _text_of(to: str) -> str:
    """Return the key, from the file of that name where there is one."""
    from vtune_client.handover import PREFIX

    if to.startswith(PREFIX):
        return to
    return _read(Path(to)).decode("utf-8", "replace")


def _read(path: Path) -> bytes:
    from vtune_client.handover import MOST_BYTES

    try:
        if path.stat().st_size > 2 * MOST_BYTES:
            raise InputError(f"{path} is too large to be what it should be.", "Name another file.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}.", "Name a file that can be."
        ) from error
