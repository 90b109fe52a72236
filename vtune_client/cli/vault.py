"""`vtune vault`."""

from __future__ import annotations

import os
import sys

import click


@click.group()
def vault() -> None:
    """See to the place where root keys are kept: the OS keyring, or a passphrase-sealed file."""


@vault.command()
def check() -> None:
    """Store a trial key in the vault and take it out again."""
    from vtune_client.cli.output import ask_passphrase
    from vtune_client.home import home
    from vtune_client.vault import open_vault

    chosen = open_vault(home(), passphrase=ask_passphrase)
    chosen.check()
    click.echo(f"The vault works: {chosen.name}.")


@vault.command()
@click.option("--file", "file_", is_flag=True, required=True, help="Make a file vault.")
def init(file_: bool) -> None:
    """Make a passphrase-sealed file vault, for machines that have no keyring."""
    from vtune_client.home import home
    from vtune_client.vault.choose import FILE_NAME
    from vtune_client.vault.file_vault import FileVault

    path = home() / FILE_NAME
    FileVault.create(path, _new_passphrase("Passphrase"))
    click.echo(f"Made {path}. Use it with VTUNE_VAULT=file in the environment.")


@vault.command("change-passphrase")
def change_passphrase() -> None:
    """Seal the file vault under a new passphrase."""
    from vtune_client.cli.output import ask_passphrase
    from vtune_client.home import home
    from vtune_client.vault import open_vault
    from vtune_client.vault.file_vault import FileVault

    chosen = open_vault(home(), kind="file", passphrase=ask_passphrase)
    if isinstance(chosen, FileVault):
        chosen.check()  # the old passphrase first
        chosen.change_passphrase(_new_passphrase("New passphrase"))
    click.echo("The passphrase is changed.")


def _new_passphrase(what: str) -> str:
    """Ask twice in the terminal; where there is none, take VTUNE_VAULT_PASSPHRASE."""
    if not sys.stdin.isatty():
        return os.environ.get("VTUNE_VAULT_PASSPHRASE", "")
    answer: str = click.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
    return answer
