"""Dedicated endpoints and their deployments: what is there, and whether it runs.

A deployment that nobody asks for as long as its idle limit stops, as the real ones do; one without
a limit runs, and would cost money, until it is told to stop. States follow from the record and the
clock alone, so nothing has to tick. Here nothing really starts or stops: the service answers from
one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vtune_client.serve.records import new_id
from vtune_client.serve.refusals import Refusal, not_found
from vtune_client.serve.store import Shelf, Store

START_S = 0.25  # how long a deployment says that it is being provisioned
PROVISIONING, READY, STOPPED = "PROVISIONING", "READY", "STOPPED"


@dataclass(frozen=True)
class EndpointRecord:
    """`split` lists (deployment id, weight); `version` counts the changes."""

    id: str
    name: str
    project: str
    visibility: str
    created: float
    updated: float
    split: tuple[tuple[str, float], ...] = ()
    version: int = 1


@dataclass(frozen=True)
class DeploymentRecord:
    """`model` is a name the service answers by. With `idle_minutes` 0 and `window_s` None (`window`
    is the same in the client's words) it never stops by itself. `started` is when its replicas
    last came up, `used` when it was last asked."""

    id: str
    endpoint_id: str
    name: str
    model: str
    config: str
    created: float
    updated: float
    started: float
    used: float
    min_replicas: int = 1
    max_replicas: int = 1
    idle_minutes: int = 0
    window: str | None = None
    window_s: float | None = None
    version: int = 1


@dataclass
class Dedicated:
    """Kept in the service's store: endpoints outlive a restart, as rented hardware does."""

    store: Store
    clock: Callable[[], float] = time.time
    start_s: float = START_S
    _endpoints: Shelf[EndpointRecord] = field(init=False)
    _deployments: Shelf[DeploymentRecord] = field(init=False)

    def __post_init__(self) -> None:
        self._endpoints = Shelf(self.store, "endpoint", _endpoint)
        self._deployments = Shelf(self.store, "deployment", DeploymentRecord)

    def endpoints(self) -> Sequence[EndpointRecord]:
        """Return all endpoints, oldest first."""
        return self._endpoints.all()

    def running(self) -> Sequence[EndpointRecord]:
        """Return those that have a deployment which is not stopped."""
        going = {
            each.endpoint_id for each in self._deployments.all() if self.state(each) != STOPPED
        }
        return [record for record in self.endpoints() if record.id in going]

    def endpoint(self, endpoint_id: str) -> EndpointRecord:
        record = self._endpoints.get(endpoint_id)
        if record is None:
            raise not_found("endpoint", endpoint_id)
        return record

    def add_endpoint(self, name: str, project: str, visibility: str) -> EndpointRecord:
        self._refuse_taken(name, self.endpoints())
        now = self.clock()
        record = EndpointRecord(_id("ep"), name, project, visibility, now, now)
        return self._endpoints.put(record)

    def change_endpoint(
        self, endpoint_id: str, etag: str | None, changes: dict[str, Any]
    ) -> EndpointRecord:
        record = self.endpoint(endpoint_id)
        _refuse_stale(record.version, etag)
        if changes.get("name", record.name) != record.name:
            self._refuse_taken(changes["name"], self.endpoints())
        known = {each.id for each in self.deployments(endpoint_id)}
        for deployment_id, _ in changes.get("split", ()):
            if deployment_id not in known:
                raise not_found("deployment", deployment_id)
        more = {"updated": self.clock(), "version": record.version + 1}
        return self._endpoints.update(endpoint_id, **changes, **more)

    def delete_endpoint(self, endpoint_id: str, etag: str | None) -> None:
        """Delete an endpoint; `Refusal` while it has deployments."""
        _refuse_stale(self.endpoint(endpoint_id).version, etag)
        if self.deployments(endpoint_id):
            raise Refusal(
                400, "The endpoint has deployments: delete them first.", code="failed_precondition"
            )
        self._endpoints.remove(endpoint_id)

    def deployments(self, endpoint_id: str) -> Sequence[DeploymentRecord]:
        return [each for each in self._deployments.all() if each.endpoint_id == endpoint_id]

    def deployment(self, endpoint_id: str, deployment_id: str) -> DeploymentRecord:
        record = self._deployments.get(deployment_id)
        if record is None or record.endpoint_id != endpoint_id:
            raise not_found("deployment", deployment_id)
        return record

    def deploy(self, endpoint_id: str, name: str, **wanted: Any) -> DeploymentRecord:
        self._refuse_taken(name, self.deployments(self.endpoint(endpoint_id).id))
        now = self.clock()
        record = DeploymentRecord(
            _id("dep"), endpoint_id, name, created=now, updated=now, started=now, used=now, **wanted
        )
        return self._deployments.put(record)

    def change_deployment(
        self, endpoint_id: str, deployment_id: str, etag: str | None, changes: dict[str, Any]
    ) -> DeploymentRecord:
        """Change a deployment; replicas for one that is stopped start it again."""
        record = self.deployment(endpoint_id, deployment_id)
        _refuse_stale(record.version, etag)
        now, more = self.clock(), {"version": record.version + 1}
        if self.state(record) == STOPPED and changes.get("max_replicas"):
            changes |= {"started": now, "used": now}
        return self._deployments.update(deployment_id, **changes, updated=now, **more)

    def undeploy(self, endpoint_id: str, deployment_id: str, etag: str | None) -> None:
        """Delete a deployment; `Refusal` while it runs."""
        record = self.deployment(endpoint_id, deployment_id)
        _refuse_stale(record.version, etag)
        if self.state(record) != STOPPED:
            raise Refusal(
                400,
                "The deployment runs: set its replicas to 0 first.",
                code="failed_precondition",
            )
        self._deployments.remove(deployment_id)
        endpoint = self.endpoint(endpoint_id)
        split = [entry for entry in endpoint.split if entry[0] != deployment_id]
        self._endpoints.update(endpoint_id, split=split)

    def state(self, record: DeploymentRecord) -> str:
        """Return READY, PROVISIONING or STOPPED."""
        now = self.clock()
        limits = [record.idle_minutes * 60.0 or None, record.window_s]
        idle = now - max(record.used, record.started)
        if record.max_replicas == 0 or any(limit and idle >= limit for limit in limits):
            return STOPPED
        return PROVISIONING if now - record.started < self.start_s else READY

    def routed(self, name: str) -> str | None:
        """Return the model behind `ENDPOINT` or `ENDPOINT/DEPLOYMENT`, and note that it was asked;
        None where there is no such name, `Refusal` where nothing behind it answers."""
        endpoint_name, _, deployment_name = name.partition("/")
        endpoint = next((each for each in self.endpoints() if each.name == endpoint_name), None)
        if endpoint is None:
            return None
        live = {deployment_id for deployment_id, weight in endpoint.split if weight > 0}
        behind = [
            each
            for each in self.deployments(endpoint.id)
            if (each.name == deployment_name if deployment_name else each.id in live)
        ]
        if not behind:
            raise Refusal(404, "The endpoint routes to no deployment.", code="not_routed")
        states = {self.state(each): each for each in behind}
        if READY in states:
            chosen = self._deployments.update(states[READY].id, used=self.clock())
            return chosen.model
        if PROVISIONING in states:
            raise Refusal(503, "The endpoint is starting.", code="not_ready", retry_after=1)
        raise Refusal(400, "The endpoint is stopped.", code="stopped")

    def _refuse_taken(
        self, name: str, known: Sequence[EndpointRecord] | Sequence[DeploymentRecord]
    ) -> None:
        if any(each.name == name for each in known):
            raise Refusal(409, f"The name {name!r} is taken.", code="already_exists", param="name")


def _endpoint(**body: Any) -> EndpointRecord:
    split = tuple((deployment_id, weight) for deployment_id, weight in body.pop("split"))
    return EndpointRecord(**body, split=split)


def _id(kind: str) -> str:
    return f"{kind}_{new_id(kind).partition('-')[2]}"


def _refuse_stale(version: int, etag: str | None) -> None:
    if etag is not None and etag != str(version):
        raise Refusal(409, "It was changed since you read it.", code="aborted", param="etag")
