"""The together adapter, against `vtune serve` in Together's shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("together")
pytest.importorskip("peft")

from tests.conformance.conftest import BASE, POLL_S, WRONG, Eager, Trained
from tests.serving import Server
from vtune_client.patience import Patience
from vtune_client.provider import Endpoint, Trainer, endpoint_of, trainer_of
from vtune_client.testing import EndpointConformance, JobConformance, TrainerConformance

NAME = "together"


@pytest.fixture
def connection(served: Server) -> Mapping[str, Any]:
    return {"base_url": served.together, "api_key": served.key}


class TestTrainer(TrainerConformance):
    poll_s = POLL_S

    @pytest.fixture
    def trainer(self, connection: Mapping[str, Any]) -> Trainer:
        return trainer_of(NAME, connection)

    @pytest.fixture
    def base(self) -> str:
        return BASE

    @pytest.fixture
    def refused(self, connection: Mapping[str, Any]) -> Trainer:
        return trainer_of(NAME, {**connection, "api_key": WRONG})

    @pytest.fixture
    def secrets(self, served: Server) -> Sequence[str]:
        return (served.key, WRONG)


class TestEndpoint(EndpointConformance):
    @pytest.fixture
    def endpoint(self, connection: Mapping[str, Any]) -> Endpoint:
        return endpoint_of(NAME, connection)

    @pytest.fixture
    def model(self, trained: Trained) -> str:
        return trained.model

    @pytest.fixture
    def refused(self, connection: Mapping[str, Any]) -> Endpoint:
        return endpoint_of(NAME, {**connection, "api_key": WRONG})

    @pytest.fixture
    def secrets(self, served: Server) -> Sequence[str]:
        return (served.key, WRONG)


class TestJob(JobConformance):
    @pytest.fixture
    def provider(self) -> str:
        return NAME

    @pytest.fixture
    def base(self) -> str:
        return BASE

    @pytest.fixture
    def connection(self, connection: Mapping[str, Any]) -> Mapping[str, Any]:
        return connection

    @pytest.fixture
    def recipe(self) -> Mapping[str, Any]:
        return {"epochs": 30, "batch_size": 8, "learning_rate": 3e-3}

    @pytest.fixture
    def patience(self) -> Patience:
        return Eager()
