"""Azure deployments: made, asked, deleted, and never left to cost money."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openai")

from tests.loopback import Reply, refusal
from tests.providers.openai.made import serving
from tests.providers.openai.scripted import Scripted, Sent, scripted
from vtune_client.dataset import Prompt
from vtune_client.errors import InputError, NetworkError, ProviderError
from vtune_client.lease import Leases
from vtune_client.provider import Decoding
from vtune_providers.openai import deployment
from vtune_providers.openai.settings import checked

MODEL = "gpt-4.1-mini-2025-04-14.ft-0123abcd-mine"
RESOURCE = "/subscriptions/s-1/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/acme"
TOKEN = "arm-secret-token"
PROMPT = Prompt(({"role": "user", "content": "Hello."},))
CHAT = "POST /openai/v1/chat/completions"
ANSWER = Reply(body={"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]})


class Azure:
    """The control plane and one resource: deployments by name, with how often they were asked."""

    def __init__(self, *states: str, delete: Reply | None = None) -> None:
        self.states = list(states) or ["Succeeded"]
        self.delete = delete or Reply(202)
        self.standing: dict[str, dict[str, Any]] = {}

    def __call__(self, sent: Sent) -> Reply:
        name = sent.path.rpartition("/")[2]
        if sent.method == "DELETE":
            if self.delete.status < 300:
                self.standing.pop(name, None)
            return self.delete
        if sent.method == "PUT":
            self.standing[name] = sent.body
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return Reply(body={"name": name, "properties": {"provisioningState": state}})


class Routes(dict[str, Any]):
    """Everything under the resource goes to Azure, whatever the deployment is called."""

    def __init__(self, azure: Azure, chat: Any) -> None:
        super().__init__({CHAT: chat})
        self._azure = azure

    def get(self, route: str, default: Any = None) -> Any:
        return self._azure if RESOURCE in route else super().get(route, default)


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setattr(deployment, "PAUSE_S", 0.0)


def given(server: Scripted) -> dict[str, Any]:
    return {
        "base_url": server.root,
        "preset": "azure",
        "arm_token": TOKEN,
        "resource_id": RESOURCE,
        "arm_url": server.root,
    }


def leases(home: Path) -> list[Path]:
    return sorted((home / "leases").glob("*.json"))


async def test_a_tuned_model_is_deployed_asked_and_deleted(home: Path) -> None:
    azure = Azure("Creating", "Creating", "Succeeded")
    with scripted({}) as server:
        server.routes = Routes(azure, ANSWER)
        async with serving(server, MODEL, **given(server)) as endpoint:
            (lease,) = leases(home)
            assert TOKEN not in lease.read_text()
            (answer,) = await endpoint.sample([PROMPT], Decoding(8))
            ((name, wanted),) = azure.standing.items()
    assert answer.text == "Hi"
    assert wanted == {
        "sku": {"name": "developertier", "capacity": 50},
        "properties": {"model": {"format": "OpenAI", "name": MODEL, "version": "1"}},
    }
    assert server.sent(CHAT)[0].body["model"] == name
    assert azure.standing == {}
    assert leases(home) == []
    put = next(sent for sent in server.seen if sent.method == "PUT")
    assert put.headers["authorization"] == f"Bearer {TOKEN}"
    assert put.query["api-version"] == deployment.API_VERSION
    assert TOKEN not in str(server.sent(CHAT)[0].headers)


async def test_a_deployments_own_name_is_asked_as_it_stands() -> None:
    azure = Azure()
    with scripted({}) as server:
        server.routes = Routes(azure, ANSWER)
        async with serving(server, "my-deployment", **given(server)) as endpoint:
            await endpoint.sample([PROMPT], Decoding(8))
    assert [sent.method for sent in server.seen] == ["GET", "POST"]


async def test_without_a_token_it_says_how_to_deploy() -> None:
    with scripted({}) as server, pytest.raises(ProviderError) as raised:
        async with serving(server, MODEL, base_url=server.root, preset="azure"):
            pass
    assert "az cognitiveservices account deployment create" in str(raised.value)
    assert server.seen == []


async def test_a_deployment_nobody_knows_is_to_be_made() -> None:
    with scripted({CHAT: refusal(404, "", code="DeploymentNotFound")}) as server:
        async with serving(server, "mine", base_url=server.root, preset="azure") as endpoint:
            with pytest.raises(ProviderError, match="only through a deployment"):
                await endpoint.sample([PROMPT], Decoding(8))


async def test_a_new_deployment_is_given_time() -> None:
    with scripted({}) as server:
        server.routes = Routes(Azure(), refusal(404, "", code="DeploymentNotFound"))
        async with serving(server, MODEL, **given(server)) as endpoint:
            with pytest.raises(NetworkError, match="does not know the new deployment") as raised:
                await endpoint.sample([PROMPT], Decoding(8))
    assert raised.value.retry_after


@pytest.mark.parametrize("state", ["Failed", "Canceled"])
async def test_one_that_fails_is_deleted_too(home: Path, state: str) -> None:
    azure = Azure("Creating", state)
    with scripted({}) as server:
        server.routes = Routes(azure, ANSWER)
        with pytest.raises(ProviderError, match="could not deploy"):
            async with serving(server, MODEL, **given(server)):
                pass
    assert azure.standing == {}
    assert leases(home) == []


async def test_one_that_cannot_be_deleted_is_left_to_the_next(
    home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    azure = Azure(delete=Reply(500))
    with scripted({}) as server:
        server.routes = Routes(azure, ANSWER)
        with caplog.at_level(logging.ERROR):
            async with serving(server, MODEL, **given(server)):
                pass
        assert "still stands and may cost money" in caplog.text
        assert TOKEN not in caplog.text
        (left,) = azure.standing
        assert len(leases(home)) == 1
        azure.delete = Reply(204)
        async with serving(server, MODEL, **given(server)):
            assert left not in azure.standing
    assert azure.standing == {}
    assert leases(home) == []


async def test_one_that_a_dead_process_left_is_deleted(home: Path) -> None:
    with scripted({}) as server:
        azure = Azure(delete=Reply(404))  # it is gone already: as good
        server.routes = Routes(azure, ANSWER)
        url = checked(given(server)).base_url
        elsewhere = RESOURCE.replace("acme", "other")
        Leases().begin("openai", url, "vtune-left").note(resource_id=elsewhere).drop()
        Leases().begin("openai", "https://other.example/v1", "vtune-other").drop()
        async with serving(server, MODEL, **given(server)):
            pass
    first = server.seen[0]
    assert first.route == f"DELETE {elsewhere}/deployments/vtune-left"
    (other,) = leases(home)
    assert "vtune-other" in other.read_text()


@pytest.mark.parametrize("resource", [None, "acme", "/subscriptions/s-1", "https://evil.example"])
async def test_a_token_needs_a_resource(resource: str | None) -> None:
    with scripted({}) as server, pytest.raises(InputError, match="the resource it belongs to"):
        async with serving(server, MODEL, **{**given(server), "resource_id": resource}):
            pass
