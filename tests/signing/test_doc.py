"""The commands that docs/signing.md shows do what it says."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.loopback import Loopback
from tests.witness.authority import Authority
from vtune_client.signing import IN_TOTO, Ed25519Signer
from vtune_client.signing.keys import to_pem
from vtune_client.vault import RootKey
from vtune_client.witness.log_file import LogFile
from vtune_client.witness.rfc3161 import Timestamp

PAGE = (Path(__file__).parents[2] / "docs" / "signing.md").read_text("utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, ("sh", "jq", "openssl"))), reason="needs sh, jq and openssl"
)


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the one block that holds this command, as it stands on the page."""
    (block,) = [block for block in BLOCKS if command in block]
    return subprocess.run(
        ["sh", "-ec", block], cwd=folder, capture_output=True, text=True, check=False
    )


def test_a_signature_is_checked_by_hand(tmp_path: Path) -> None:
    signer, other = Ed25519Signer(RootKey.new()), Ed25519Signer(RootKey.new())
    (tmp_path / "statement.json").write_bytes(signer.sign('{"a": "é"}\n'.encode(), IN_TOTO))
    (tmp_path / "auditor.pem").write_bytes(to_pem(signer.public_key))
    assert run("pkeyutl", tmp_path).returncode == 0
    (tmp_path / "auditor.pem").write_bytes(to_pem(other.public_key))
    assert run("pkeyutl", tmp_path).returncode == 1


async def test_a_timestamp_is_checked_by_hand(tmp_path: Path) -> None:
    pytest.importorskip("rfc3161_client")
    document, authority = b'{"schema":"vtune.commitment/1"}', Authority(tmp_path)
    with Loopback(authority.respond) as server:
        receipt = await Timestamp(server.root).witness(hashlib.sha256(document).digest())
    (tmp_path / "answer.tsr").write_bytes(base64.b64decode(receipt.data))
    (tmp_path / "roots.pem").write_bytes(authority.root_pem)
    (tmp_path / "commitment.json").write_bytes(document)
    assert run("openssl ts", tmp_path).returncode == 0
    (tmp_path / "commitment.json").write_bytes(document + b"\n")
    assert run("openssl ts", tmp_path).returncode == 1


async def test_a_head_is_had_by_hand(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "witness.log")
    for number in range(3):
        await log.witness(bytes([number]) * 32)
    assert run("sha256sum", tmp_path).stdout.split()[0] == log.head().sha256
