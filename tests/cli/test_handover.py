from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.conftest import PASSPHRASE
from tests.memory import BASE, Service
from vtune_client.client import VTune
from vtune_client.plan import PlanSpec
from vtune_client.vault.file_vault import Cost, FileVault

Move = Callable[[str], None]


@pytest.fixture
def move(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Move:
    """Go on as another person, with a home and a vault of their own."""

    def to(name: str) -> None:
        place = tmp_path / name
        if not place.exists():
            place.mkdir()
            FileVault.create(place / "vault.json", PASSPHRASE, cost=Cost(n=16, r=8, p=1))
        monkeypatch.setenv("VTUNE_HOME", str(place))

    return to


def test_a_plan_goes_from_one_home_to_another(
    cli: Cli, move: Move, rows: Path, memory: Service, tmp_path: Path
) -> None:
    move("anna")
    with VTune() as vtune:
        job = vtune.fine_tune(
            rows, model=BASE, provider="memory", plan=PlanSpec(backdoors=3, dose=2)
        )
        vtune.wait(job.id)
    move("ben")
    key = cli("handover", "key").out
    assert cli("handover", "key", "--format=json").json["public_key"] == key.strip()
    (tmp_path / "ben.pub").write_text(key, encoding="utf-8")
    move("anna")
    file = tmp_path / "parcel"
    how = ("--to", tmp_path / "ben.pub", "-o", file, "--format=json")
    out = cli("handover", "export", job.plan_id, *how)
    assert (out.code, out.json["plan"]) == (0, job.plan_id)
    assert file.stat().st_mode & 0o777 == 0o600
    again = cli("handover", "export", job.plan_id, "--to", key.strip(), "-o", file)
    assert (again.code, "exists already" in again.err) == (2, True)

    move("ben")
    unknown = cli("handover", "import", file)
    assert (unknown.code, unknown.out) == (2, "")
    assert f"give --from {out.json['signed_by']}" in unknown.err
    assert cli("jobs").out.startswith("No jobs")
    wrong = cli("handover", "import", file, "--from", "SHA256:00")
    assert (wrong.code, "not by that key" in wrong.err) == (2, True)
    done = cli("handover", "import", file, "--from", out.json["signed_by"], "--format=json")
    assert done.code == 0
    assert (done.json["plan"], done.json["jobs"], done.json["verifications"]) == (job.plan_id, 1, 0)
    assert cli("verify", job.id).code == 0
    assert cli("handover", "import", file, "--from", out.json["signed_by"]).code == 2


def test_what_cannot_be_read_is_a_usage_error(cli: Cli, move: Move, tmp_path: Path) -> None:
    move("anna")
    ran = cli("handover", "export", "plan-0", "--to", tmp_path / "none", "-o", tmp_path / "x")
    assert (ran.code, "cannot be read" in ran.err) == (2, True)
    (tmp_path / "junk").write_bytes(b"junk")
    ran = cli("handover", "import", tmp_path / "junk")
    assert (ran.code, "no handover key" in ran.err) == (2, True)
    cli("handover", "key")
    ran = cli("handover", "import", tmp_path / "junk")
    assert (ran.code, "This is no handover." in ran.err) == (2, True)
    assert not (tmp_path / "x").exists()
