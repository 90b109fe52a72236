"""`vtune vault`."""

from __future__ import annotations

import os
import sys

import click

from vtune_client.cli.output import ask_passphrase, emit, format_option
from vtune_client.errors import InputError

NEW_PASSPHRASE_VARIABLE = "VTUNE_VAULT_NEW_PASSPHRASE"  # noqa: S105 - the name


@click.group()
def vault() -> None:
    """See to the place where root keys are kept: the OS keyring, or a passphrase-sealed file.

    Where there is no terminal to ask in, VTUNE_VAULT_PASSPHRASE opens the file.
    """


@vault.command()
@format_option
def check(format_: str) -> None:
    """Store a trial key in the vault and take it out again."""
    from vtune_client.home import home
    from vtune_client.vault import open_vault

    chosen = open_vault(home(), passphrase=ask_passphrase)
    chosen.check()
    emit(format_, {"vault": chosen.name, "works": True}, lambda: f"The vault works: {chosen.name}.")


@vault.command()
@click.option("--file", "file_", is_flag=True, required=True, help="Make a file vault.")
@format_option
def init(file_: bool, format_: str) -> None:
    """Make a passphrase-sealed file vault, for machines that have no keyring."""
    from vtune_client.home import home
    from vtune_client.vault.choose import FILE_NAME, PASSPHRASE_VARIABLE
    from vtune_client.vault.file_vault import FileVault

    path = home() / FILE_NAME
    FileVault.create(path, _new_passphrase("Passphrase", PASSPHRASE_VARIABLE))
    text = f"Made {path}. Use it with VTUNE_VAULT=file in the environment."
    emit(format_, {"vault": "file", "path": str(path)}, lambda: text)


@vault.command("change-passphrase")
@format_option
def change_passphrase(format_: str) -> None:
    """Seal the file vault under a new passphrase.

    Where there is no terminal, the new one is VTUNE_VAULT_NEW_PASSPHRASE.
    """
    from vtune_client.home import home
    from vtune_client.vault import open_vault
    from vtune_client.vault.file_vault import FileVault

    chosen = open_vault(home(), kind="file", passphrase=ask_passphrase)
    assert isinstance(chosen, FileVault)  # noqa: S101 - tells mypy what kind="file" gives
    chosen.check()  # the old passphrase first
    chosen.change_passphrase(_new_passphrase("New passphrase", NEW_PASSPHRASE_VARIABLE))
    emit(format_, {"vault": "file", "changed": True}, lambda: "The passphrase is changed.")


def _new_passphrase(what: str, variable: str) -> str:
    """Ask twice in the terminal; where there is none, take it from the environment."""
    if sys.stdin.isatty():
        answer: str = click.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
        return answer
    given = os.environ.get(variable)
    if not given:
        raise InputError(
            "A passphrase is needed, and there is no terminal to ask in.", f"Set {variable}."
        )
    return given
