"""The local provider, training in this process: starting one takes longer than the tiny model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.conformance.conftest import training_here
from tests.providers.local.runs import SHORT, new_run, trained
from vtune_client.provider import Endpoint, JobSpec, Trainer
from vtune_client.testing import EndpointConformance, JobConformance, TrainerConformance

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

from vtune_providers.local.endpoint import LocalEndpoint
from vtune_providers.local.trainer import LocalTrainer


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that has learned to answer and to stop."""
    folder = tmp_path_factory.mktemp("tuned")
    rows = tiny.write_rows(folder / "rows.jsonl")
    return trained(new_run(folder / "run", tiny_model, rows, epochs=12)).output


@pytest.fixture
def _in_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with training_here(monkeypatch):
        yield


@pytest.mark.usefixtures("_in_process")
class TestTrainer(TrainerConformance):
    poll_s = 0.01

    @pytest.fixture
    def trainer(self, tmp_path: Path) -> Trainer:
        return LocalTrainer(tmp_path / "local")

    @pytest.fixture
    def base(self, tiny_model: Path) -> str:
        return str(tiny_model)

    @pytest.fixture
    def spec(self, base: str) -> JobSpec:
        return JobSpec(base, options={**SHORT, "epochs": 4})


class TestEndpoint(EndpointConformance):
    @pytest.fixture
    def endpoint(self) -> Endpoint:
        return LocalEndpoint()

    @pytest.fixture
    def model(self, tuned: Path) -> str:
        return str(tuned)

    @pytest.fixture
    def unknown_model(self) -> str:
        return "/no/such/model"


@pytest.mark.usefixtures("home", "_in_process")
class TestJob(JobConformance):
    @pytest.fixture
    def provider(self) -> str:
        return "local"

    @pytest.fixture
    def base(self, tiny_model: Path) -> str:
        return str(tiny_model)

    @pytest.fixture
    def recipe(self) -> Mapping[str, Any]:
        return {"options": tiny.RECIPE}

    @pytest.fixture
    def rows(self, tmp_path: Path) -> Path:
        return tiny.write_rows(tmp_path / "rows.jsonl")

    @pytest.fixture
    def connection(self, tmp_path: Path) -> Mapping[str, Any]:
        return {"root": str(tmp_path / "runs")}
