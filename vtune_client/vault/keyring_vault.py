"""The operating system's keyring as a vault, through the `keyring` package.

`keyring` picks a backend by itself, and among those it may pick are some that store in plain text
or nowhere. Only backends that it recommends (priority 1 or more) are used here; the rest count as
no vault at all. Where a desktop asks to unlock the keyring, a call waits for the answer; where
there is nobody to ask, the Secret Service refuses at once and the vault counts as locked.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from vtune_client.errors import KeyMissing, NoVault, SealBroken, SecretsError, VaultLocked
from vtune_client.vault.interface import RootKey, new_key_id

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SERVICE = "vtune-client"
RECOMMENDED = 1  # keyring's own word for a backend fit to hold a secret
USE_FILE = (
    "Use the passphrase-sealed file instead: run 'vtune vault init --file', then set "
    "VTUNE_VAULT=file, with VTUNE_VAULT_PASSPHRASE where nobody can be asked."
)
UNLOCK = f"Unlock the keyring of your session and try again. {USE_FILE}"
UNFIT = "keyrings.alt"  # plain-text and home-made ciphers, whatever priority they claim


class KeyringVault:
    """Root keys in the keyring: service `vtune-client`, user name the key id, 44 base64 letters."""

    name = "keyring"

    def __repr__(self) -> str:
        return "<KeyringVault>"

    def put(self, key_id: str, key: RootKey) -> None:
        value = base64.b64encode(key.bytes).decode()
        backend = _backends()[0]
        with _our_errors():
            backend.set_password(SERVICE, key_id, value)
            # A backend that drops what it is given would cost the whole plan: let it show the key.
            kept = backend.get_password(SERVICE, key_id)
        if kept != value:
            raise SecretsError("The keyring did not keep the key that it was given.", USE_FILE)

    def get(self, key_id: str) -> RootKey:
        value = _find(key_id)
        if value is None:
            raise KeyMissing(
                f"The keyring holds no key {key_id}.",
                "Use the machine and the user account that planted the file.",
            )
        try:
            return RootKey(base64.b64decode(value, validate=True))
        except ValueError:  # not base64, not ASCII, or not 32 bytes
            raise SealBroken(
                f"What the keyring holds as key {key_id} is damaged.",
                "Restore the keyring from a copy, or plant the file again.",
            ) from None

    def delete(self, key_id: str) -> None:
        from keyring.errors import PasswordDeleteError

        for backend in _backends():
            with _our_errors(), suppress(PasswordDeleteError):
                backend.delete_password(SERVICE, key_id)
        # keyring has one error for "absent" and for "could not delete": look which it was.
        if _find(key_id) is not None:
            raise SecretsError(
                f"The keyring did not delete key {key_id}.",
                "Delete it with the keyring program of your system.",
            )

    def check(self) -> None:
        key_id = new_key_id()
        self.put(key_id, RootKey.new())
        self.delete(key_id)


def _find(key_id: str) -> str | None:
    for backend in _backends():
        with _our_errors():
            value = backend.get_password(SERVICE, key_id)
        if value is not None:
            return value
    return None


def _backends() -> list[KeyringBackend]:
    """Return the backends fit to hold a secret, best first; `NoVault` if there is none.

    keyring's chainer would also read from and write to unfit ones, so it is taken apart.
    """
    import keyring
    from keyring.backends.chainer import ChainerBackend

    try:
        chosen = keyring.get_keyring()
        chain = list(chosen.backends) if isinstance(chosen, ChainerBackend) else [chosen]
    except Exception as error:  # a configured backend is any code that a config file names
        raise NoVault(
            f"The configured keyring backend does not load ({type(error).__name__}).",
            f"Mend PYTHON_KEYRING_BACKEND or keyringrc.cfg. {USE_FILE}",
        ) from error
    fit = [backend for backend in chain if _protects(backend)]
    if not fit:
        kind = type(chosen)
        raise NoVault(
            "No keyring here is fit to hold a secret "
            f"(the keyring package offers {kind.__module__}.{kind.__qualname__}).",
            USE_FILE,
        )
    return fit


def _protects(backend: KeyringBackend) -> bool:
    if any(kind.__module__.startswith(UNFIT) for kind in type(backend).__mro__):
        return False
    try:
        return backend.priority >= RECOMMENDED
    except (RuntimeError, NotImplementedError):  # how a backend says that it cannot work here
        return False


@contextmanager
def _our_errors() -> Iterator[None]:
    """Turn what a backend raises into `SecretsError`s."""
    from keyring import errors

    try:
        yield
    except errors.KeyringLocked as error:
        raise VaultLocked("The keyring is locked.", UNLOCK) from error
    except (errors.NoKeyringError, errors.InitError) as error:
        raise NoVault("The keyring cannot be opened on this machine.", USE_FILE) from error
    except Exception as error:
        # Backends are plug-ins and raise what they like; the text might quote what they were given.
        raise SecretsError(f"The keyring failed ({type(error).__name__}).", USE_FILE) from None
