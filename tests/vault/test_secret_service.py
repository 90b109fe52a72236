"""The keyring vault over a real Secret Service: `tests/with_secret_service.sh pytest ...`."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import keyring
import pytest
from keyring.backends import SecretService

from vtune_client.errors import KeyMissing
from vtune_client.vault import RootKey, new_key_id
from vtune_client.vault.keyring_vault import SERVICE, KeyringVault

pytestmark = [
    pytest.mark.secret_service,
    pytest.mark.skipif(
        os.environ.get("VTUNE_TEST_SECRET_SERVICE") != "1",
        reason="needs a throwaway Secret Service: run under tests/with_secret_service.sh",
    ),
]

WRAPPER = Path(__file__).parents[1] / "with_secret_service.sh"
KEY = RootKey(bytes(range(32)))
TRY_ALL = """
from vtune_client.errors import SecretsError
from vtune_client.vault import RootKey
from vtune_client.vault.keyring_vault import KeyringVault
def outcome(call):
    try: return call() and "done"
    except SecretsError as error: return type(error).__name__
vault, key = KeyringVault(), RootKey(bytes(32))
def all_outcomes():
    put, get = lambda: vault.put("a1", key), lambda: vault.get("a1")
    return [outcome(call) for call in (put, get, lambda: vault.delete("a1"), vault.check)]
"""


def python(code: str, *before: str) -> str:
    """Run `code` in a new process, behind the command `before`; return what it prints."""
    run = subprocess.run(
        [*before, sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,  # a prompt that nobody answers must not hold the tests
        check=True,
    )
    return run.stdout.strip()


@pytest.fixture
def vault() -> KeyringVault:
    keyring.core.init_backend()
    assert isinstance(keyring.get_keyring(), SecretService.Keyring)
    return KeyringVault()


def test_a_key_comes_back_in_another_process(vault: KeyringVault) -> None:
    key_id = new_key_id()
    vault.put(key_id, RootKey(bytes(32)))
    vault.put(key_id, KEY)
    assert vault.get(key_id) == KEY
    code = f"print(KeyringVault().get({key_id!r}).bytes.hex())"
    assert python(TRY_ALL + code) == KEY.bytes.hex()


def test_a_deleted_key_is_missing_and_deleting_it_again_is_no_error(vault: KeyringVault) -> None:
    key_id = new_key_id()
    vault.put(key_id, KEY)
    vault.delete(key_id)
    vault.delete(key_id)
    with pytest.raises(KeyMissing):
        vault.get(key_id)


def test_a_key_never_stored_is_missing(vault: KeyringVault) -> None:
    with pytest.raises(KeyMissing):
        vault.get(new_key_id())


def test_check_stores_and_removes_a_probe(vault: KeyringVault) -> None:
    import secretstorage

    def count() -> int:
        with closing(secretstorage.dbus_init()) as bus:
            return len(list(secretstorage.search_items(bus, {"service": SERVICE})))

    before = count()
    vault.check()
    assert count() == before


def test_two_processes_at_once_lose_no_key(vault: KeyringVault) -> None:
    code = (
        "import sys\nfor i in range(6): vault.put(f'{sys.argv[1]}-{i}', RootKey(bytes([i] * 32)))\n"
    )
    names = [new_key_id(), new_key_id()]
    runs = [subprocess.Popen([sys.executable, "-c", TRY_ALL + code, name]) for name in names]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    for name in names:
        for i in range(6):
            assert vault.get(f"{name}-{i}") == RootKey(bytes([i] * 32))


def test_a_locked_collection_is_a_locked_vault_and_no_call_waits_for_ever() -> None:
    lock = """
import contextlib, secretstorage
vault.put("a1", key)
with contextlib.closing(secretstorage.dbus_init()) as bus:
    secretstorage.get_default_collection(bus).lock()
print(*all_outcomes())
"""
    assert python(TRY_ALL + lock, str(WRAPPER)) == " ".join(["VaultLocked"] * 4)


def test_a_bus_without_a_collection_is_no_vault(tmp_path: Path) -> None:
    # With an empty data folder the service asks for a password, to make its first collection.
    fresh = (
        "env",
        f"XDG_DATA_HOME={tmp_path}",
        f"XDG_RUNTIME_DIR={tmp_path}",
        "dbus-run-session",
        "--",
    )
    said = python(TRY_ALL + "print(*all_outcomes())", *fresh)
    assert said == " ".join(["NoVault"] * 4)
