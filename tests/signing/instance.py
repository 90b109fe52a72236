"""A Sigstore of our own on 127.0.0.1: its authority, and its logs of certificates and signatures.

It does what the public one does, as far as a client can tell: it certifies the subject of a token
(github.com/sigstore/fulcio, docs/certificate-specification.md), has the certificate in a log
(RFC 6962), and keeps signatures in a log whose proofs it signs (github.com/sigstore/rekor, v1). It
believes every token.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.loopback import Loopback, Reply, Request

WHO, ISSUER = "auditor@example.org", "https://issuer.example"
SCT_LIST = ObjectIdentifier("1.3.6.1.4.1.11129.2.4.2")
ISSUER_V1 = ObjectIdentifier("1.3.6.1.4.1.57264.1.1")  # fulcio, docs/oid-info.md
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "an authority of our own")])
SINCE = "2021-01-01T00:00:00Z"


def token(**claims: Any) -> str:
    """Return an identity token for ten minutes, by an issuer that nobody asks."""
    now = int(time.time())
    said = {"iss": ISSUER, "sub": WHO, "aud": "sigstore", "iat": now, "exp": now + 600}
    return jwt.encode({**said, **claims}, "a key that nobody looks at " * 2, "HS256")


class Instance(Loopback):
    """Serves from `with` to its end; `trust` is for who signs, `root` for who checks."""

    def __init__(self, folder: Path) -> None:
        super().__init__(self.respond)
        self._authority, self._certificates, self._signatures = (
            ec.generate_private_key(ec.SECP256R1()) for _ in range(3)
        )
        self._certificate = self._own_certificate()
        self.trust, self.root_file = folder / "trust.json", folder / "trusted_root.json"
        self.root_file.write_text(json.dumps(self._trusted_root()), "utf-8")
        config = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": self._trusted_root(),
            "signingConfig": self._signing_config(),
        }
        self.trust.write_text(json.dumps(config), "utf-8")

    def respond(self, request: Request) -> Reply:
        if request.path == "/api/v2/signingCert":
            return Reply(body=self._certified(request))
        if request.path == "/api/v1/log/entries":
            return Reply(201, self._logged(request.body["spec"]["proposedContent"]))
        return Reply(404, {"message": "There is nothing here."})

    def _own_certificate(self) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(NAME)
            .issuer_name(NAME)
            .public_key(self._authority.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(key_cert_sign=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._authority.public_key()),
                critical=False,
            )
            .sign(self._authority, hashes.SHA256())
        )

    def _certified(self, request: Request) -> dict[str, Any]:
        """Certify the key of a request for the subject of its token, for ten minutes."""
        said = jwt.decode(
            request.headers["authorization"].removeprefix("Bearer "),
            options={"verify_signature": False},
        )
        asked = x509.load_pem_x509_csr(base64.b64decode(request.body["certificateSigningRequest"]))
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(NAME)
            .public_key(asked.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(seconds=2))
            .not_valid_after(now + timedelta(minutes=10))
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._authority.public_key()),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName([_named(said)]), critical=True)
            .add_extension(
                x509.UnrecognizedExtension(ISSUER_V1, said["iss"].encode()), critical=False
            )
        )
        before = builder.sign(self._authority, hashes.SHA256()).tbs_certificate_bytes
        listed = x509.UnrecognizedExtension(SCT_LIST, self._timestamps(before, now))
        made = builder.add_extension(listed, critical=False).sign(self._authority, hashes.SHA256())
        chain = [each.public_bytes(Encoding.PEM).decode() for each in (made, self._certificate)]
        return {"signedCertificateEmbeddedSct": {"chain": {"certificates": chain}}}

    def _timestamps(self, certificate: bytes, at: datetime) -> bytes:
        """Return the list of one timestamp by the log of certificates (RFC 6962, section 3.2)."""
        when = int(at.timestamp() * 1000).to_bytes(8)
        issuer = _key_id(self._authority)
        signed = b"\0\0" + when + b"\0\1" + issuer + len(certificate).to_bytes(3) + certificate
        signature = self._certificates.sign(signed + b"\0\0", ec.ECDSA(hashes.SHA256()))
        one = b"\0" + _key_id(self._certificates) + when + b"\0\0" + b"\4\3" + _vector(signature)
        content = _vector(_vector(one))
        return b"\4" + _der_length(len(content)) + content

    def _logged(self, proposed: dict[str, Any]) -> dict[str, Any]:
        """Keep a signature in the log, after an entry that was there before."""
        envelope = json.loads(proposed["envelope"])
        [verifier], [signature] = proposed["verifiers"], envelope["signatures"]
        body = rfc8785.dumps(
            {
                "apiVersion": "0.0.1",
                "kind": "dsse",
                "spec": {
                    "envelopeHash": _sha256(proposed["envelope"].encode()),
                    "payloadHash": _sha256(base64.b64decode(envelope["payload"])),
                    "signatures": [{"signature": signature["sig"], "verifier": verifier}],
                },
            }
        )
        earlier = hashlib.sha256(b"\0an earlier entry").digest()
        root = hashlib.sha256(b"\1" + earlier + hashlib.sha256(b"\0" + body).digest()).digest()
        entry: dict[str, int | str] = {
            "body": _base64(body),
            "integratedTime": int(time.time()),
            "logID": _key_id(self._signatures).hex(),
            "logIndex": 1,
        }
        promise = self._signatures.sign(rfc8785.dumps(entry), ec.ECDSA(hashes.SHA256()))
        proof = {
            "logIndex": 1,
            "rootHash": root.hex(),
            "treeSize": 2,
            "hashes": [earlier.hex()],
            "checkpoint": self._checkpoint(root),
        }
        verification = {"signedEntryTimestamp": _base64(promise), "inclusionProof": proof}
        return {"entry": {**entry, "verification": verification}}

    def _checkpoint(self, root: bytes) -> str:
        """Return the log's head, signed (c2sp.org/tlog-checkpoint)."""
        note = f"our-log\n2\n{_base64(root)}\n"
        signature = self._signatures.sign(note.encode(), ec.ECDSA(hashes.SHA256()))
        return f"{note}\n\u2014 our-log {_base64(_key_id(self._signatures)[:4] + signature)}\n"

    def _trusted_root(self) -> dict[str, Any]:
        chain = {
            "certificates": [{"rawBytes": _base64(self._certificate.public_bytes(Encoding.DER))}]
        }
        authority = {
            "subject": {"organization": "ours", "commonName": "ours"},
            "uri": self.root,
            "certChain": chain,
            "validFor": {"start": SINCE},
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "tlogs": [self._log(self._signatures)],
            "certificateAuthorities": [authority],
            "ctlogs": [self._log(self._certificates)],
            "timestampAuthorities": [],
        }

    def _log(self, key: ec.EllipticCurvePrivateKey) -> dict[str, Any]:
        return {
            "baseUrl": self.root,
            "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": _base64(_der(key)),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "validFor": {"start": SINCE},
            },
            "logId": {"keyId": _base64(_key_id(key))},
        }

    def _signing_config(self) -> dict[str, Any]:
        service = {
            "url": self.root,
            "majorApiVersion": 1,
            "validFor": {"start": SINCE},
            "operator": "ours",
        }
        return {
            "mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json",
            "caUrls": [service],
            "oidcUrls": [service],
            "rekorTlogUrls": [service],
            "tsaUrls": [],
            "rekorTlogConfig": {"selector": "ANY"},
            "tsaConfig": {"selector": "ANY"},
        }


def _named(said: dict[str, Any]) -> x509.GeneralName:
    """Return a GitHub job by its workflow, anybody else by the subject, an e-mail address."""
    if workflow := said.get("job_workflow_ref"):
        return x509.UniformResourceIdentifier(f"https://github.com/{workflow}")
    return x509.RFC822Name(said["sub"])


def _usage(**used: bool) -> x509.KeyUsage:
    names = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{**dict.fromkeys(names, False), **used})


def _der(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _key_id(key: ec.EllipticCurvePrivateKey) -> bytes:
    return hashlib.sha256(_der(key)).digest()


def _vector(content: bytes) -> bytes:
    """Return an opaque<0..2^16-1> of TLS."""
    return len(content).to_bytes(2) + content


def _der_length(length: int) -> bytes:
    return bytes([length]) if length < 128 else bytes([0x81, length])


def _sha256(content: bytes) -> dict[str, str]:
    return {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
