"""A statement is checked on somebody else's machine: no home, no ledger, no vault, no network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.check.evidence import Evidence

COMMAND = [sys.executable, "-c", "from vtune_client.cli import main; main()", "check"]
NOBODY = "65534"
# What a stranger may read lies elsewhere in this view of the disk: where a folder above the
# interpreter is closed to him, an empty one stands in its place, with the interpreter in it.
ALONE = """
set -e
if [ -n "$CLOSED" ]; then
    mount --bind "$PYTHON" "$SPARE"
    mount -t tmpfs -o mode=755 tmpfs "$CLOSED"
    mkdir -p "$PYTHON"
    mount --bind "$SPARE" "$PYTHON"
fi
exec setpriv --reuid "$NOBODY" --regid "$NOBODY" --clear-groups env -i HOME="$HOME" "$@"
"""


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may read."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def test_an_empty_home_and_environment_are_enough(honest: Evidence, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (tmp_path / "given").mkdir()
    command = [*COMMAND, *map(str, honest.write(tmp_path / "given"))]
    ran = subprocess.run(
        command, env={"HOME": str(home)}, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Nothing is refuted." in ran.stdout
    assert list(home.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="needs root on Linux")
def test_another_user_without_a_network_finds_the_same(honest: Evidence, public: Path) -> None:
    home, spare, given = (public / name for name in ("home", "spare", "given"))
    for folder in (home, spare, given):
        folder.mkdir()
    home.chmod(0o777)
    arguments = [*map(str, honest.write(given))]
    alone = ["unshare", "--net", "--mount", "sh", "-c", ALONE, "sh"]
    view = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "NOBODY": NOBODY,
        "PYTHON": sys.base_prefix,
        "SPARE": str(spare),
        "CLOSED": _closed(Path(sys.base_prefix)),
    }
    if not all(map(shutil.which, ("unshare", "setpriv"))) or not _reaches(alone, view):
        pytest.skip("another user cannot be made to see this interpreter and these packages")
    ran = subprocess.run(
        [*alone, *COMMAND, *arguments], env=view, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert "Nothing is refuted." in ran.stdout
    assert list(home.iterdir()) == []
    probe = "import os, socket; print(os.getuid(), len(socket.if_nameindex()))"
    who = subprocess.run(
        [*alone, sys.executable, "-c", probe], env=view, capture_output=True, text=True, check=True
    )
    assert who.stdout.split() == [NOBODY, "1"]  # the loopback interface alone, and that is down


def _closed(path: Path) -> str:
    """Return the folder at or above `path` that others may not enter, if any."""
    shut = [each for each in (path, *path.parents) if not each.stat().st_mode & 0o001]
    return str(shut[-1]) if shut else ""


def _reaches(alone: list[str], view: dict[str, str]) -> bool:
    command = [*alone, sys.executable, "-c", "import vtune_client.cli, pydantic, cryptography"]
    return subprocess.run(command, env=view, capture_output=True, check=False).returncode == 0
