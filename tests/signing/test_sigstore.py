"""Keyless signatures, by an instance of Sigstore of our own: made, checked, and refused."""

from __future__ import annotations

import base64
import copy
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sigstore")

import sigstore
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.loopback import Loopback, Reply, Request
from tests.signing.instance import ISSUER, WHO, Instance, token
from vtune_client.errors import InputError, MissingExtra, NetworkError, ProviderError
from vtune_client.signing import IN_TOTO, Signer
from vtune_client.signing.sigstore import SigstoreSigner, certified, open_bundle

STATEMENT = json.dumps(
    {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "rows.jsonl", "digest": {"sha256": "0" * 64}}],
        "predicateType": "https://example.org/x",
        "predicate": {},
    }
).encode()


@pytest.fixture(autouse=True)
def _of_no_service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No CI service offers an identity, and nothing of Sigstore was ever fetched."""
    for name in ("GITHUB_ACTIONS", "BUILDKITE", "GITLAB_CI", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "xdg"))


@pytest.fixture
def trust(tmp_path: Path) -> Callable[[str], Path]:
    """Write the config of an instance whose services are all at one address."""
    store = next(Path(sigstore.__file__).parent.glob("_store/*sigstore.dev"))

    def write(url: str) -> Path:
        services = json.loads((store / "signing_config.v0.2.json").read_bytes())
        for kind in ("caUrls", "rekorTlogUrls"):
            services[kind][0]["url"] = url
        services["tsaUrls"] = []
        config = {
            "mediaType": "application/vnd.dev.sigstore.clienttrustconfig.v0.1+json",
            "trustedRoot": json.loads((store / "trusted_root.json").read_bytes()),
            "signingConfig": services,
        }
        file = tmp_path / "trust.json"
        file.write_text(json.dumps(config), "utf-8")
        return file

    return write


def test_the_identity_is_that_of_a_token_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = token()
    monkeypatch.setenv("MY_TOKEN", raw)
    signer: Signer = SigstoreSigner("MY_TOKEN")
    assert signer.fingerprint == f"sigstore:{WHO} ({ISSUER})"
    assert raw not in repr(signer)


def test_the_identity_is_that_of_the_ci_job(monkeypatch: pytest.MonkeyPatch) -> None:
    """As GitHub gives it: docs.github.com, "OpenID Connect reference", requesting the JWT."""

    def respond(request: Request) -> Reply:
        assert request.headers["authorization"] == "bearer word"
        return Reply(body={"value": token(sub="repo:us/audits")})

    with Loopback(respond) as server:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "word")
        monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{server.root}/token?v=1")
        assert SigstoreSigner().fingerprint == f"sigstore:repo:us/audits ({ISSUER})"


def test_without_an_identity_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="This machine offers no identity token") as refused:
        SigstoreSigner()
    assert "id-token: write" in refused.value.advice
    with pytest.raises(InputError, match="The variable MY_TOKEN holds no identity token"):
        SigstoreSigner("MY_TOKEN")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")  # and no permission to ask
    with pytest.raises(InputError, match="damaged, expired or refused"):
        SigstoreSigner()


def test_a_ci_service_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with Loopback(lambda request: Reply()) as server:
        gone = server.root
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "word")
    monkeypatch.setenv("ACTIONS_ID_TOKEN_REQUEST_URL", f"{gone}/token?v=1")
    with pytest.raises(NetworkError, match="CI service did not answer") as raised:
        SigstoreSigner()
    assert "word" not in str(raised.value)


@pytest.mark.parametrize("raw", ["no token", token(exp=1), token(aud="other"), token(iat="x")])
def test_a_token_that_is_none_does_not_show(raw: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", raw)
    with pytest.raises(InputError, match="damaged, expired or refused") as refused:
        SigstoreSigner("MY_TOKEN")
    assert raw not in refused.value.message


def test_only_statements_are_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", token())
    signer = SigstoreSigner("MY_TOKEN")
    with pytest.raises(InputError, match="in-toto statements alone"):
        signer.sign(STATEMENT, "text/plain")
    with pytest.raises(InputError, match="does not take this for an in-toto statement"):
        signer.sign(b"{}", IN_TOTO)


def test_services_that_do_not_answer(
    trust: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_TOKEN", token())
    with Loopback(lambda request: Reply()) as server:
        gone = server.root
    with pytest.raises(NetworkError, match="not reached") as raised:
        SigstoreSigner("MY_TOKEN", trust(gone)).sign(STATEMENT, IN_TOTO)
    assert "key of your own" in raised.value.advice


def test_services_that_refuse(
    trust: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = token()
    monkeypatch.setenv("MY_TOKEN", raw)
    refusal = Reply(400, {"message": f"no certificate for {raw}"})
    with Loopback(lambda request: refusal) as server:
        signer = SigstoreSigner("MY_TOKEN", trust(server.root))
        with pytest.raises(ProviderError, match="did not sign") as refused:
            signer.sign(STATEMENT, IN_TOTO)
        assert server.seen[0].path == "/api/v2/signingCert"
    assert raw not in str(refused.value)


def test_a_trust_config_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", token())
    file = tmp_path / "trust.json"
    for content in (None, "{}", "x"):
        if content:
            file.write_text(content, "utf-8")
        with pytest.raises(InputError, match="holds no trusted root"):
            SigstoreSigner("MY_TOKEN", file).sign(STATEMENT, IN_TOTO)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def bundle(**changes: Any) -> bytes:
    """Return a bundle that reads well, by somebody who certified themselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    now, name = datetime.now(UTC), x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(minutes=9))
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(WHO)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    proof = {
        "logIndex": "0",
        "rootHash": _base64(bytes(32)),
        "treeSize": "1",
        "hashes": [],
        "checkpoint": {"envelope": "log\n1\nAAAA\n\n"},
    }
    entry: Mapping[str, Any] = {
        "logIndex": "0",
        "logId": {"keyId": _base64(bytes(32))},
        "kindVersion": {"kind": "dsse", "version": "0.0.1"},
        "integratedTime": str(int(time.time())),
        "inclusionPromise": {"signedEntryTimestamp": _base64(b"x")},
        "inclusionProof": proof,
        "canonicalizedBody": _base64(b"{}"),
    }
    made = {
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": {
            "certificate": {"rawBytes": _base64(certificate.public_bytes(Encoding.DER))},
            "tlogEntries": [entry],
        },
        "dsseEnvelope": {
            "payload": _base64(STATEMENT),
            "payloadType": IN_TOTO,
            "signatures": [{"sig": _base64(b"x")}],
        },
    }
    return json.dumps({**made, **changes}).encode()


@pytest.mark.parametrize(
    "changes",
    [{}, {"dsseEnvelope": {"payload": "!", "payloadType": "x", "signatures": []}}],
    ids=range(2),
)
def test_a_bundle_of_ones_own_making_is_reported(changes: Mapping[str, Any]) -> None:
    opened = open_bundle(bundle(**changes), identity=WHO, issuer=ISSUER)
    assert (opened.payload, opened.payload_type) == (b"", "")  # nothing to be taken for signed
    (signature,) = opened.signatures
    assert (signature.keyid, signature.valid, signature.fingerprint) == (WHO, False, "")
    assert signature.reason
    assert not opened.signed_by("")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        bundle(mediaType="application/json"),
        bundle(verificationMaterial={}),
        bundle(verificationMaterial={"certificate": {"rawBytes": "AAAA"}, "tlogEntries": []}),
        bundle(note=""),
        bundle() + b"{}",
    ],
    ids=range(10),
)
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="This is no Sigstore bundle"):
        open_bundle(data, identity=WHO, issuer=ISSUER)


def test_a_huge_file_is_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vtune_client.signing.sigstore.MOST_BYTES", 10)
    with pytest.raises(InputError, match="too large"):
        open_bundle(b" " * 11, identity=WHO, issuer=ISSUER)


def test_a_trusted_root_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "root.json"
    for content in (None, "{}", "x"):
        if content:
            file.write_text(content, "utf-8")
        with pytest.raises(InputError, match="holds no trusted root"):
            open_bundle(bundle(), identity=WHO, issuer=ISSUER, trusted_root=file)


@pytest.fixture
def signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[bytes, Path]:
    """Return a bundle over STATEMENT and the trusted root of the instance, which is gone."""
    monkeypatch.setenv("MY_TOKEN", token())
    with Instance(tmp_path) as instance:
        made = SigstoreSigner("MY_TOKEN", instance.trust).sign(STATEMENT, IN_TOTO)
    return made, instance.root_file


def test_what_is_signed_is_checked_without_a_network(signed: tuple[bytes, Path]) -> None:
    made, root = signed
    opened = open_bundle(made, identity=WHO, issuer=ISSUER, trusted_root=root)
    assert (opened.payload, opened.payload_type) == (STATEMENT, IN_TOTO)
    assert opened.signed_by(f"sigstore:{WHO} ({ISSUER})")


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"identity": "vendor@example.org"}, "SANs do not match vendor@example.org"),
        ({"issuer": "https://other.example"}, "OIDCIssuer does not match"),
        ({"trusted_root": None}, "certificate chain"),
    ],
)
def test_another_signer_or_root_is_told(
    signed: tuple[bytes, Path], other: dict[str, Any], reason: str
) -> None:
    made, root = signed
    wanted = {"identity": WHO, "issuer": ISSUER, "trusted_root": root, **other}
    opened = open_bundle(made, **wanted)
    (signature,) = opened.signatures
    assert (opened.payload, signature.valid) == (b"", False)
    assert reason in signature.reason


def test_a_ci_job_is_known_as_its_certificate_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workflow = "us/audits/.github/workflows/audit.yml@refs/heads/main"
    monkeypatch.setenv("MY_TOKEN", token(sub="repo:us/audits", job_workflow_ref=workflow))
    with Instance(tmp_path) as instance:
        signer = SigstoreSigner("MY_TOKEN", instance.trust)
        made = signer.sign(STATEMENT, IN_TOTO)
    identity, issuer = certified(made)
    assert (identity, issuer) == (f"https://github.com/{workflow}", ISSUER)
    root = instance.root_file
    opened = open_bundle(made, identity=identity, issuer=issuer, trusted_root=root)
    assert opened.payload == STATEMENT
    opened = open_bundle(made, identity="repo:us/audits", issuer=issuer, trusted_root=root)
    assert not opened.signatures[0].valid


def test_a_bundle_that_names_nobody() -> None:
    with pytest.raises(InputError, match="names nobody"):
        certified(bundle())  # it has no issuer
    with pytest.raises(InputError, match="no Sigstore bundle"):
        certified(b"{}")


@pytest.mark.parametrize("other", [{"identity": ""}, {"issuer": ""}])
def test_nobody_is_no_signer(signed: tuple[bytes, Path], other: dict[str, str]) -> None:
    """The package takes an empty issuer for any."""
    made, root = signed
    with pytest.raises(InputError, match="an identity and its issuer"):
        open_bundle(made, **{"identity": WHO, "issuer": ISSUER, **other}, trusted_root=root)


HOSTILE: tuple[Any, ...] = (
    "",
    "x",
    "AAAA",
    "0",
    "-1",
    str(2**63 - 1),
    "9" * 5000,
    None,
    [],
    {},
    [None],
    2**64,
    1.5,
)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield (*path, key)
            yield from _leaves(value[key], (*path, key))


def _with(value: Any, path: tuple[Any, ...], leaf: Any) -> bytes:
    changed = inner = copy.deepcopy(value)
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = leaf
    return json.dumps(changed).encode()


def test_no_value_in_a_bundle_can_be_changed(signed: tuple[bytes, Path]) -> None:
    """Nor does one end in another error than ours; empty timestamps are as good as none."""
    made, root = signed
    whole, tried = json.loads(made), 0
    for path in _leaves(whole):
        for value in () if "timestampVerificationData" in path else HOSTILE:
            try:
                opened = open_bundle(
                    _with(whole, path, value), identity=WHO, issuer=ISSUER, trusted_root=root
                )
            except InputError:
                continue
            assert not opened.signatures[0].valid, (path, value)
            tried += 1
    assert tried > 20


def test_a_certificate_of_no_known_version_is_refused(signed: tuple[bytes, Path]) -> None:
    made, root = signed
    whole = json.loads(made)
    certificate = whole["verificationMaterial"]["certificate"]
    raw = base64.b64decode(certificate["rawBytes"])
    assert raw.count(b"\xa0\3\2\1\2") == 1  # [0] INTEGER 2: version 3 (RFC 5280, section 4.1)
    raw = raw.replace(b"\xa0\3\2\1\2", b"\xa0\3\2\1\3")
    certificate["rawBytes"] = _base64(raw)
    with pytest.raises(InputError, match="This is no Sigstore bundle"):
        open_bundle(json.dumps(whole).encode(), identity=WHO, issuer=ISSUER, trusted_root=root)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sigstore", None)
    with pytest.raises(MissingExtra, match=r"vtune-client\[sigstore\]"):
        SigstoreSigner()
    with pytest.raises(MissingExtra, match=r"vtune-client\[sigstore\]"):
        open_bundle(bundle(), identity=WHO, issuer=ISSUER)
