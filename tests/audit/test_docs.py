"""docs/audits.md names every key and every policy, and its file is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from vtune_client.audit import load_audit
from vtune_client.audit.file import (
    AuditTable,
    CheckTable,
    DatasetTable,
    RecipeTable,
    VendorTable,
    Webhook,
)
from vtune_client.audit.policy import ATOMS

PAGE = (Path(__file__).parents[2] / "docs" / "audits.md").read_text(encoding="utf-8")
TABLES = (AuditTable, CheckTable, DatasetTable, RecipeTable, VendorTable, Webhook)


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_named(table: type[BaseModel]) -> None:
    assert [key for key in table.model_fields if f"`{key}`" not in PAGE] == []


def test_every_policy_is_named() -> None:
    assert [name for name in ATOMS if f"`{name}(" not in PAGE] == []


def test_its_file_is_one(tmp_path: Path) -> None:
    found = re.search(r"```toml\n(.*?)```", PAGE, re.S)
    assert found
    path = tmp_path / "audits.toml"
    path.write_text(found[1], encoding="utf-8")
    assert [check.name for check in load_audit(path).checks] == ["our own run", "acme"]
