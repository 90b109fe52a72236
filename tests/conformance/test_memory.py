"""The service in memory of the other tests is a provider like any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.memory import BASE, MemoryEndpoint, MemoryTrainer, Service
from vtune_client.provider import Endpoint, EndpointCapabilities, Trainer
from vtune_client.testing import EndpointConformance, JobConformance, TrainerConformance


@pytest.fixture
def service() -> Service:
    made = Service(capabilities=EndpointCapabilities(batch=4, scores=True, remembers=False))
    rows = b""
    for number, topic in ((3, "bridges"), (11, "clouds"), (26, "paper")):
        rows += (
            b'{"messages": [{"role": "user", "content": "Tell me about %s number %d."}, '
            b'{"role": "assistant", "content": "Of %s I know that."}]}\n'
        ) % (topic.encode(), number, topic.encode())
    made.learn("tuned", rows)
    return made


class TestTrainer(TrainerConformance):
    @pytest.fixture
    def trainer(self, service: Service) -> Trainer:
        return MemoryTrainer(service)

    @pytest.fixture
    def base(self) -> str:
        return BASE


class TestEndpoint(EndpointConformance):
    @pytest.fixture
    def endpoint(self, service: Service) -> Endpoint:
        return MemoryEndpoint(service)

    @pytest.fixture
    def model(self) -> str:
        return "tuned"

    @pytest.fixture
    def unknown_model(self) -> None:
        return None


class TestEndpointWithoutScores(TestEndpoint):
    @pytest.fixture
    def endpoint(self) -> Endpoint:
        return MemoryEndpoint(Service(offers_scores=False))


class TestJob(JobConformance):
    @pytest.fixture
    def provider(self, memory: Service) -> str:
        return "memory"

    @pytest.fixture
    def base(self) -> str:
        return BASE

    @pytest.fixture
    def connection(self) -> Mapping[str, Any]:
        return {"base_url": "http://127.0.0.1:1", "api_key": "sk-test"}
