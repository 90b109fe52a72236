from __future__ import annotations

import base64
import json
import os
import stat
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vtune_client.errors import (
    InputError,
    KeyMissing,
    NoVault,
    SealBroken,
    SecretsError,
    VaultLocked,
)
from vtune_client.vault import RootKey
from vtune_client.vault.file_vault import Cost, FileVault

CHEAP = Cost(n=16)
KEY = RootKey(bytes(range(32)))
OTHER = RootKey(bytes(32))
PASSPHRASE = "correct horse"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "vault.json"
    vault = FileVault.create(path, PASSPHRASE, cost=CHEAP)
    vault.put("a1", KEY)
    vault.put("b2", OTHER)
    return path


def reopen(path: Path, passphrase: str = PASSPHRASE) -> FileVault:
    return FileVault(path, lambda: passphrase, cost=CHEAP)


def change(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    contents = json.loads(path.read_text(encoding="utf-8"))
    edit(contents)
    path.write_text(json.dumps(contents), encoding="utf-8")


def test_keys_are_there_for_the_next_process(path: Path) -> None:
    assert reopen(path).get("a1") == KEY
    assert reopen(path).get("b2") == OTHER


def test_put_replaces_the_key_of_that_id(path: Path) -> None:
    reopen(path).put("a1", OTHER)
    assert reopen(path).get("a1") == OTHER


def test_a_deleted_key_is_gone_and_deleting_it_again_is_no_error(path: Path) -> None:
    reopen(path).delete("a1")
    reopen(path).delete("a1")
    with pytest.raises(KeyMissing, match="a1"):
        reopen(path).get("a1")
    assert reopen(path).get("b2") == OTHER


def test_neither_keys_nor_passphrase_stand_in_the_file_or_in_a_repr(path: Path) -> None:
    vault = FileVault.create(path.with_name("other.json"), PASSPHRASE, cost=CHEAP)
    vault.put("a1", KEY)
    text = vault.path.read_text(encoding="utf-8") + repr(vault) + str(vault)
    for secret in (PASSPHRASE, KEY.bytes.hex(), base64.b64encode(KEY.bytes).decode()):
        assert secret not in text


def test_the_default_cost_is_what_owasp_asks_of_scrypt() -> None:
    assert Cost() == Cost(n=2**17, r=8, p=1)


def test_creating_never_overwrites(path: Path) -> None:
    with pytest.raises(InputError, match="already"):
        FileVault.create(path, "another", cost=CHEAP)
    assert reopen(path).get("a1") == KEY


def test_an_empty_passphrase_is_refused(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="empty"):
        FileVault.create(tmp_path / "new.json", "", cost=CHEAP)
    assert not (tmp_path / "new.json").exists()
    with pytest.raises(InputError, match="empty"):
        reopen(path).change_passphrase("")
    assert reopen(path).get("a1") == KEY


def test_the_wrong_passphrase_finds_it_locked(path: Path) -> None:
    before = path.read_bytes()
    vault = reopen(path, "wrong horse")
    for use in (lambda: vault.get("a1"), lambda: vault.put("a1", OTHER), vault.check):
        with pytest.raises(VaultLocked) as caught:
            use()
        assert "horse" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_passphrase_is_its_letters_not_their_encoding(path: Path) -> None:
    composed = unicodedata.normalize("NFC", "château")
    reopen(path).change_passphrase(unicodedata.normalize("NFD", composed))
    assert reopen(path, composed).get("a1") == KEY


def test_a_passphrase_of_undecodable_bytes_works(path: Path) -> None:
    from_environment = b"\xff\xfe".decode("utf-8", "surrogateescape")
    reopen(path).change_passphrase(from_environment)
    assert reopen(path, from_environment).get("a1") == KEY


def test_changing_the_passphrase_keeps_every_key(path: Path) -> None:
    vault = reopen(path)
    salt = json.loads(path.read_text(encoding="utf-8"))["kdf"]["salt"]
    vault.change_passphrase("new horse")
    assert vault.get("a1") == KEY
    assert reopen(path, "new horse").get("b2") == OTHER
    assert json.loads(path.read_text(encoding="utf-8"))["kdf"]["salt"] != salt
    with pytest.raises(VaultLocked):
        reopen(path).get("a1")


def test_a_passphrase_changed_elsewhere_locks_the_open_vault(path: Path) -> None:
    vault = reopen(path)
    vault.check()
    reopen(path).change_passphrase("new horse")
    with pytest.raises(VaultLocked):
        vault.put("a1", OTHER)


def test_a_broken_entry_stops_a_change_of_passphrase(path: Path) -> None:
    change(path, lambda c: c["entries"].update(a1=c["entries"]["b2"]))
    before = path.read_bytes()
    with pytest.raises(SealBroken, match="a1"):
        reopen(path).change_passphrase("new horse")
    assert path.read_bytes() == before


def _flipped(text: str, position: int = -5) -> str:
    sealed = bytearray(base64.b64decode(text))
    sealed[position] ^= 1
    return base64.b64encode(sealed).decode()


@pytest.mark.parametrize("position", [0, 1, 20, 33, -17, -1])
def test_a_changed_entry_is_told_from_a_wrong_passphrase(path: Path, position: int) -> None:
    change(path, lambda c: c["entries"].update(a1=_flipped(c["entries"]["a1"], position)))
    with pytest.raises(SealBroken, match="a1"):
        reopen(path).get("a1")
    assert reopen(path).get("b2") == OTHER


def test_an_entry_moved_to_another_id_does_not_open(path: Path) -> None:
    change(path, lambda c: c["entries"].update(a1=c["entries"]["b2"]))
    with pytest.raises(SealBroken, match="a1"):
        reopen(path).get("a1")


HEADER_CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "salt": lambda c: c["kdf"].update(salt=_flipped(c["kdf"]["salt"])),
    "n": lambda c: c["kdf"]["cost"].update(n=32),
    "r": lambda c: c["kdf"]["cost"].update(r=4),
    "p": lambda c: c["kdf"]["cost"].update(p=2),
    "check": lambda c: c.update(check=_flipped(c["check"])),
    "check of an entry": lambda c: c.update(check=c["entries"]["a1"]),
}


@pytest.mark.parametrize("name", HEADER_CHANGES)
def test_a_changed_header_locks_the_vault(path: Path, name: str) -> None:
    change(path, HEADER_CHANGES[name])
    with pytest.raises(VaultLocked):
        reopen(path).get("a1")


MALFORMED: dict[str, Callable[[dict[str, Any]], None]] = {
    "format": lambda c: c.update(format="something else"),
    "version": lambda c: c.update(version=2),
    "kdf name": lambda c: c["kdf"].update(name="md5"),
    "no kdf": lambda c: c.pop("kdf"),
    "no check": lambda c: c.pop("check"),
    "no entries": lambda c: c.pop("entries"),
    "unknown field": lambda c: c.update(extra=1),
    "n no power of two": lambda c: c["kdf"]["cost"].update(n=17),
    "n beyond r": lambda c: c["kdf"]["cost"].update(n=2**17, r=1),
    "n negative": lambda c: c["kdf"]["cost"].update(n=-16),
    "all the memory": lambda c: c["kdf"]["cost"].update(n=2**30),
    "all the time": lambda c: c["kdf"]["cost"].update(p=10**9),
    "entry no text": lambda c: c["entries"].update(a1=None),
    "entry no base64": lambda c: c["entries"].update(a1="?" * 40),
    "entry of a list": lambda c: c.update(entries=[1]),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused(path: Path, name: str) -> None:
    change(path, MALFORMED[name])
    with pytest.raises(SealBroken, match="damaged, or newer"):
        reopen(path).get("a1")


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b"\xff\xff", b"[" * 100_000])
def test_a_file_of_something_else_is_refused(path: Path, text: bytes) -> None:
    path.write_bytes(text)
    with pytest.raises(SealBroken, match="damaged, or newer"):
        reopen(path).get("a1")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(data=st.data(), byte=st.integers(0, 255))
def test_any_changed_byte_gives_the_key_or_a_plain_error(
    path: Path, data: st.DataObject, byte: int
) -> None:
    whole = path.read_bytes()
    changed = bytearray(whole)
    changed[data.draw(st.integers(0, len(whole) - 1))] = byte
    path.write_bytes(changed)
    try:
        assert reopen(path).get("a1") == KEY
    except SecretsError:
        assert changed != whole
    finally:
        path.write_bytes(whole)


def test_a_missing_file_is_no_vault(tmp_path: Path) -> None:
    vault = reopen(tmp_path / "absent" / "vault.json")
    for use in (lambda: vault.get("a1"), lambda: vault.put("a1", KEY), vault.check):
        with pytest.raises(NoVault, match="vtune vault init --file"):
            use()


def test_a_folder_in_its_place_is_a_plain_error(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="cannot be read"):
        reopen(tmp_path).get("a1")


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = tmp_path / "home" / "vault.json"
        FileVault.create(path, PASSPHRASE, cost=CHEAP).put("a1", KEY)
    finally:
        os.umask(old)
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()} == {0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.json"
    link.symlink_to(path)
    reopen(link).put("c3", KEY)
    assert link.is_symlink()
    assert reopen(path).get("c3") == KEY


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_write_that_fails_leaves_the_old_file(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    before = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(os, step, full)
        with pytest.raises(SecretsError, match="No space left"):
            reopen(path).put("c3", KEY)
        with pytest.raises(SecretsError, match="No space left"):
            reopen(path).check()
    assert path.read_bytes() == before
    assert {file.name for file in path.parent.iterdir()} == {"vault.json", "vault.json.lock"}
    reopen(path).put("c3", KEY)


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_writer_killed_in_the_act_leaves_the_old_file_and_no_lock(path: Path, step: str) -> None:
    before = path.read_bytes()
    run = _python(f"os.{step} = lambda *_: os._exit(9)\nvault.put('c3', RootKey.new())", path)
    assert run.wait() == 9
    assert path.read_bytes() == before
    reopen(path).put("c3", KEY)
    assert reopen(path).get("c3") == KEY


def test_a_writer_that_does_not_let_go_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtune_client.vault.file_vault.LOCK_SECONDS", 0.0)
    vault, waiting = reopen(path), reopen(path)
    with (
        vault._changing(),
        pytest.raises(SecretsError, match="Another process"),
    ):
        waiting.put("c3", KEY)


def test_threads_lose_no_key(path: Path) -> None:
    shared = reopen(path)
    keys = {f"t{i}": RootKey.new() for i in range(24)}

    def put(key_id: str) -> None:
        vault = shared if int(key_id[1:]) % 2 else reopen(path)
        vault.put(key_id, keys[key_id])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(put, keys))
    assert {key_id: reopen(path).get(key_id) for key_id in keys} == keys


def test_processes_lose_no_key(path: Path) -> None:
    code = "for i in range(8): vault.put(f'{os.getpid()}-{i}', RootKey(bytes([i] * 32)))"
    runs = [_python(code, path) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    vault = reopen(path)
    for run in runs:
        for i in range(8):
            assert vault.get(f"{run.pid}-{i}") == RootKey(bytes([i] * 32))
    assert vault.get("a1") == KEY


def _python(code: str, path: Path) -> subprocess.Popen[bytes]:
    """Start a process that runs `code` on the vault at `path`, opened as `vault`."""
    setup = (
        "import os, pathlib, sys\n"
        "from vtune_client.vault import RootKey\n"
        "from vtune_client.vault.file_vault import FileVault\n"
        "vault = FileVault(pathlib.Path(sys.argv[1]), lambda: sys.argv[2])\n"
    )
    return subprocess.Popen([sys.executable, "-c", setup + code, str(path), PASSPHRASE])
