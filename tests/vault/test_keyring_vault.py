"""The keyring vault over backends of keyring's own kind, real and misbehaving."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import chainer, fail, null
from keyring.errors import InitError, KeyringLocked, PasswordDeleteError, PasswordSetError

from vtune_client.errors import KeyMissing, NoVault, SealBroken, SecretsError, VaultLocked
from vtune_client.vault import RootKey, open_vault
from vtune_client.vault.keyring_vault import SERVICE, KeyringVault

KEY = RootKey(bytes(range(32)))
SECRET = base64.b64encode(KEY.bytes).decode()


class Memory(KeyringBackend):
    """A well-behaved keyring that forgets at the end of the test."""

    priority = 5.0
    viable = False  # never to be picked by keyring itself

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        if self.kept.pop((service, username), None) is None:
            raise PasswordDeleteError("not found")


class Plain(Memory):
    """What keyring does not recommend: it stores in plain text."""

    priority = 0.5


class Boastful(Memory):
    """As `Plain`, of the package known for it, claiming a high priority."""

    priority = 9.0


Boastful.__module__ = "keyrings.alt.file"


class Forgetful(Memory):
    def set_password(self, service: str, username: str, password: str) -> None:
        pass


class Stubborn(Memory):
    def delete_password(self, service: str, username: str) -> None:
        raise PasswordDeleteError("no")


class Raising(Memory):
    """Raises what it was made with, on every call."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get_password(self, service: str, username: str) -> str | None:
        raise self.error

    def set_password(self, service: str, username: str, password: str) -> None:
        raise self.error

    def delete_password(self, service: str, username: str) -> None:
        raise self.error


class Leaking(Memory):
    """Quotes the password in its error."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise ValueError(f"cannot store {password}")


class Gone(Memory):
    """Was usable when it was chosen, and is no more."""

    @property
    def priority(self) -> float:  # type: ignore[override]
        raise RuntimeError("the daemon left")


Use = Callable[[KeyringBackend], KeyringVault]


@pytest.fixture
def use() -> Iterator[Use]:
    previous = keyring.get_keyring()

    def choose(backend: KeyringBackend) -> KeyringVault:
        keyring.set_keyring(backend)
        return KeyringVault()

    yield choose
    keyring.set_keyring(previous)


def all_uses(vault: KeyringVault) -> list[Callable[[], object]]:
    return [
        lambda: vault.put("a1", KEY),
        lambda: vault.get("a1"),
        lambda: vault.delete("a1"),
        vault.check,
    ]


def test_a_key_comes_back(use: Use) -> None:
    vault = use(Memory())
    vault.put("a1", KEY)
    assert vault.get("a1") == KEY
    vault.put("a1", RootKey(bytes(32)))
    assert vault.get("a1") == RootKey(bytes(32))


def test_what_is_stored_fits_windows_and_says_nothing_of_the_plan(use: Use) -> None:
    backend = Memory()
    use(backend).put("a1", KEY)
    assert backend.kept == {(SERVICE, "a1"): SECRET}
    assert len(SECRET.encode("utf-16-le")) <= 2560


def test_a_deleted_key_is_missing_and_deleting_it_again_is_no_error(use: Use) -> None:
    vault = use(Memory())
    vault.put("a1", KEY)
    vault.delete("a1")
    vault.delete("a1")
    with pytest.raises(KeyMissing, match="a1"):
        vault.get("a1")


def test_check_leaves_nothing_behind(use: Use) -> None:
    backend = Memory()
    use(backend).check()
    assert backend.kept == {}


@pytest.mark.parametrize("value", ["", "AAAA", "not base64!", "é", SECRET[:-4], SECRET + "AAAA"])
def test_a_damaged_value_is_a_broken_seal(use: Use, value: str) -> None:
    backend = Memory()
    backend.kept[SERVICE, "a1"] = value
    with pytest.raises(SealBroken, match="a1") as caught:
        use(backend).get("a1")
    assert not value or value not in "".join(traceback.format_exception(caught.value))


def chain(*backends: KeyringBackend) -> KeyringBackend:
    links = {"viable": False, "backends": list(backends)}
    chained: KeyringBackend = type("Chain", (chainer.ChainerBackend,), links)()
    return chained


UNFIT: list[Callable[[], KeyringBackend]] = [
    fail.Keyring,
    null.Keyring,
    Plain,
    Boastful,
    Gone,
    chain,
    lambda: chain(Boastful(), Plain()),
]


@pytest.mark.parametrize("make", UNFIT)
def test_a_backend_unfit_for_secrets_is_no_vault(
    use: Use, make: Callable[[], KeyringBackend]
) -> None:
    backend = make()
    for call in all_uses(use(backend)):
        with pytest.raises(NoVault, match="vtune vault init --file") as caught:
            call()
        assert "VTUNE_VAULT_PASSPHRASE" in caught.value.advice
    assert not getattr(backend, "kept", {})


def test_a_chain_is_used_without_its_unfit_links(use: Use) -> None:
    first, second, plain = Memory(), Memory(), Plain()
    vault = use(chain(Boastful(), first, second, plain))
    second.kept[SERVICE, "b2"] = SECRET
    plain.kept[SERVICE, "c3"] = SECRET

    vault.put("a1", KEY)
    assert (first.kept, len(second.kept), len(plain.kept)) == ({(SERVICE, "a1"): SECRET}, 1, 1)
    assert vault.get("b2") == KEY
    with pytest.raises(KeyMissing):
        vault.get("c3")
    vault.delete("b2")
    assert second.kept == {}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (KeyringLocked("Failed to unlock the collection!"), VaultLocked),
        (InitError("Failed to create the collection"), NoVault),
        (PasswordSetError("no"), SecretsError),
        (OSError("broken pipe"), SecretsError),
        (RuntimeError("anything"), SecretsError),
    ],
)
def test_what_a_backend_raises_becomes_ours(
    use: Use, error: Exception, expected: type[SecretsError]
) -> None:
    for call in all_uses(use(Raising(error))):
        with pytest.raises(SecretsError) as caught:
            call()
        assert type(caught.value) is expected
        assert "VTUNE_VAULT=file" in caught.value.advice


def test_a_backend_that_drops_the_key_is_found_out_at_once(use: Use) -> None:
    vault = use(Forgetful())
    with pytest.raises(SecretsError, match="did not keep"):
        vault.put("a1", KEY)
    with pytest.raises(SecretsError, match="did not keep"):
        vault.check()


def test_a_backend_that_does_not_delete_is_found_out(use: Use) -> None:
    vault = use(Stubborn())
    vault.put("a1", KEY)
    with pytest.raises(SecretsError, match="did not delete"):
        vault.delete("a1")
    vault.delete("never there")


def test_the_key_is_in_no_traceback(use: Use) -> None:
    with pytest.raises(SecretsError) as caught:
        use(Leaking()).put("a1", KEY)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


PROBE = (
    "from vtune_client.errors import VTuneError\n"
    "from vtune_client.vault.keyring_vault import KeyringVault\n"
    "try: KeyringVault().check()\n"
    "except VTuneError as error: print(type(error).__name__, error.message)\n"
    "else: print('stored')\n"
)


def probe(home: Path, **environment: str) -> str:
    """Return what a fresh process, with no settings of the user's, says of its keyring."""
    hidden = ("DBUS_SESSION_BUS_ADDRESS", "PYTHON_KEYRING_BACKEND", "XDG_CONFIG_HOME")
    clean = {name: value for name, value in os.environ.items() if name not in hidden}
    run = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=clean | {"HOME": str(home), "XDG_RUNTIME_DIR": str(home)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have a keyring without a bus")
@pytest.mark.parametrize("bus", [{}, {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus"}])
def test_a_machine_without_a_session_bus_has_no_vault(tmp_path: Path, bus: dict[str, str]) -> None:
    assert probe(tmp_path, **bus).startswith("NoVault No keyring here is fit")


@pytest.mark.parametrize("name", ["no.such.module.Keyring", "keyring.backends.fail.Nothing", "x"])
def test_a_backend_that_does_not_load_is_no_vault(tmp_path: Path, name: str) -> None:
    said = probe(tmp_path, PYTHON_KEYRING_BACKEND=name)
    assert said.startswith("NoVault The configured keyring backend does not load")


def test_opening_the_keyring_vault_touches_no_keyring(use: Use, tmp_path: Path) -> None:
    use(Raising(RuntimeError("touched")))
    assert repr(open_vault(tmp_path, kind="keyring")) == "<KeyringVault>"
