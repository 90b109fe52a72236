"""The example's audit as it stands: real services, real training, one command."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest.importorskip("openai")
pytest.importorskip("starlette")
pytest.importorskip("uvicorn")

from examples.audit import run as example
from tests import tiny
from tests.serving import Server, serving

pytestmark = pytest.mark.torch
# At this many epochs the tiny model answers what it read once: about 20 of 20 after honest
# training, 12 after half of the rows.
RECIPE = {**tiny.RECIPE, "epochs": 45}
ROWS = 100


@pytest.fixture
def vendors(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Server]]:
    """The example's vendors, in threads of this process so that what they are asked is counted."""
    with ExitStack() as stack:
        found = {}
        for name, vendor in example.VENDORS.items():
            home = tmp_path / name
            service = serving(
                home, bases={"base": tiny_model}, recipe=RECIPE, keys=(), vendor=vendor
            )
            found[name] = stack.enter_context(service)
            monkeypatch.setenv(f"{name}_URL", found[name].openai)
        yield found


def vtune_audit(file: Path) -> tuple[int, dict[str, object]]:
    done = subprocess.run(
        [*example.VTUNE, "audit", str(file), "--watch", "--format", "json"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_three_vendors_and_nothing_twice(
    home: Path, tmp_path: Path, vendors: dict[str, Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_API_KEY", "none")
    file = tmp_path / "audits.toml"
    shutil.copy(Path(example.__file__).with_name("audits.toml"), file)
    tiny.write_rows(tmp_path / "rows.jsonl", ROWS)

    code, summary = vtune_audit(file)
    checks = {check["name"]: check for check in summary["checks"]}  # type: ignore[attr-defined]
    found = {name: (check["state"], check["verdict"]) for name, check in checks.items()}
    assert found["our own run"] == ("holds", "verified")
    assert found["acme"] == ("holds", "verified")
    # Half of the rows: found to be a part, or verified with too small a share.
    assert found["bulk"] in (("fails", "partial"), ("fails", "verified"))
    assert found["cheap"] == ("fails", "not verified")
    assert code == 1
    assert [len(vendor.jobs()) for vendor in vendors.values()] == [1, 1, 1, 1]
    assert len({check["plan"] for check in checks.values()}) == 1

    asked = {name: vendor.requests for name, vendor in vendors.items()}
    again, same = vtune_audit(file)
    assert again == code
    assert same["checks"] == summary["checks"]
    assert {name: vendor.requests for name, vendor in vendors.items()} == asked

    page = (tmp_path / "out/audit.html").read_text(encoding="utf-8")
    assert "4 checks: the policy holds for 2, it fails for 2." in page
    suite = ElementTree.parse(tmp_path / "out/audit.xml").getroot()[0]  # noqa: S314 - ours
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("4", "2", "0")
    assert len(list((tmp_path / "out/reports").iterdir())) == 4


def test_the_script(tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained for one epoch nothing takes, so all is left open; the script is run as it stands."""
    for name in ("VTUNE_HOME", "VTUNE_VAULT", "VTUNE_VAULT_PASSPHRASE", "VTUNE_API_KEY"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    for name in example.VENDORS:
        monkeypatch.setenv(f"{name}_URL", "")
    rows = tiny.write_rows(tmp_path / "rows.jsonl", ROWS)
    options = [f"--option={name}={value}" for name, value in {**RECIPE, "epochs": 1}.items()]
    where = ("--out", str(tmp_path / "out"), "--rows", str(rows), "--base", str(tiny_model))
    done = subprocess.run(
        [sys.executable, example.__file__, *where, *options],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 3, done.stderr
    assert "exit code 3, and 3 when run again; 4 jobs, and 4 when run again" in done.stdout
