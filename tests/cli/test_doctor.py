from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests import plugins
from tests.cli.conftest import Cli
from tests.memory import BASE, Service
from tests.postgresql import Cluster
from tests.test_imports import BLOCKER, ran
from vtune_client.cli.doctor.machine import VARIABLES, numbers
from vtune_client.client import VTune
from vtune_client.errors import ProviderError
from vtune_client.lease import Leases
from vtune_client.ledger import Ledger
from vtune_client.signing import new_signer
from vtune_client.vault import open_vault

WHERE = Path(__file__).parents[2]


def findings(cli: Cli, code: int, *options: str) -> dict[str, Any]:
    ran = cli("doctor", "--format", "json", *(options or ["--offline"]))
    assert ran.code == code, ran.out
    return {finding["what"]: finding for finding in ran.json}


def test_a_machine_that_can_plant_is_well(cli: Cli, home: Path) -> None:
    found = findings(cli, 0)
    assert found["vault"]["found"] == "file"
    assert found["ledger"]["found"] == f"{home} (0 plans, 0 jobs)"
    assert found["ledger integrity"]["ok"] is True
    assert found["log"]["ok"] is True
    assert found["spool"]["ok"] is True
    assert "local" in found["providers"]["found"]
    assert not any(finding["ok"] is False for finding in found.values())


def test_no_keyring_is_a_failure_with_a_way_out(cli: Cli, bare: Path) -> None:
    vault = findings(cli, 5)["vault"]
    assert vault["ok"] is False
    assert "vtune vault init --file" in vault["advice"]
    text = cli("doctor", "--offline").out
    assert any(line.startswith("FAIL  vault: ") for line in text.splitlines())


def test_a_closed_vault_is_a_failure(cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "a guess")
    assert findings(cli, 5)["vault"]["ok"] is False


def test_a_damaged_ledger_is_a_failure(cli: Cli, home: Path) -> None:
    (home / "ledger.sqlite3").write_bytes(b"no database" * 100)
    assert findings(cli, 2)["ledger"]["ok"] is False


def test_a_row_without_its_plan_is_a_failure(cli: Cli, home: Path) -> None:
    with Ledger(home):
        pass
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection, connection:
        connection.execute("INSERT INTO openings (plan_id, number, why) VALUES ('plan-0', 1, 'a')")
    integrity = findings(cli, 2)["ledger integrity"]
    assert "a row of openings lacks its plans" in integrity["found"]


def test_a_log_that_was_changed_is_a_failure(cli: Cli, home: Path) -> None:
    with Ledger(home) as ledger:
        ledger.record("looked", "here")
    with closing(sqlite3.connect(home / "ledger.sqlite3")) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE log SET subject = 'there' WHERE seq = 2")
    assert "Entry 2 was changed" in findings(cli, 2)["log"]["found"]


def test_a_ledger_on_a_server_is_looked_at_too(
    cli: Cli, home: Path, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_LEDGER", cluster.new())
    found = findings(cli, 0)
    assert found["ledger integrity"]["found"] == "left to the server"
    assert found["log"]["ok"] is True
    assert "postgresql" in found["ledger"]["found"]
    monkeypatch.setenv("VTUNE_LEDGER", "postgresql+psycopg://nobody:password@127.0.0.1:1/none")
    failed = findings(cli, 2)["ledger"]
    assert (failed["ok"], "password" in str(failed)) == (False, False)


def test_what_is_open_to_others_is_told(cli: Cli, home: Path) -> None:
    home.chmod(0o755)
    modes = findings(cli, 0)["file modes"]
    assert (modes["ok"], modes["advice"]) == (None, f"Run: chmod 700 {home}")
    home.chmod(0o700)
    assert findings(cli, 0)["file modes"]["ok"] is True
    (home / "vault.json").chmod(0o644)
    assert findings(cli, 2)["file modes"]["advice"] == f"Run: chmod 600 {home / 'vault.json'}"


def test_planted_files_that_are_left_over_are_told(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    with VTune() as vtune:
        job = vtune.fine_tune(rows, model=BASE, provider="memory")
    planted = home / "spool" / f"{job.id}.jsonl"
    planted.write_text("secrets", encoding="utf-8")
    found = findings(cli, 2)
    assert str(planted) in found["spool"]["found"]
    assert job.id in found["open jobs"]["found"]
    planted.unlink()
    with VTune() as vtune:
        kept = vtune.fine_tune(rows, model=BASE, provider="memory", keep_planted=True)
    spool = findings(cli, 0)["spool"]
    assert (spool["ok"], "1 planted files" in spool["found"]) == (None, True)
    assert (home / "spool" / f"{kept.id}.jsonl").exists()


def test_a_round_that_was_cut_short_is_told(
    cli: Cli, home: Path, rows: Path, memory: Service
) -> None:
    with VTune() as vtune:
        job = vtune.wait(vtune.fine_tune(rows, model=BASE, provider="memory").id)
        memory.faults.append(ProviderError("No more.", "Stop."))
        with pytest.raises(ProviderError):
            vtune.verify(job.id)
        (record,) = vtune.ledger.verifications()
    rounds = findings(cli, 0)["unfinished rounds"]
    assert f"{record.id} of {job.id}" in rounds["found"]


def test_the_signing_key_is_looked_for(cli: Cli, home: Path) -> None:
    assert findings(cli, 0)["signing key"]["advice"] == "`vtune signer new` makes one."
    with Ledger(home) as ledger:
        signer = new_signer(ledger, open_vault(home))
        assert findings(cli, 0)["signing key"]["found"] == signer.fingerprint
        open_vault(home).delete(ledger.signers()[0].key_id)
    assert "is not in this vault" in findings(cli, 0)["signing key"]["found"]


def test_a_variable_that_nobody_knows_is_told(
    cli: Cli, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VTUNE_LEDGR", "x")
    monkeypatch.setenv("VTUNE_ZZZZZZ", "x")
    found = findings(cli, 0)
    assert found["variable VTUNE_LEDGR"]["advice"] == "Did you mean VTUNE_LEDGER?"
    assert found["variable VTUNE_ZZZZZZ"]["advice"] == "It does nothing."


def test_the_variables_are_those_of_the_code() -> None:
    """A name in quotes, or in backquotes in a text, that is not one of an extension."""
    code = [*(WHERE / "vtune_client").rglob("*.py"), *(WHERE / "providers").rglob("*.py")]
    named = {
        name
        for path in code
        for name in re.findall(r"\bVTUNE_[A-Z_]+\b", path.read_text(encoding="utf-8"))
    }
    assert named == set(VARIABLES)


@pytest.mark.parametrize(
    ("installed", "least", "older"),
    [("2.9.1", "3", True), ("3.0", "3", False), ("3", "3.0.0", False), ("10.1rc1", "9", False)],
)
def test_versions_are_compared_by_their_numbers(installed: str, least: str, older: bool) -> None:
    assert (numbers(installed) < numbers(least)) is older


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
    sys.argv = ["vtune", "doctor", "--offline"]
    main()
    """
    )
    lines = {line.split(":")[0]: line for line in ran(code).splitlines()}
    assert "pip install 'vtune-client[local]'" in lines["note  local training"]
    for extra in ("openai", "together"):
        if not find_spec(extra):
            assert f"pip install -U 'vtune-client[{extra}]'" in lines[f"note  extra {extra}"]


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
    done = vtune(broken, "doctor", "--offline")
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
