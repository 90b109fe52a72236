"""A job that is not done in time is left running, and a later call goes on with it."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("openai")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from tests import tiny
from tests.audit.conftest import state
from tests.audit.test_kill import AUDIT
from tests.memory import BASE, Service
from tests.serving import serving
from vtune_client.audit import load_audit, run_audit
from vtune_client.serve.faults import parse_fault


async def test_not_yet(
    home: Path, tmp_path: Path, memory: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.write_rows(tmp_path / "rows.jsonl", 20)
    monkeypatch.setenv("ACME_KEY", "sk-test")
    faults = (parse_fault("unknown-status=1"),)
    with serving(tmp_path, bases={"tiny": BASE}, provider="memory", faults=faults) as server:
        file = tmp_path / "audits.toml"
        file.write_text(AUDIT.format(url=server.openai), encoding="utf-8")
        first = await run_audit(load_audit(file), home=home, timeout_s=0.0)
        (check,) = first["checks"]
        assert (check["state"], check["error"]["family"], first["exit_code"]) == (
            "error",
            "not yet",
            4,
        )
        assert f"vtune wait {check['job']}" in check["error"]["advice"]
        second = await run_audit(load_audit(file), home=home)
        assert (state(second), len(server.jobs())) == ({"acme": "holds"}, 1)
