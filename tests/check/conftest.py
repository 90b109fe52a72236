"""Signed statements of real verifications, with all that can stand beside them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.check.evidence import Evidence, make
from tests.cli.conftest import cli as cli
from tests.memory import BASE, QUIET, Service
from tests.test_verify_rows import write_rows
from vtune_client import PlanSpec, VTune
from vtune_client.attestation import Reveal, Statement, read_statement
from vtune_client.check import Beside, Checked, Trusted, check_envelope
from vtune_client.ledger import LogEntry
from vtune_client.provider import EndpointCapabilities
from vtune_client.signing import IN_TOTO, Ed25519Signer, open_envelope
from vtune_client.vault import RootKey

SCORED = EndpointCapabilities(batch=8, scores=True, remembers=True)
LISTING = EndpointCapabilities(batch=4, top_logprobs=5, remembers=False)
ROWS = PlanSpec(backdoors=5, dose=2, decoys=40, held_out=30, fresh_prompts=1)
PLANS = {
    "text": (PlanSpec(backdoors=5, dose=2, decoys=20), QUIET),
    "scores and rows": (ROWS, SCORED),
    "rows by text, a reserve": (
        PlanSpec(backdoors=4, dose=2, held_out=30, fresh_prompts=1, reserve=2),
        QUIET,
    ),
    "a ladder, scores": (PlanSpec(doses=(3, 3, 2, 1, 1, 1), decoys=20, reserve=1), SCORED),
    "a ladder": (PlanSpec(doses=(4, 2, 1)), LISTING),
}


@dataclass(frozen=True)
class Case:
    """One verification, attested: the envelope and what opens it, both files, the log."""

    envelope: bytes
    reveal: Reveal
    source: Path
    planted: Path
    log: tuple[LogEntry, ...]
    signer: str

    @property
    def statement(self) -> Statement:
        return read_statement(open_envelope(self.envelope).payload)

    @property
    def beside(self) -> Beside:
        return Beside(self.reveal, self.source, self.planted, self.log)

    def check(self, **trusted: Any) -> Checked:
        return check_envelope(self.envelope, Trusted(**trusted), self.beside)[1]


@pytest.fixture
def attested(home: Path, tmp_path: Path, memory: Service) -> Callable[..., Case]:
    """Return a function that verifies a job on a plan of that name and attests it."""

    def make(name: str, *, base: bool = False, **how: Any) -> Case:
        spec, memory.capabilities = PLANS[name]
        source = write_rows(tmp_path / "source.jsonl")
        with VTune() as vtune:
            job = vtune.fine_tune(
                source, model=BASE, provider="memory", plan=spec, keep_planted=True
            )
            job = vtune.wait(job.id)
            asking = {key: how.pop(key) for key in ("stop_early",) if key in how}
            found = vtune.verify(job.id, **asking)
            if base:
                found = vtune.verify(job.id, model=BASE, control=found.id)
            made = vtune.attest(found.id, reveal=True, **how)
            log = tuple(vtune.ledger.log())
        assert made.reveal
        planted = home / "spool" / f"{job.id}.jsonl"
        return Case(made.envelope, made.reveal, source, planted, log, made.signer)

    return make


def signed_anew(statement: dict[str, Any], seed: bytes = b"s" * 32) -> bytes:
    """Return an envelope of this statement by somebody else's key."""
    payload = json.dumps(statement, ensure_ascii=True).encode()
    return Ed25519Signer(RootKey(seed)).sign(payload, IN_TOTO)


@pytest.fixture(scope="package")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """All that a reader can be given, as really made: not to be changed."""
    return make(tmp_path_factory.mktemp("honest"))
