from __future__ import annotations

import re
from pathlib import Path

from vtune_client.cli.serve import serve
from vtune_client.serve.faults import FAULTS
from vtune_client.serve.vendor import VENDORS

PAGE = (Path(__file__).parents[2] / "docs" / "serve.md").read_text(encoding="utf-8")


def test_every_option_fault_and_vendor_is_named_and_no_other() -> None:
    options = {name for param in serve.params for name in param.opts if name[:2] == "--"}
    assert set(re.findall(r"--[a-z-]+[a-z]", PAGE)) == options
    table = PAGE[PAGE.index("## Faults") :]
    assert set(re.findall(r"^\| `([a-z0-9-]+)", table, re.MULTILINE)) == set(FAULTS)
    assert all(f"`{name}`" in PAGE for name in VENDORS)
