"""A passphrase-sealed file as a vault, for machines without a keyring.

The passphrase gives a key through scrypt (RFC 7914); each root key is sealed under it with its key
id as the purpose, and so is a check value that tells a wrong passphrase from a changed entry. The
file is made only by `FileVault.create`, replaced whole on every change, and readable by its owner
alone. It cannot show that an entry was removed or an older copy put back.
"""

from __future__ import annotations

import base64
import os
import sys
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any, Literal

from filelock import FileLock, Timeout
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    model_validator,
)

from vtune_client.errors import (
    InputError,
    KeyMissing,
    NoVault,
    SealBroken,
    SecretsError,
    VaultLocked,
)
from vtune_client.vault.interface import KEY_BYTES, RootKey
from vtune_client.vault.seal import open_sealed, seal

LOCK_SECONDS = 10.0
MOST_MEMORY = 2**30  # a damaged or foreign file must not ask for all there is
_RESTORE = "Restore it from a copy, or make a new vault and plant again."
_CHECK = b"vtune-client vault"


def _from_base64(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise ValueError("not base64 text")
    return base64.b64decode(value, validate=True)


def _to_base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


Base64 = Annotated[bytes, PlainValidator(_from_base64), PlainSerializer(_to_base64)]


class Cost(BaseModel):
    """What one guess at the passphrase costs: scrypt's n, r, p; memory is 128 n r bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    n: int = Field(default=2**17, ge=2)
    r: int = Field(default=8, ge=1)
    p: int = Field(default=1, ge=1, le=16)

    @model_validator(mode="after")
    def _within_limits(self) -> Cost:
        if self.n & (self.n - 1) or self.n >= 2 ** (16 * min(self.r, 4)):
            raise ValueError("n is a power of two, below 2 to the 16 r")  # RFC 7914, section 2
        if self.n * self.r > MOST_MEMORY // 128:
            raise ValueError("scrypt would take too much memory")
        return self


class _Kdf(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["scrypt"] = "scrypt"
    cost: Cost
    salt: Base64

    def key(self, passphrase: str) -> RootKey:
        from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

        # NFC: the same letters typed on another system must give the same bytes. surrogatepass:
        # an environment variable may hold bytes that are no text.
        text = unicodedata.normalize("NFC", passphrase).encode("utf-8", "surrogatepass")
        scrypt = Scrypt(
            salt=self.salt, length=KEY_BYTES, n=self.cost.n, r=self.cost.r, p=self.cost.p
        )
        return RootKey(scrypt.derive(text))


class _Contents(BaseModel):
    model_config = ConfigDict(extra="forbid")
    format: Literal["vtune-client vault"] = "vtune-client vault"
    version: Literal[1] = 1
    kdf: _Kdf
    check: Base64
    entries: dict[str, Base64]


class FileVault:
    """Root keys sealed in the file `path` under a passphrase, asked for when first needed."""

    name = "file"

    def __init__(
        self, path: Path, passphrase: Callable[[], str], *, cost: Cost | None = None
    ) -> None:
        # Replacing a link would leave the file behind it as it was.
        self.path = Path(os.path.realpath(path))
        self._passphrase = passphrase
        self._cost = cost or Cost()
        self._unlocked: tuple[_Kdf, RootKey] | None = None

    @classmethod
    def create(cls, path: Path, passphrase: str, *, cost: Cost | None = None) -> FileVault:
        """Make an empty vault; `InputError` if the file exists or the passphrase is empty."""
        vault = cls(path, lambda: passphrase, cost=cost)
        with _io_errors(vault.path):
            vault.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _locked(vault.path):
            if vault.path.exists():
                raise InputError(
                    f"There is a vault at {vault.path} already.",
                    "Use it, or move it away first; the keys in it exist nowhere else.",
                )
            contents, unlocked = vault._sealed_anew({}, passphrase)
            _replace(vault.path, contents)
        vault._unlocked = unlocked
        return vault

    def __repr__(self) -> str:
        return f"<FileVault {self.path}>"

    def put(self, key_id: str, key: RootKey) -> None:
        with self._changing() as (contents, file_key):
            contents.entries[key_id] = seal(file_key, key.bytes, purpose=_purpose(key_id))

    def get(self, key_id: str) -> RootKey:
        contents = self._read()
        file_key = self._unlock(contents)
        if key_id not in contents.entries:
            raise KeyMissing(
                f"The vault {self.path} holds no key {key_id}.",
                "Choose the vault that was in use when the file was planted.",
            )
        return self._open(contents, file_key, key_id)

    def delete(self, key_id: str) -> None:
        with self._changing() as (contents, _):
            contents.entries.pop(key_id, None)

    def check(self) -> None:
        with self._changing():
            pass

    def change_passphrase(self, new: str) -> None:
        """Seal every key under `new`; on any error the file stays as it was."""
        self._unlock(self._read())
        with _locked(self.path):
            old = self._read()
            file_key = self._unlock(old)
            keys = {key_id: self._open(old, file_key, key_id) for key_id in old.entries}
            contents, unlocked = self._sealed_anew(keys, new)
            _replace(self.path, contents)
        self._passphrase = lambda: new
        self._unlocked = unlocked

    @contextmanager
    def _changing(self) -> Iterator[tuple[_Contents, RootKey]]:
        # scrypt and the question for the passphrase come before the lock, not under it.
        self._unlock(self._read())
        with _locked(self.path):
            contents = self._read()
            yield contents, self._unlock(contents)
            _replace(self.path, contents)

    def _read(self) -> _Contents:
        try:
            with _io_errors(self.path):
                return _Contents.model_validate_json(self.path.read_bytes())
        except ValidationError:
            raise SealBroken(
                f"The vault {self.path} is damaged, or newer than this version.",
                f"Upgrade vtune-client if it is newer. {_RESTORE}",
            ) from None

    def _unlock(self, contents: _Contents) -> RootKey:
        """Return the file's key, asking for the passphrase once for each salt and cost."""
        if self._unlocked and self._unlocked[0] == contents.kdf:
            return self._unlocked[1]
        file_key = contents.kdf.key(self._passphrase())
        try:
            open_sealed(file_key, contents.check, purpose="vault check")
        except SealBroken:
            raise VaultLocked(
                f"The passphrase does not open the vault {self.path}.",
                "Try again with the right one; if it is right, restore the file from a copy.",
            ) from None
        self._unlocked = contents.kdf, file_key
        return file_key

    def _open(self, contents: _Contents, file_key: RootKey, key_id: str) -> RootKey:
        try:
            opened = open_sealed(file_key, contents.entries[key_id], purpose=_purpose(key_id))
            return RootKey(opened)
        except (SealBroken, ValueError):
            raise SealBroken(
                f"Key {key_id} in the vault {self.path} was changed.", _RESTORE
            ) from None

    def _sealed_anew(
        self, keys: dict[str, RootKey], passphrase: str
    ) -> tuple[_Contents, tuple[_Kdf, RootKey]]:
        if not passphrase:
            raise InputError("The passphrase is empty.", "Choose a long one.")
        kdf = _Kdf(cost=self._cost, salt=os.urandom(32))
        file_key = kdf.key(passphrase)
        entries = {
            key_id: seal(file_key, key.bytes, purpose=_purpose(key_id))
            for key_id, key in keys.items()
        }
        check = seal(file_key, _CHECK, purpose="vault check")
        return _Contents(kdf=kdf, check=check, entries=entries), (kdf, file_key)


def _purpose(key_id: str) -> str:
    return f"vault entry {key_id}"


@contextmanager
def _io_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise NoVault(
            f"There is no vault at {path}.", "Make one with 'vtune vault init --file'."
        ) from None
    except OSError as error:
        raise SecretsError(
            f"The vault {path} cannot be read or written: {_reason(error)}.",
            "Check its permissions and the space on its disk.",
        ) from error


def _reason(error: OSError) -> str:
    return error.strerror or type(error).__name__


def _replace(path: Path, contents: _Contents) -> None:
    """Put `contents` in the place of the file, whole or not at all, readable by its owner alone."""
    with _io_errors(path):
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(contents.model_dump_json(indent=2).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            os.replace(name, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut, where the system can."""
    if sys.platform == "win32":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other writers out, threads and processes alike; a writer that dies lets go.

    The lock is on a file beside the vault, since the vault's own is replaced on every change.
    """
    lock = FileLock(path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS, mode=0o600)
    with _io_errors(path):
        try:
            lock.acquire(poll_interval=0.02)
        except Timeout:
            raise SecretsError(
                f"Another process is writing to the vault {path}.", "Try again when it is done."
            ) from None
    try:
        yield
    finally:
        lock.release()
