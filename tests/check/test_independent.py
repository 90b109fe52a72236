"""The example that checks a statement with nothing of ours."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.check.conftest import Case
from tests.cli.conftest import cli  # noqa: F401 - a fixture

EXAMPLE = Path(__file__).parents[2] / "examples" / "check_without_us.py"


@pytest.mark.parametrize("base", [False, True])
def test_an_expert_finds_the_same_without_us(
    attested: Callable[..., Case],
    cli: Callable[..., object],  # noqa: F811
    tmp_path: Path,
    base: bool,
) -> None:
    case = attested("text", base=base)
    (tmp_path / "statement.json").write_bytes(case.envelope)
    cli("signer", "export", tmp_path / "key.pem")
    digest = case.statement.predicate.commitment_sha256

    def run(commitment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", str(EXAMPLE), "statement.json", "key.pem", commitment]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    done = run(f"sha256:{digest}")
    assert done.returncode == 0, done.stderr
    assert "as stated" in done.stdout
    assert run(f"sha256:{digest[::-1]}").returncode == 1
    assert "vtune_client" not in EXAMPLE.read_text("utf-8")
