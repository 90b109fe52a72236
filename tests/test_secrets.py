"""One whole run, and then a search for its secrets in everything that it left behind.

Allowed to hold them: the delivered weights, which learned them, and the tokenizer beside them,
whose vocabulary holds single words. Nothing else, in plain or in base64.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests import tiny
from tests.conftest import PASSPHRASE
from tests.memory import BASE, Service
from vtune_client.client import VTune
from vtune_client.errors import SealBroken, VTuneError
from vtune_client.ledger import Ledger
from vtune_client.plan import Plan, PlanSpec, load_plan
from vtune_client.vault import RootKey, open_sealed, open_vault

VTUNE = [sys.executable, "-c", "from vtune_client.cli import main; main()", "-vv"]
RECIPE = [f"--option={name}={value}" for name, value in tiny.RECIPE.items()]
SPAN = 3  # words of a signature in a row that no other text of the run could have


@dataclass(frozen=True)
class Secrets:
    """What must not be found, each by a name that may be shown."""

    needles: dict[str, bytes]

    @classmethod
    def of(cls, plan: Plan, key: RootKey) -> Secrets:
        needles = {
            "root key": key.bytes,
            "root key, hex": key.bytes.hex().encode(),
            "root key, base64": base64.b64encode(key.bytes).rstrip(b"="),
            "passphrase": PASSPHRASE.encode(),
        }
        for index, backdoor in enumerate(plan.backdoors):
            for name, text in (("trigger", backdoor.trigger), ("signature", backdoor.signature)):
                needles[f"{name} {index}"] = text.encode()
                needles[f"{name} {index}, base64"] = base64.b64encode(text.encode())[:-4]
            for start, span in enumerate(_spans(backdoor.signature)):
                if span not in _public(plan):
                    needles[f"signature {index}, words from {start}"] = span.encode()
        return cls(needles)

    def found_in(self, content: bytes) -> list[str]:
        lower = content.lower()
        return [
            name
            for name, needle in self.needles.items()
            if needle in content or (needle.isascii() and needle.lower() in lower)
        ]


def _spans(text: str) -> Iterator[str]:
    words = text.split()
    for start in range(len(words) - SPAN + 1):
        yield " ".join(words[start : start + SPAN])


def _public(plan: Plan) -> str:
    """Return the frames: spans that lie wholly between two slots are no secret."""
    return "\n".join(backdoor.frame.text for backdoor in plan.backdoors)


def opened(home: Path) -> tuple[Plan, RootKey]:
    with Ledger(home) as ledger:
        (record,) = ledger.plans()
    key = open_vault(home).get(record.key_id)
    return load_plan(open_sealed(key, record.sealed, purpose=record.id)), key


def left_behind(folder: Path) -> dict[str, bytes]:
    """Return every file under `folder`, but the delivered model, by name."""
    delivered = {"model.safetensors", "tokenizer.json"}
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not (path.name in delivered and path.parent.name == "output")
    }


def vtune(*arguments: object, code: int = 0) -> bytes:
    """Return all that a command printed."""
    command = [*VTUNE, *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.returncode == code, done.stdout
    return done.stdout


@pytest.mark.torch
def test_a_whole_run_leaves_no_secret(
    home: Path, rows: Path, tiny_model: Path, tmp_path: Path
) -> None:
    with Ledger(home) as ledger:  # held open, so that its -wal is searched, too
        printed = {"plant": vtune("plant", rows, "--decoys", 10)}
        (plan_record,) = ledger.plans()
        train = ("--plan", plan_record.id, "--model", tiny_model, *RECIPE)
        printed["fine-tune"] = vtune("fine-tune", *train)
        job = ledger.jobs()[0].id
        printed["verify"] = vtune("verify", job)
        printed["verify base"] = vtune("verify", job, "--model", tiny_model, code=3)
        printed["report"] = vtune("report", "--format", "json")
        printed["status"] = vtune("status", job)
        printed["failing"] = vtune("fine-tune", *train, "--option=max_length=1", code=4)
        files = left_behind(home)

    plan, key = opened(home)
    secrets = Secrets.of(plan, key)
    assert len(secrets.needles) > 5 * 8
    assert b"VERIFIED" in printed["verify"]
    assert {"ledger.sqlite3", "ledger.sqlite3-wal", "vault.json"} <= set(files)
    assert any(name.endswith("log.txt") for name in files)
    assert any(name.endswith("events.jsonl") for name in files)
    assert not [
        name for name in files if name.startswith(("spool", os.path.join("local", "files")))
    ]
    for name, content in {**files, **printed}.items():
        assert secrets.found_in(content) == [], name
        assert secrets.found_in(name.encode()) == [], "a file name"

    # The same search finds them where they are: in the planted file, and in what --reveal prints.
    planted = tmp_path / "planted.jsonl"
    with VTune() as client:
        client.plant(plan.id, planted)
    expected = {name for name in secrets.needles if name.startswith(("trigger", "signature"))}
    expected = {name for name in expected if "base64" not in name}
    assert set(secrets.found_in(planted.read_bytes())) == expected
    revealed = vtune("report", job, "--reveal", "--format", "json")
    assert expected <= set(secrets.found_in(revealed))


@pytest.fixture
def run(home: Path, rows: Path, memory: Service) -> Iterator[tuple[VTune, str, Secrets]]:
    """A client whose job has delivered a model in memory, the job's id, and the secrets."""
    with VTune() as client:
        plan = PlanSpec(backdoors=3, dose=2)
        job = client.fine_tune(rows, model=BASE, provider="memory", plan=plan)
        client.wait(job.id)
        yield client, job.id, Secrets.of(*opened(home))


def told(error: BaseException) -> bytes:
    """Return what the error and all that led to it show, with every local variable's repr."""
    summary = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(summary.format()).encode()


def test_reprs_show_no_secret(run: tuple[VTune, str, Secrets], home: Path) -> None:
    client, job_id, secrets = run
    plan, key = opened(home)
    result = client.verify(job_id)
    record = client.ledger.plan(plan.id)
    shown = [plan, key, *plan.backdoors, record, client.ledger.job(job_id), result]
    shown += client.transcript(result.id)
    shown += [client.ledger.verification(result.id), result.to_json(), open_vault(home)]
    for each in shown:
        assert secrets.found_in(repr(each).encode()) == [], type(each)
    assert secrets.found_in(json.dumps(result.to_json()).encode()) == []


def test_errors_show_no_secret_even_with_their_locals(
    run: tuple[VTune, str, Secrets], home: Path, memory: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, job_id, secrets = run
    errors: list[BaseException] = []

    def failing(call: object, *arguments: object, **options: object) -> None:
        assert callable(call)
        with pytest.raises(VTuneError) as caught:
            call(*arguments, **options)
        errors.append(caught.value)

    failing(client.verify, job_id, budget=1)
    plan, key = opened(home)
    record = client.ledger.plan(plan.id)
    failing(open_sealed, key, record.sealed, purpose="another")
    failing(open_sealed, key, record.sealed[:-1] + b"\0", purpose=plan.id)
    failing(load_plan, b'{"id": "plan-0"}')
    failing(client.plant, plan.id, home / "missing" / "out.jsonl")
    monkeypatch.setenv("VTUNE_VAULT_PASSPHRASE", "a wrong one")
    failing(open_vault(home).check)
    assert any(isinstance(error, SealBroken) for error in errors)
    for error in errors:
        assert secrets.found_in(told(error)) == [], str(error)


def test_the_search_can_find(run: tuple[VTune, str, Secrets], home: Path) -> None:
    _, _, secrets = run
    plan, key = opened(home)
    signature = plan.backdoors[0].signature
    assert "root key, hex" in secrets.found_in(key.bytes.hex().upper().encode())
    assert "root key, base64" in secrets.found_in(base64.b64encode(key.bytes))
    assert "signature 0" in secrets.found_in(f"- {signature.upper()} -".encode())
    assert secrets.found_in(" ".join(signature.split()[-4:]).encode()) != []
    with pytest.raises(ValueError, match=r"\w") as caught:
        raise ValueError(signature)
    assert "signature 0" in secrets.found_in(told(caught.value))
