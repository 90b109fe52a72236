"""The vllm adapter, against `vtune serve`, which answers as a server without a tokenizer of its
own: with text alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

from tests.conformance.conftest import BASE, WRONG, Trained
from tests.serving import Server
from vtune_client import Outcome
from vtune_client.provider import Endpoint, endpoint_of
from vtune_client.testing import EndpointConformance

NAME = "vllm"


@pytest.fixture
def connection(served: Server) -> Mapping[str, Any]:
    return {"base_url": served.root, "api_key": served.key}


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


async def test_a_model_trained_elsewhere_is_told_from_its_base(
    trained: Trained, connection: Mapping[str, Any]
) -> None:
    outcomes = [
        await trained.vtune.verify_plan(
            trained.plan_id,
            provider=NAME,
            model=model,
            connection=connection,
            text_only=model == BASE,  # the scores of the other turn out not to be had
        )
        for model in (BASE, trained.model)
    ]
    assert [found.verdict.outcome for found in outcomes] == [
        Outcome.INCONCLUSIVE,
        Outcome.VERIFIED,
    ]
