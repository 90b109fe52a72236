"""An audit over the service in memory: vendors are models of it, told apart by their providers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.memory import Service
from vtune_client.audit import load_audit, run_audit

Done = dict[str, Any]
Audited = Callable[..., Done]

HEAD = """\
[audit]
name = "test"
concurrency = 1
{head}
[vendors.acme]
provider = "memory"

[datasets.rows]
file = "rows.jsonl"
backdoors = 20
dose = 1
decoys = 0
fresh_prompts = 0
"""
ONE = """
[[checks]]
name = "one"
vendor = "acme"
model = "base"
dataset = "rows"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the rows of an audit."""
    tiny.write_rows(tmp_path / "rows.jsonl", 60)
    return tmp_path


@pytest.fixture
def write(folder: Path) -> Callable[..., Path]:
    """Write an audit of these checks; `head` are further lines of [audit]."""

    def write(checks: str = ONE, head: str = "") -> Path:
        path = folder / "audits.toml"
        path.write_text(HEAD.format(head=head) + checks, encoding="utf-8")
        return path

    return write


@pytest.fixture
def audited(home: Path, memory: Service, write: Callable[..., Path]) -> Audited:
    """Return what does an audit of these checks, and returns its summary as JSON has it."""
    import asyncio

    def audited(checks: str = ONE, head: str = "", **how: Any) -> Done:
        summary = asyncio.run(run_audit(load_audit(write(checks, head)), home=home, **how))
        return dict(json.loads(json.dumps(summary)))

    return audited


def state(summary: Done) -> dict[str, str]:
    """Return the state of every check by name."""
    return {check["name"]: check["state"] for check in summary["checks"]}
