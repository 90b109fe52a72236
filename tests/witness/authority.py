"""A real timestamp authority on this machine: certificates made here, answers made by openssl.

authority = Authority(folder)
with Loopback(authority.respond) as server:
    Timestamp(server.root, roots=[authority.root_pem])
"""

from __future__ import annotations

import secrets
import subprocess
import tempfile
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.loopback import Reply, Request

REPLY = {"content-type": "application/timestamp-reply"}
DAY = timedelta(days=1)
_CONFIG = """
[tsa]
default_tsa = it
[it]
serial = {folder}/serial
crypto_device = builtin
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256, sha3-256
accuracy = secs:1
ess_cert_id_alg = sha256
"""


@dataclass(frozen=True)
class Certificate:
    """What the authority's certificate says; its issuer, serial number and length never change."""

    begins: datetime
    ends: datetime
    usage: ObjectIdentifier = ExtendedKeyUsageOID.TIME_STAMPING


class Authority:
    """Signs timestamps; `certificate` is made anew for every answer from what is set there."""

    def __init__(self, folder: Path, *, name: str = "") -> None:
        self._folder = Path(tempfile.mkdtemp(dir=folder))
        self._root_key = ed25519.Ed25519PrivateKey.generate()  # its signatures have one length
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.name = name or f"A root of the tests, {secrets.token_hex(8)}"
        self._root_name = _name(self.name)
        now = datetime.now(UTC).replace(microsecond=0)
        self.certificate = Certificate(now - DAY, now + DAY)
        self.root_pem = self._root().public_bytes(Encoding.PEM)
        (self._folder / "key.pem").write_bytes(
            self._key.private_bytes(
                Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (self._folder / "tsa.cnf").write_text(_CONFIG.format(folder=self._folder), "utf-8")

    def respond(self, request: Request) -> Reply:
        assert (request.method, request.headers["content-type"]) == (
            "POST",
            "application/timestamp-query",
        )
        return Reply(body=self.answer(request.body), headers=REPLY)

    def answer(self, query: bytes) -> bytes:
        """Return the answer to a request, both in DER.

        openssl signs for no certificate of another usage, so it signs for a fit one with the same
        key and number, in whose place the unfit one is put."""
        fit = replace(self.certificate, usage=ExtendedKeyUsageOID.TIME_STAMPING)
        made, said = self._made(fit), self._made(self.certificate)
        files = {"query.tsq": query, "tsa.pem": made.public_bytes(Encoding.PEM)}
        for name, content in files.items():
            (self._folder / name).write_bytes(content)
        command = ["openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", "query.tsq"]
        command += ["-signer", "tsa.pem", "-inkey", "key.pem", "-out", "answer.tsr"]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True)
        answer = (self._folder / "answer.tsr").read_bytes()
        return answer.replace(made.public_bytes(Encoding.DER), said.public_bytes(Encoding.DER))

    def _root(self) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(self._root_name)
            .issuer_name(self._root_name)
            .public_key(self._root_key.public_key())
            .serial_number(1)
            .not_valid_before(now - 400 * DAY)
            .not_valid_after(now + 400 * DAY)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(self._root_key, None)
        )

    def _made(self, what: Certificate) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(_name("A timestamp authority of the tests"))
            .issuer_name(self._root_name)
            .public_key(self._key.public_key())
            .serial_number(2)
            .not_valid_before(what.begins)
            .not_valid_after(what.ends)
            .add_extension(x509.ExtendedKeyUsage([what.usage]), critical=True)
            .sign(self._root_key, None)
        )


def query(digest: bytes, *options: str, algorithm: str = "sha256") -> bytes:
    """Return openssl's own request for a timestamp of a digest."""
    command = ["openssl", "ts", "-query", "-digest", digest.hex(), f"-{algorithm}", *options]
    return subprocess.run(command, check=True, capture_output=True).stdout


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
