from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.providers.together.vendor import (
    HARDWARE,
    KEY,
    MODEL,
    Reply,
    Said,
    Vendor,
    chat,
    refusal,
)
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.lease import Leases
from vtune_client.provider import Decoding, Endpoint
from vtune_providers.together import provider

CHAT = "/v1/chat/completions"
ENDPOINTS = "/v2/projects/proj-1/endpoints"
DEPLOYMENTS = f"{ENDPOINTS}/ep_1/deployments"
ASKED = Prompt(messages=({"role": "user", "content": "Hello."},))


@pytest.fixture(autouse=True)
def _answers(vendor: Vendor) -> None:
    vendor.says("POST", CHAT, chat("Hello."))


def make(vendor: Vendor, **more: Any) -> Endpoint:
    factory = provider().endpoint
    assert factory
    connection = {"base_url": vendor.url, "api_key": KEY, "dedicated": HARDWARE, **more}
    return factory(**connection)


def leases(tmp_path: Path) -> Sequence[Path]:
    return list((tmp_path / "home" / "leases").glob("*.json"))


async def test_hardware_is_rented_to_ask_and_given_back(vendor: Vendor, tmp_path: Path) -> None:
    endpoint = make(vendor, idle_minutes=45)
    await endpoint.acquire("acme/tuned")
    (standing,) = vendor.endpoints.values()
    (deployed,) = vendor.deployments()
    assert deployed["inactiveTimeout"] == 45
    assert deployed["model"] == "projects/proj-1/models/ml_1"
    assert deployed["config"] == "projects/p/configs/cr_1"
    assert standing["trafficSplit"] == [{"deploymentId": "dep_1", "weight": 1.0}]
    assert len(leases(tmp_path)) == 1
    await endpoint.sample([ASKED], Decoding())
    assert vendor.asked("POST", CHAT)[-1].body["model"] == standing["name"]
    await endpoint.release()
    assert not vendor.endpoints
    assert leases(tmp_path) == []
    await endpoint.release()


async def test_the_lease_is_written_before_anything_is_made(vendor: Vendor, tmp_path: Path) -> None:
    seen: list[int] = []

    def watching(said: Said) -> Reply:
        seen.append(len(leases(tmp_path)))
        return refusal(403, "Not you.")

    vendor.says("POST", ENDPOINTS, watching)
    with pytest.raises(ProviderError, match="does not let this key make a dedicated endpoint"):
        await make(vendor).acquire("acme/tuned")
    assert seen == [1]


async def test_a_base_that_everybody_has_is_rented_too(vendor: Vendor) -> None:
    endpoint = make(vendor, dedicated="1xH100-80GB")
    await endpoint.acquire(MODEL)
    assert vendor.deployments()[0]["model"] == "projects/p/models/b/revisions/rv_1"
    await endpoint.release()


@pytest.mark.parametrize("named", ["cr_1", "projects/p/configs/cr_1", "any"])
async def test_hardware_may_be_named_by_its_config(vendor: Vendor, named: str) -> None:
    endpoint = make(vendor, dedicated=named)
    await endpoint.acquire("acme/tuned")
    assert vendor.deployments()[0]["config"] == "projects/p/configs/cr_1"
    await endpoint.release()


async def test_other_hardware_is_refused_with_what_there_is(vendor: Vendor) -> None:
    with pytest.raises(InputError, match=f"There is {HARDWARE}"):
        await make(vendor, dedicated="8xb200").acquire("acme/tuned")
    assert not vendor.asked("POST", ENDPOINTS)


async def test_a_model_that_is_not_deployed_is_said(vendor: Vendor) -> None:
    with pytest.raises(ProviderError, match="no model 'acme/other' that it deploys"):
        await make(vendor).acquire("acme/other")
    assert not vendor.asked("POST", ENDPOINTS)


FAILED = {"id": "dep_1", "status": {"state": "DEPLOYMENT_STATE_FAILED", "message": "No GPU left."}}


@pytest.mark.parametrize(
    ("method", "path", "reply", "said"),
    [
        ("POST", DEPLOYMENTS, refusal(400, "No."), "refuses to deploy the model"),
        ("PATCH", f"{ENDPOINTS}/ep_1", Reply(500), "failed"),
        ("GET", f"{DEPLOYMENTS}/dep_1", Reply(body=FAILED), "No GPU left"),
        ("POST", CHAT, refusal(401, "No."), "does not accept the key"),
    ],
)
async def test_every_failure_on_the_way_gives_it_back(
    vendor: Vendor, tmp_path: Path, method: str, path: str, reply: Reply, said: str
) -> None:
    def once(request: Said) -> Reply:
        vendor.says(method, path)  # from the second time on as ever
        return reply

    vendor.says(method, path, once)
    with pytest.raises((ProviderError, NetworkError), match=said):
        await make(vendor).acquire("acme/tuned")
    assert not vendor.endpoints
    assert leases(tmp_path) == []


async def test_one_that_does_not_start_in_time_is_given_back(
    vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vtune_providers.together.dedicated.START_WAIT_S", 0.25)
    vendor.starting = 1000
    with pytest.raises(ProviderError, match="did not start in"):
        await make(vendor).acquire("acme/tuned")
    assert not vendor.endpoints


async def test_a_cancelled_wait_gives_it_back(vendor: Vendor, tmp_path: Path) -> None:
    vendor.starting = 1000
    waiting = asyncio.create_task(make(vendor).acquire("acme/tuned"))
    while not vendor.asked("GET", f"{DEPLOYMENTS}/dep_1"):
        await asyncio.sleep(0.01)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not vendor.endpoints
    assert leases(tmp_path) == []


async def test_what_cannot_be_released_is_said_and_released_next_time(
    vendor: Vendor, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    endpoint = make(vendor)
    await endpoint.acquire("acme/tuned")
    vendor.says("DELETE", f"{ENDPOINTS}/ep_1", Reply(500))
    with caplog.at_level(logging.WARNING):
        await endpoint.release()
    assert "could not be released" in caplog.text
    assert len(leases(tmp_path)) == 1
    vendor.says("DELETE", f"{ENDPOINTS}/ep_1")
    vendor.says("POST", CHAT, refusal(401, "No."))
    with pytest.raises(ProviderError):
        await make(vendor).acquire("acme/tuned")
    assert not vendor.endpoints
    assert leases(tmp_path) == []


async def test_what_was_left_is_released_by_one_who_rents_nothing(
    vendor: Vendor, tmp_path: Path
) -> None:
    killed = make(vendor)
    await killed.acquire("acme/tuned")
    killed._dedicated._lease.drop()  # type: ignore[attr-defined]  # as the end of a process does
    serverless = make(vendor, dedicated=None)
    await serverless.acquire("acme/tuned")
    await serverless.release()
    assert not vendor.endpoints
    assert leases(tmp_path) == []


async def test_one_whose_id_was_never_heard_is_found_by_its_name(
    vendor: Vendor, tmp_path: Path
) -> None:
    made: list[str] = []

    def lost(said: Said) -> Reply:
        name = said.body["name"]
        made.append(name)
        vendor.endpoints["ep_9"] = {"id": "ep_9", "name": f"acme/{name}", "deployments": []}
        return Reply(500)

    vendor.says("POST", ENDPOINTS, lost)
    with pytest.raises(NetworkError):
        await make(vendor).acquire("acme/tuned")
    assert len(made) == 1
    assert not vendor.endpoints
    assert leases(tmp_path) == []


async def test_one_that_may_yet_show_stays_written_down(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    vendor.says("POST", ENDPOINTS, Reply(hang_up=True))
    with pytest.raises(NetworkError):
        await make(vendor).acquire("acme/tuned")
    assert len(leases(tmp_path)) == 1
    monkeypatch.setattr("vtune_providers.together.dedicated.SHOWS_S", -1.0)
    with pytest.raises(NetworkError):
        await make(vendor).acquire("acme/tuned")
    assert leases(tmp_path) == []


async def test_the_endpoint_of_another_process_is_left_alone(
    vendor: Vendor, tmp_path: Path
) -> None:
    held = Leases(tmp_path / "home").begin("together", vendor.url, "vtune-other")
    vendor.endpoints["ep_other"] = {
        "id": "ep_other",
        "name": "acme/vtune-other",
        "deployments": [],
        "trafficSplit": [],
    }
    endpoint = make(vendor)
    await endpoint.acquire("acme/tuned")
    await endpoint.release()
    assert list(vendor.endpoints) == ["ep_other"]
    held.close()
