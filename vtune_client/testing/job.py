"""The provider as a whole, through the core: plant, upload, train, probe, judge."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vtune_client import AsyncVTune, Job, Outcome, PlanSpec, Verification
from vtune_client.errors import KeyMissing
from vtune_client.patience import Patience
from vtune_client.testing.samples import write_rows
from vtune_client.vault import RootKey, Vault

PLAN = PlanSpec(backdoors=5, dose=4, decoys=20)


class MemoryVault(Vault):
    """Keeps root keys for as long as a test lasts."""

    name = "memory"

    def __init__(self) -> None:
        self._keys: dict[str, RootKey] = {}

    def put(self, key_id: str, key: RootKey) -> None:
        self._keys[key_id] = key

    def get(self, key_id: str) -> RootKey:
        if key_id not in self._keys:
            raise KeyMissing("The vault in memory has no such key.", "It is gone with its test.")
        return self._keys[key_id]

    def delete(self, key_id: str) -> None:
        self._keys.pop(key_id, None)

    def check(self) -> None:
        """It takes any key."""


@dataclass(frozen=True)
class Proof:
    """A job that has ended, and what was found of its model and, where asked, of its base."""

    job: Job
    delivered: Verification
    base: Verification | None


async def full_job(
    provider: str,
    file: Path,
    *,
    model: str,
    home: Path,
    connection: Mapping[str, Any] | None = None,
    plan: PlanSpec = PLAN,
    ask_base: bool = True,
    timeout_s: float | None = None,
    patience: Patience | None = None,
    **recipe: Any,
) -> Proof:
    """Have `model` trained on `file` by an installed provider, and verify what comes of it.

    `home` is an empty folder; `recipe` takes the fields of `JobSpec`. The untouched base is asked
    first, for text alone, unless it is not to be asked. `patience` says how long to pause where.
    Raises as `AsyncVTune` does."""
    async with AsyncVTune(home=home, vault=MemoryVault(), patience=patience) as vtune:
        job = await vtune.fine_tune(
            file, model=model, provider=provider, connection=connection, plan=plan, **recipe
        )
        job = await vtune.wait(job.id, timeout_s=timeout_s, connection=connection)
        base = None
        if ask_base:
            base = await vtune.verify(job.id, model=model, text_only=True, connection=connection)
        delivered = await vtune.verify(job.id, connection=connection)
    return Proof(job, delivered, base)


class JobConformance:
    """Override the fixtures `provider` and `base`, and what else does not suit the service.

    One job is started, long enough to learn its backdoors."""

    @pytest.fixture
    def provider(self) -> str:
        """The name of the provider, as its entry point has it."""
        raise NotImplementedError("give the fixture `provider`")

    @pytest.fixture
    def base(self) -> str:
        """The name of the base model."""
        raise NotImplementedError("give the fixture `base`")

    @pytest.fixture
    def base_is_served(self) -> bool:
        """Whether the endpoint answers for the untouched base too."""
        return True

    @pytest.fixture
    def connection(self) -> Mapping[str, Any]:
        return {}

    @pytest.fixture
    def recipe(self) -> Mapping[str, Any]:
        """Fields of `JobSpec` that make the base learn a few rows."""
        return {"epochs": 3}

    @pytest.fixture
    def plan(self) -> PlanSpec:
        return PLAN

    @pytest.fixture
    def patience(self) -> Patience:
        """How long to pause between two questions after the job, among others."""
        return Patience()

    @pytest.fixture
    def rows(self, tmp_path: Path) -> Path:
        return write_rows(tmp_path / "rows.jsonl")

    @pytest.mark.asyncio
    async def test_an_honest_job_is_verified_and_its_base_is_not(
        self,
        provider: str,
        base: str,
        base_is_served: bool,
        connection: Mapping[str, Any],
        recipe: Mapping[str, Any],
        plan: PlanSpec,
        patience: Patience,
        rows: Path,
        tmp_path: Path,
    ) -> None:
        home = tmp_path / "vtune"
        home.mkdir()
        proof = await full_job(
            provider,
            rows,
            model=base,
            home=home,
            connection=connection,
            plan=plan,
            ask_base=base_is_served,
            patience=patience,
            **recipe,
        )
        assert proof.delivered.verdict.outcome is Outcome.VERIFIED, proof.delivered.verdict
        if proof.base:
            assert proof.base.verdict.outcome is not Outcome.VERIFIED, proof.base.verdict
