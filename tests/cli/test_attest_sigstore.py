"""`vtune attest --sigstore`, with an instance of Sigstore of our own."""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("sigstore")

from tests.cli.conftest import Cli
from tests.cli.test_attest import verified as verified
from tests.loopback import Loopback, Reply
from tests.signing.instance import ISSUER, WHO, Instance, token
from vtune_client import VTune

BY = ("--identity", WHO, "--issuer", ISSUER)


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Instance]:
    for name in ("GITHUB_ACTIONS", "BUILDKITE", "GITLAB_CI", "CIRCLECI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MY_TOKEN", token())
    with Instance(tmp_path) as serving:
        yield serving


def _nothing_happened(verified: str, folder: Path) -> None:
    """No file was written, no backdoor burned, nothing attested."""
    assert not [*folder.glob("s.json*"), *folder.glob("r.json")]
    with VTune() as vtune:
        assert not vtune.ledger.opened(vtune.ledger.verification(verified).plan_id)
        assert "attested" not in {entry.action for entry in vtune.ledger.log()}


def test_two_signatures_are_over_the_same_bytes(
    cli: Cli, verified: str, tmp_path: Path, instance: Instance
) -> None:
    out, bundle, key = (tmp_path / name for name in ("s.json", "s.json.sigstore.json", "key.pem"))
    signing = ("--sigstore", "--identity-token-env", "MY_TOKEN", "--trust-config", instance.trust)
    made = cli("attest", verified, "-o", out, *signing, "--format", "json").json
    assert made["bundle"] == str(bundle)
    assert (made["identity"], made["issuer"]) == (WHO, ISSUER)
    assert made["signer"].startswith("SHA256:")
    payload = json.loads(out.read_bytes())["payload"]
    signed = json.loads(bundle.read_bytes())["dsseEnvelope"]["payload"]
    assert base64.b64decode(signed) == base64.b64decode(payload)
    with VTune() as vtune:
        [told] = [entry.data for entry in vtune.ledger.log() if entry.action == "attested"]
    digest = hashlib.sha256(bundle.read_bytes()).hexdigest()
    assert told == {"signer": made["signer"], "bundle_sha256": digest}
    assert cli("signer", "export", key).code == 0
    named = ("--key", key, "--bundle", bundle, *BY, "--trusted-root", instance.root_file)
    checked = cli("check", out, *named, "--format", "json")
    assert checked.code == 0
    standing = {each["what"]: each["standing"] for each in checked.json["findings"]}
    for what in ("the signer named before the job", "the bundle", "the bundle's statement"):
        assert standing[what] == "confirmed"
    again = cli("attest", verified, "-o", tmp_path / "s.json", *signing)
    assert (again.code, "exists already" in again.err) == (2, True)
    out.unlink()
    again = cli("attest", verified, "-o", tmp_path / "s.json", *signing)
    assert (again.code, f"{bundle} exists already" in again.err, out.exists()) == (2, True, False)
    shown = cli("attest", verified, "-o", out, *signing, "--force")
    assert f"Sigstore bundle: {bundle}, signed by {WHO} ({ISSUER})" in shown.out


def test_where_sigstore_does_not_sign_nothing_is_signed_or_burned(
    cli: Cli, verified: str, tmp_path: Path, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ("-o", tmp_path / "s.json", "--reveal", tmp_path / "r.json")
    wanted = ("attest", verified, *files, "--sigstore")
    ran = cli(*wanted)
    assert (ran.code, "This machine offers no identity token" in ran.err) == (2, True)
    ran = cli(*wanted, "--identity-token-env", "NO_TOKEN")
    assert (ran.code, "The variable NO_TOKEN holds no identity token" in ran.err) == (2, True)
    refusing = tmp_path / "refusing.json"
    with Loopback(lambda request: Reply(400, {"message": "no"})) as other:
        config = instance.trust.read_text("utf-8").replace(instance.root, other.root)
        refusing.write_text(config, "utf-8")
        signing = ("--trust-config", refusing, "--identity-token-env", "MY_TOKEN")
        ran = cli(*wanted, *signing)
        assert (ran.code, "Sigstore did not sign" in ran.err) == (4, True)
    ran = cli(*wanted, *signing)
    assert (ran.code, "Sigstore was not reached" in ran.err) == (4, True)
    monkeypatch.setitem(sys.modules, "sigstore", None)
    ran = cli(*wanted)
    assert (ran.code, "vtune-client[sigstore]" in ran.err) == (2, True)
    _nothing_happened(verified, tmp_path)


@pytest.mark.parametrize("alone", ["--identity-token-env", "--trust-config"])
def test_options_of_sigstore_go_with_it(
    cli: Cli, verified: str, tmp_path: Path, instance: Instance, alone: str
) -> None:
    ran = cli("attest", verified, "-o", tmp_path / "s.json", alone, instance.trust)
    assert (ran.code, "go with --sigstore" in ran.err) == (2, True)
    _nothing_happened(verified, tmp_path)
