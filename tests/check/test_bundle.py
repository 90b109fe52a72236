"""`vtune check --bundle`: the same statement, signed by an identity, checked without a network."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sigstore")

from tests.check.evidence import Evidence
from tests.cli.conftest import Cli, Ran
from tests.signing.instance import ISSUER, WHO, Instance, token
from vtune_client.signing import IN_TOTO
from vtune_client.signing.sigstore import SigstoreSigner


@dataclass(frozen=True)
class Signed:
    """Files: the envelope by the auditor's key, a bundle, and the instance's trusted root."""

    cli: Cli
    statement: Path
    bundle: Path
    root: Path

    def check(self, *more: object, **other: object) -> Ran:
        given = {"bundle": self.bundle, "identity": WHO, "issuer": ISSUER}
        given |= {"trusted-root": self.root, **other}
        named = [each for name, value in given.items() if value for each in (f"--{name}", value)]
        return self.cli("check", self.statement, *named, *more, "--format", "json")


@pytest.fixture
def signed(cli: Cli, honest: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signed:
    """The instance is gone when this is checked."""
    monkeypatch.setenv("MY_TOKEN", token())
    for name in ("XDG_DATA_HOME", "XDG_CACHE_HOME"):  # nothing of Sigstore was ever fetched
        monkeypatch.setenv(name, str(tmp_path / "xdg"))
    statement, bundle = tmp_path / "statement.json", tmp_path / "bundle.json"
    statement.write_text(json.dumps(honest.signed()), "utf-8")
    with Instance(tmp_path) as instance:
        bundle.write_bytes(_signed(instance, json.dumps(honest.statement).encode()))
    return Signed(cli, statement, bundle, instance.root_file)


def _signed(instance: Instance, payload: bytes) -> bytes:
    return SigstoreSigner("MY_TOKEN", instance.trust).sign(payload, IN_TOTO)


def _found(ran: Ran) -> dict[str, tuple[str, str]]:
    named = [each for each in ran.json["findings"] if "bundle" in each["what"]]
    return {each["what"]: (each["standing"], each["why"]) for each in named}


def test_the_same_statement_by_the_identity_that_was_named(signed: Signed) -> None:
    ran = signed.check()
    assert (ran.code, ran.err) == (0, "")
    said = f"{WHO} signed it: {ISSUER} vouched for that, and Sigstore's log has it."
    same = "It is this statement, byte for byte."
    assert _found(ran) == {
        "the bundle": ("confirmed", said),
        "the bundle's statement": ("confirmed", same),
    }


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"identity": "vendor@example.org"}, "SANs do not match"),
        ({"issuer": "https://other.example"}, "OIDCIssuer does not match"),
        ({"trusted-root": None}, "this machine has (`--trusted-root` names another)"),
    ],
)
def test_another_signer_or_root_is_refuted(
    signed: Signed, other: dict[str, object], reason: str
) -> None:
    ran = signed.check(**other)
    [(what, (standing, why))] = _found(ran).items()
    assert (ran.code, what, standing) == (1, "the bundle", "refuted")
    assert reason in why


def test_the_root_of_another_instance_is_refuted(signed: Signed, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with Instance(tmp_path / "other") as other:
        ran = signed.check(**{"trusted-root": other.root_file})
    assert ran.code == 1
    assert "trusted root that you gave" in _found(ran)["the bundle"][1]


@pytest.mark.parametrize("change", ["another verdict", "other bytes"])
def test_another_statement_is_refuted(
    signed: Signed, honest: Evidence, tmp_path: Path, change: str
) -> None:
    statement: Any = json.loads(json.dumps(honest.statement))
    if change == "another verdict":
        statement["predicate"]["verdict"]["verdict"] = "partial"
    content = json.dumps(statement, indent=1 if change == "other bytes" else None).encode()
    with Instance(tmp_path) as instance:
        signed.bundle.write_bytes(_signed(instance, content))
    ran = signed.check()
    assert ran.code == 1
    assert _found(ran)["the bundle"][0] == "confirmed"
    standing, why = _found(ran)["the bundle's statement"]
    assert (standing, "other bytes were signed" in why) == ("refuted", True)


def test_a_statement_slipped_into_a_bundle_is_refuted(
    signed: Signed, honest: Evidence, tmp_path: Path
) -> None:
    with Instance(tmp_path) as instance:
        made = json.loads(_signed(instance, json.dumps(honest.statement, indent=1).encode()))
    made["dsseEnvelope"]["payload"] = honest.signed()["payload"]
    signed.bundle.write_text(json.dumps(made), "utf-8")
    ran = signed.check()
    assert ran.code == 1
    assert _found(ran)["the bundle"][0] == "refuted"
    assert "the bundle's statement" not in _found(ran)


@pytest.mark.parametrize(
    ("name", "said"), [("bundle", "no Sigstore bundle"), ("trusted-root", "no trusted root")]
)
def test_what_cannot_be_read_is_said(signed: Signed, tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "other").write_text("{}", "utf-8")
    ran = signed.check(**{name: tmp_path / "other"})
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err


@pytest.mark.parametrize("missing", ["bundle", "identity", "issuer"])
def test_a_bundle_is_checked_against_somebody(signed: Signed, missing: str) -> None:
    ran = signed.check(**{missing: None})
    assert (ran.code, ran.out) == (2, "")
    assert "--bundle goes with --identity and --issuer" in ran.err


def test_without_the_extra_it_says_what_to_install(
    signed: Signed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sigstore", None)
    ran = signed.check()
    assert (ran.code, ran.out) == (2, "")
    assert "vtune-client[sigstore]" in ran.err
