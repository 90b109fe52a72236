"""Every example is run as it stands, on a real (tiny) model."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from examples import async_audit, fine_tune_and_verify, verify_endpoint
from tests import conftest, tiny
from tests.loopback import Loopback, local_answers, service
from vtune_client import VTune
from vtune_client.errors import ProviderError
from vtune_client.vault.file_vault import Cost, FileVault

pytestmark = pytest.mark.torch
KEY = "sk-0123456789abcdef"


@dataclass(frozen=True)
class Delivered:
    """What the first example left behind: the plan and the tuned model, and what it said."""

    code: int
    plan: str
    model: Path
    base: Path


@pytest.fixture(scope="module")
def delivered(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Delivered]:
    """Run the first example in a home of its own, in which the others find its plan."""
    folder = tmp_path_factory.mktemp("examples")
    FileVault.create(folder / "vault.json", conftest.PASSPHRASE, cost=Cost(n=16, r=8, p=1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VTUNE_HOME", str(folder))
        patch.setenv("VTUNE_VAULT", "file")
        patch.setenv("VTUNE_VAULT_PASSPHRASE", conftest.PASSPHRASE)
        patch.setenv("VTUNE_API_KEY", KEY)
        for name in ("HTTP_PROXY", "ALL_PROXY"):
            patch.delenv(name, raising=False)
            patch.delenv(name.lower(), raising=False)
        rows = tiny.write_rows(folder / "rows.jsonl")
        recipe = json.dumps(tiny.RECIPE)
        code = fine_tune_and_verify.main([str(rows), "--base", str(tiny_model), "--recipe", recipe])
        with VTune() as vtune:
            (job,) = vtune.ledger.jobs()
        assert job.model
        yield Delivered(code, job.plan_id, Path(job.model), tiny_model)


def test_fine_tune_and_verify(delivered: Delivered) -> None:
    assert delivered.code == 0
    with VTune() as vtune:
        tuned, base = vtune.ledger.verifications()[:2]
    assert tuned.verdict
    assert base.verdict
    assert (tuned.verdict["verdict"], base.verdict["verdict"]) == ("verified", "not verified")


def test_verify_endpoint(
    delivered: Delivered, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = local_answers({"tuned": delivered.model, "base": delivered.base})
    with Loopback(service(answers, key=KEY)) as server:
        assert verify_endpoint.main([delivered.plan, server.url, "tuned"]) == 0
        assert verify_endpoint.main([delivered.plan, server.url, "base"]) == 1
        monkeypatch.delenv("VTUNE_API_KEY")
        with pytest.raises(ProviderError, match="HTTP 401"):
            verify_endpoint.main([delivered.plan, server.url, "tuned"])
    said = capsys.readouterr().out.splitlines()
    assert [line.partition(":")[0] for line in said] == ["verified", "inconclusive"]
    assert server.asked()[0].headers["authorization"] == f"Bearer {KEY}"


def test_async_audit(delivered: Delivered, capsys: pytest.CaptureFixture[str]) -> None:
    model, base = str(delivered.model), str(delivered.base)
    assert async_audit.main([delivered.plan, model, model, base]) == 1
    control, honest, idle = capsys.readouterr().out.splitlines()
    assert control == f"{model}: verified (control)"
    assert honest.startswith(f"{model}: verified. ")
    assert idle.startswith(f"{base}: not verified. ")
    assert async_audit.main([delivered.plan, model, model]) == 0
