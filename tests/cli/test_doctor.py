from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests import plugins
from tests.cli.conftest import Cli
from tests.test_imports import BLOCKER, ran
from vtune_client.lease import Leases

WHERE = Path(__file__).parents[2]


def findings(cli: Cli, code: int) -> dict[str, Any]:
    ran = cli("doctor", "--format", "json")
    assert ran.code == code
    return {finding["what"]: finding for finding in ran.json}


def test_a_machine_that_can_plant_is_well(cli: Cli, home: Path) -> None:
    found = findings(cli, 0)
    assert found["vault"]["found"] == "file"
    assert found["ledger"]["found"] == f"{home} (0 plans, 0 jobs)"
    assert "local" in found["providers"]["found"]
    assert not any(finding["ok"] is False for finding in found.values())


def test_no_keyring_is_a_failure_with_a_way_out(cli: Cli, bare: Path) -> None:
    vault = findings(cli, 2)["vault"]
    assert vault["ok"] is False
    assert "vtune vault init --file" in vault["advice"]
    text = cli("doctor").out
    assert any(line.startswith("FAIL  vault: ") for line in text.splitlines())


def test_a_closed_vault_is_a_failure(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "a guess")
    assert findings(cli, 2)["vault"]["ok"] is False


def test_a_damaged_ledger_is_a_failure(cli: Cli, home: Path) -> None:
    (home / "ledger.sqlite3").write_bytes(b"no database" * 100)
    assert findings(cli, 2)["ledger"]["ok"] is False


def test_an_endpoint_that_a_killed_process_rented_is_a_failure(cli: Cli, home: Path) -> None:
    held = Leases(home).begin("together", "https://api.test", "vtune-one")
    assert findings(cli, 0)["rented endpoints"]["found"] == "none left over"
    held.drop()
    for _ in range(2):  # looking releases nothing
        found = findings(cli, 2)["rented endpoints"]
        assert "vtune-one at https://api.test" in found["found"]


def test_missing_extras_are_notes_with_the_command(home: Path) -> None:
    code = (
        BLOCKER
        + """
    from vtune_client.cli import main
    sys.argv = ["vtune", "doctor"]
    main()
    """
    )
    lines = {line.split(":")[0]: line for line in ran(code).splitlines()}
    assert "pip install 'vtune-client[local]'" in lines["note  local training"]
    for extra in ("openai", "together"):
        if not find_spec(extra):
            assert f"pip install 'vtune-client[{extra}]'" in lines[f"note  {extra} client"]


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, str]:
    """The environment of a process in which three plug-ins do not load."""
    folder = plugins.install(
        tmp_path / "plugins",
        "vtune-tests-broken",
        absent="no.such.module:provider",
        nameless="tests.memory:nothing_of_that_name",
        other="json:dumps",
    )
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(WHERE)])}


def vtune(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    # Without the extras, whose import takes seconds.
    code = f"{textwrap.dedent(BLOCKER)}\nfrom vtune_client.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_broken_plugins_are_listed_beside_those_that_load(
    home: Path, broken: dict[str, str]
) -> None:
    done = vtune(broken, "providers")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    lines = {line.split()[0]: line for line in done.stdout.splitlines()}
    assert "trains and serves" in lines["local"]
    for name in ("absent", "nameless", "other"):
        assert "does not load" in lines[name]
    assert "ModuleNotFoundError" in lines["absent"]


def test_broken_plugins_do_not_fail_the_doctor(home: Path, broken: dict[str, str]) -> None:
    done = vtune(broken, "doctor")
    assert done.returncode == 0
    lines = [line for line in done.stdout.splitlines() if line.startswith("note  provider ")]
    assert {"absent", "nameless", "other"} <= {line.split()[2].rstrip(":") for line in lines}


def test_a_broken_plugin_that_is_asked_for_is_an_error(
    home: Path, rows: Path, broken: dict[str, str]
) -> None:
    done = vtune(broken, "fine-tune", str(rows), "--provider", "absent")
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not load" in done.stderr
    assert "Traceback" not in done.stderr
