"""Which vault is in use: the keyring unless the user says otherwise, and never another in silence.

VTUNE_VAULT              keyring (default) or file
VTUNE_VAULT_PASSPHRASE   opens the file vault where nobody can be asked
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from vtune_client.errors import InputError, VaultLocked
from vtune_client.vault.interface import Vault

KIND_VARIABLE = "VTUNE_VAULT"
PASSPHRASE_VARIABLE = "VTUNE_VAULT_PASSPHRASE"  # noqa: S105 - the name, not the passphrase
FILE_NAME = "vault.json"


def open_vault(
    home: Path, *, kind: str | None = None, passphrase: Callable[[], str] | None = None
) -> Vault:
    """Return the vault to use; nothing is opened or asked before its first call.

    `kind` is "keyring" or "file", else what VTUNE_VAULT says, else the keyring. The file vault is
    `vault.json` in `home`; its passphrase is VTUNE_VAULT_PASSPHRASE, else what `passphrase` gives.
    Raises `InputError` for any other kind.
    """
    kind = kind or os.environ.get(KIND_VARIABLE) or "keyring"
    if kind == "keyring":
        from vtune_client.vault.keyring_vault import KeyringVault

        return KeyringVault()
    if kind == "file":
        from vtune_client.vault.file_vault import FileVault

        return FileVault(home / FILE_NAME, lambda: _passphrase(passphrase))
    raise InputError(
        f"There is no kind of vault named {kind!r}.", f"Set {KIND_VARIABLE} to keyring or file."
    )


def _passphrase(ask: Callable[[], str] | None) -> str:
    given = os.environ.get(PASSPHRASE_VARIABLE) or (ask() if ask else "")
    if not given:
        raise VaultLocked(
            "The file vault needs its passphrase, and none was given.",
            f"Set {PASSPHRASE_VARIABLE}, or run this in a terminal to be asked.",
        )
    return given
