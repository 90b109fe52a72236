"""Dedicated endpoints in Together's shape: rented, asked, given back; and what there is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("together")

import httpx
import together
from together import Together

from tests.memory import BASE, Service
from tests.serve.conftest import until
from tests.serve.shape import PROJECT, created, ended, plain, together_of, uploaded
from tests.serving import Server, serving

ASKED: Any = [{"role": "user", "content": "Tell me about rivers number 0."}]


@pytest.fixture
def client(server: Server) -> Iterator[Together]:
    with together_of(server) as made:
        yield made


@pytest.fixture
def http(server: Server) -> Iterator[httpx.Client]:
    with plain(server) as made:
        yield made


def rent(client: Together, model: str, **more: Any) -> tuple[Any, Any]:
    """Return an endpoint and a deployment of the model behind it, all traffic to it."""
    endpoint = client.endpoints.create(name="mine")
    [config] = client.models.configs.list(reference_model_id=model).data
    wanted: dict[str, Any] = {
        "model": f"projects/{PROJECT}/models/{model}",
        "config": f"projects/{config.project_id}/configs/{config.id}",
        "autoscaling": {"min_replicas": 1, "max_replicas": 1},
        "inactive_timeout": 30,
    }
    deployment = client.endpoints.deployments.create(endpoint.id, name="one", **{**wanted, **more})
    split: Any = [{"deployment_id": deployment.id, "weight": 1.0}]
    changed = client.endpoints.update(
        endpoint.id, traffic_split=split, update_mask="trafficSplit", etag=endpoint.etag
    )
    return changed, deployment


def state(client: Together, endpoint: Any, deployment: Any) -> str:
    found = client.endpoints.deployments.retrieve(deployment.id, endpoint_id=endpoint.id)
    return str(found.status.state)


def test_a_tuned_model_on_hardware_of_its_own(server: Server, client: Together, rows: Path) -> None:
    name = ended(client, created(client, uploaded(client, rows))).x_model_output_name
    [model] = [found for found in client.models.list() if found.name == name]
    endpoint, deployment = rent(client, model.id)
    [hardware] = client.endpoints.hardware.list().data
    assert (deployment.hardware, deployment.inactive_timeout) == (hardware.name, 30)
    until(lambda: state(client, endpoint, deployment) == "DEPLOYMENT_STATE_READY")
    assert endpoint.name == "vtune/mine"
    answer = client.chat.completions.create(model=endpoint.name, messages=ASKED)
    assert answer.choices[0].message is not None
    assert answer.choices[0].message.content == "Here is what I know of rivers."
    [running] = server.endpoints()
    assert running["id"] == endpoint.id
    with pytest.raises(together.BadRequestError, match="runs"):
        client.endpoints.deployments.delete(deployment.id, endpoint_id=endpoint.id)
    with pytest.raises(together.BadRequestError, match="deployments"):
        client.endpoints.delete(endpoint.id)
    client.endpoints.deployments.update(
        deployment.id, endpoint_id=endpoint.id, autoscaling={"min_replicas": 0, "max_replicas": 0}
    )
    assert server.endpoints() == []
    with pytest.raises(together.BadRequestError, match="stopped"):
        client.chat.completions.create(model=endpoint.name, messages=ASKED)
    client.endpoints.deployments.delete(deployment.id, endpoint_id=endpoint.id)
    client.endpoints.delete(endpoint.id)
    assert list(client.endpoints.list()) == []


def test_an_endpoint_without_traffic_does_not_answer(client: Together) -> None:
    endpoint, _ = rent(client, "tiny")
    client.endpoints.update(endpoint.id, traffic_split=[])
    with pytest.raises(together.NotFoundError):
        client.chat.completions.create(model=endpoint.name, messages=ASKED)


def test_endpoints_are_found_by_name_and_page_by_page(client: Together) -> None:
    made = [client.endpoints.create(name=name).id for name in ("one", "two", "three")]
    assert [found.id for found in client.endpoints.list(limit=1)] == made
    assert [found.id for found in client.endpoints.list(filter='name="two"')] == [made[1]]
    with pytest.raises(together.ConflictError):
        client.endpoints.create(name="two")
    with pytest.raises(together.ConflictError):
        client.endpoints.update(made[0], name="two")
    with pytest.raises(together.ConflictError):
        client.endpoints.update(made[0], name="four", etag="stale")
    with pytest.raises(together.NotFoundError):
        client.endpoints.retrieve("ep_0")


def test_only_what_the_mask_names_is_changed(client: Together) -> None:
    made = client.endpoints.create(name="one")
    changed = client.endpoints.update(
        made.id, name="two", visibility="VISIBILITY_INTERNAL", update_mask="visibility"
    )
    assert (changed.name, changed.visibility) == ("vtune/one", "VISIBILITY_INTERNAL")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"inactive_timeout": 5}, "inactiveTimeout"),
        ({"inactive_timeout": 2000}, "inactiveTimeout"),
        ({"config": "projects/public/configs/cr_0"}, "config"),
        ({"model": f"projects/{PROJECT}/models/ml_0"}, "model"),
        ({"autoscaling": {"min_replicas": 2, "max_replicas": 1}}, "maxReplicas"),
        ({"autoscaling": {"scale_to_zero_window": "soon"}}, "scaleToZeroWindow"),
        ({"name": "no spaces"}, "name"),
    ],
)
def test_deployments_that_are_refused(
    server: Server, client: Together, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(together.APIStatusError, match=message) as caught:
        client.endpoints.deployments.create(
            **{
                "endpoint_id": client.endpoints.create(name="mine").id,
                "name": "one",
                "model": "tiny",
                "config": client.models.configs.list().data[0].id,
                "autoscaling": {"min_replicas": 1},
                **wrong,
            }
        )
    assert caught.value.status_code in (400, 404)
    assert server.endpoints() == []


def test_a_rented_endpoint_outlives_a_restart(tmp_path: Path, memory: Service) -> None:
    bases = {"tiny": BASE}
    with serving(tmp_path, bases=bases, provider="memory") as server, together_of(server) as client:
        endpoint, _ = rent(client, "tiny")
    with serving(tmp_path, bases=bases, provider="memory") as server:
        assert [running["id"] for running in server.endpoints()] == [endpoint.id]


def test_whose_key_it_is(client: Together, http: httpx.Client) -> None:
    told = client.whoami()
    [project] = client.projects.list()
    assert told.type == "project_api_key"
    assert (told.project.id, told.project.slug) == (project.id, project.slug)
    assert [model["id"] for model in http.get("/v1/models").json()] == ["tiny"]


def test_the_bases_are_everybodys(client: Together) -> None:
    [found] = client.models.list_supported(search="TIN").data
    [profile] = found.deployment_profiles
    assert (found.name, profile.api_model_name) == ("tiny", "tiny")
    assert client.models.list_supported(search="huge").data == []
    assert list(client.models.list()) == []
    base = client.models.retrieve(found.base_model_id)
    assert (base.name, base.base_model_id) == ("tiny", None)
