"""`vtune signer`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vtune_client.cli.output import ask_passphrase, emit, format_option, say
from vtune_client.errors import InputError
from vtune_client.writing import write_whole

if TYPE_CHECKING:
    from vtune_client.ledger import SignerRecord


@click.group()
def signer() -> None:
    """See to the keys that sign your statements: Ed25519, the secret half in the vault.

    Signing makes one when there is none. Of several, the newest whose key is in the vault signs;
    older ones still tell that what they signed was yours.
    """


@signer.command()
@format_option
def show(format_: str) -> None:
    """List the signing keys by their fingerprints, the newest last."""
    from vtune_client.home import home
    from vtune_client.ledger import Ledger

    with Ledger(home()) as ledger:
        found = [_data(record) for record in ledger.signers()]
    lines = [f"{each['fingerprint']}  {each['created']}" for each in found]
    none = "There is no signing key. Make one with `vtune signer new`."
    emit(format_, {"signers": found}, lambda: "\n".join(lines) or none)


@signer.command()
@format_option
def new(format_: str) -> None:
    """Make a signing key; from now on it is the one that signs."""
    from vtune_client.home import home
    from vtune_client.ledger import Ledger
    from vtune_client.signing import new_signer
    from vtune_client.vault import open_vault

    with Ledger(home()) as ledger:
        made = new_signer(ledger, open_vault(home(), passphrase=ask_passphrase))
    emit(format_, {"fingerprint": made.fingerprint}, lambda: made.fingerprint)


@signer.command()
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True))
@click.option(
    "--signer",
    "prefix",
    metavar="FINGERPRINT",
    help="The fingerprint of the key, or how it begins; without it, the newest.",
)
@click.option("--force", is_flag=True, help="Overwrite the output file.")
@format_option
def export(file: str, prefix: str | None, force: bool, format_: str) -> None:
    """Write the public half of a signing key to FILE, as PEM ("-" for stdout).

    Give it to whoever checks your statements, on another way than the statements themselves.
    """
    from vtune_client.home import home
    from vtune_client.ledger import Ledger
    from vtune_client.signing import public_pem

    if file != "-" and Path(file).exists() and not force:
        raise InputError(f"{file} exists already.", "Choose another name, or give --force.")
    with Ledger(home()) as ledger:
        record = _chosen(ledger.signers(), prefix)
    pem = public_pem(record)
    if file == "-":
        say(pem.decode().rstrip())
        return
    write_whole(Path(file), pem, private=False)
    data = {"fingerprint": record.fingerprint, "path": file}
    emit(format_, data, lambda: f"{record.fingerprint}: {file}")


def _data(record: SignerRecord) -> dict[str, Any]:
    created = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds")
    return {"fingerprint": record.fingerprint, "created": created}


def _chosen(signers: list[SignerRecord], prefix: str | None) -> SignerRecord:
    """Return the newest signer, or the one whose fingerprint begins so."""
    if not signers:
        raise InputError("There is no signing key.", "Make one with `vtune signer new`.")
    if prefix is None:
        return signers[-1]
    wanted = prefix.lower().removeprefix("sha256:")
    found = [s for s in signers if s.fingerprint.removeprefix("SHA256:").startswith(wanted)]
    if len(found) != 1:
        many = f"{len(found)} signing keys begin" if found else "No signing key begins"
        raise InputError(f"{many} with {prefix!a}.", "See `vtune signer show`.")
    return found[0]
