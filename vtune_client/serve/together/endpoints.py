"""Dedicated endpoints over HTTP (`together/resources/endpoints/`, docs.together.ai).

An endpoint is a name; deployments behind it run a model each; its traffic split says which of them
answer. A deployment stops once `maxReplicas` is 0, or by itself after `inactiveTimeout` minutes.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vtune_client.serve.refusals import Refusal
from vtune_client.serve.requests import json_body
from vtune_client.serve.service import Service
from vtune_client.serve.together.bodies import (
    Autoscaling,
    DeploymentBody,
    DeploymentChange,
    EndpointBody,
    EndpointChange,
)
from vtune_client.serve.together.catalogue import (
    HARDWARE,
    REVISION,
    Catalogue,
    config_id,
    listed,
    model_id,
)
from vtune_client.serve.together.dedicated import (
    READY,
    STOPPED,
    Dedicated,
    DeploymentRecord,
    EndpointRecord,
)
from vtune_client.serve.together.jobs import stamp

LEAST_IDLE, MOST_IDLE = 30, 1440  # minutes
_FILTER = re.compile(r'\s*name\s*=\s*"([^"]*)"\s*')
_SPAN = re.compile(r"([0-9]{1,7})(s|m|h)?")
_SECONDS = {None: 1.0, "s": 1.0, "m": 60.0, "h": 3600.0}


class View:
    """Endpoints and deployments as clients see them."""

    def __init__(self, service: Service, dedicated: Dedicated) -> None:
        self.dedicated, self.slug = dedicated, service.config.organization

    def endpoint(self, record: EndpointRecord) -> dict[str, Any]:
        split = [{"deploymentId": id_, "weight": weight} for id_, weight in record.split]
        behind = self.dedicated.deployments(record.id)
        return {
            "id": record.id,
            "name": f"{self.slug}/{record.name}",
            "projectId": record.project,
            "endpointType": "ENDPOINT_TYPE_DEDICATED",
            "visibility": record.visibility,
            "trafficSplit": split,
            "deployments": [self._summary(record, each) for each in behind],
            "createdAt": stamp(record.created),
            "updatedAt": stamp(record.updated),
            "etag": str(record.version),
        }

    def deployment(self, endpoint: EndpointRecord, record: DeploymentRecord) -> dict[str, Any]:
        ready, _ = self._replicas(record)
        return {
            **self._common(endpoint, record),
            "projectId": endpoint.project,
            "endpointId": endpoint.id,
            "config": f"projects/{endpoint.project}/configs/{record.config}",
            "configId": record.config,
            "modelRevisionId": REVISION,
            "hardware": HARDWARE,
            "inactiveTimeout": record.idle_minutes,
            "status": {
                "state": self._state(record),
                "message": "",
                "readyReplicas": ready,
            },
            "updatedAt": stamp(record.updated),
            "etag": str(record.version),
        }

    def _summary(self, endpoint: EndpointRecord, record: DeploymentRecord) -> dict[str, Any]:
        ready, desired = self._replicas(record)
        return {
            **self._common(endpoint, record),
            "state": self._state(record),
            "hardware": HARDWARE,
            "readyReplicas": ready,
            "desiredReplicas": desired,
        }

    def _common(self, endpoint: EndpointRecord, record: DeploymentRecord) -> dict[str, Any]:
        scaling = {"minReplicas": record.min_replicas, "maxReplicas": record.max_replicas}
        window = {} if record.window is None else {"scaleToZeroWindow": record.window}
        path = f"projects/{endpoint.project}/models/{model_id(record.model)}"
        ready = self.dedicated.state(record) == READY
        share = sum(weight for id_, weight in endpoint.split if id_ == record.id)
        whole = sum(weight for _, weight in endpoint.split)
        return {
            "id": record.id,
            "name": f"{self.slug}/{endpoint.name}/{record.name}",
            "autoscaling": {**scaling, **window},
            "model": f"{path}/revisions/{REVISION}",
            "modelId": model_id(record.model),
            "trafficMode": "TRAFFIC_MODE_LIVE",
            "estimatedEffectiveTrafficShare": share / whole if whole and ready else 0.0,
            "createdAt": stamp(record.created),
        }

    def _state(self, record: DeploymentRecord) -> str:
        return f"DEPLOYMENT_STATE_{self.dedicated.state(record)}"

    def _replicas(self, record: DeploymentRecord) -> tuple[int, int]:
        """Return how many replicas answer, and how many are to."""
        state = self.dedicated.state(record)
        desired = 0 if state == STOPPED else max(1, record.min_replicas)
        return desired if state == READY else 0, desired


class EndpointRoutes:
    def __init__(self, service: Service, dedicated: Dedicated) -> None:
        self._dedicated, self._view = dedicated, View(service, dedicated)
        self._catalogue = Catalogue(service)

    def routes(self) -> list[Route]:
        every = "/v2/projects/{project}/endpoints"
        one, deployments = f"{every}/{{id}}", f"{every}/{{endpoint}}/deployments"
        deployment = f"{deployments}/{{id}}"
        experiments = ("abExperiments", "shadowExperiments", "rollouts")
        return [
            Route(every, self.create, methods=["POST"]),
            Route(every, self.list, methods=["GET"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.update, methods=["PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(deployments, self.deploy, methods=["POST"]),
            Route(deployments, self.deployments, methods=["GET"]),
            Route(deployment, self.deployment, methods=["GET"]),
            Route(deployment, self.change, methods=["PATCH"]),
            Route(deployment, self.undeploy, methods=["DELETE"]),
            Route(f"{deployment}/adapters", self.nothing, methods=["GET"]),
            *(Route(f"{one}/{kind}", self.nothing, methods=["GET"]) for kind in experiments),
        ]

    async def create(self, request: Request) -> Response:
        asked = await json_body(request, EndpointBody)
        project = request.path_params["project"]
        record = self._dedicated.add_endpoint(_bare(asked.name), project, asked.visibility)
        return JSONResponse(self._view.endpoint(record))

    async def list(self, request: Request) -> Response:
        """Return the endpoints; of filters, `name="..."` is understood."""
        found = self._dedicated.endpoints()
        if wanted := request.query_params.get("filter"):
            named = _FILTER.fullmatch(wanted)
            if named is None:
                raise Refusal(400, 'Only the filter name="..." is understood.', param="filter")
            found = [record for record in found if record.name == _bare(named[1])]
        return listed(request, [self._view.endpoint(record) for record in found])

    async def get(self, request: Request) -> Response:
        return JSONResponse(self._view.endpoint(self._endpoint(request, "id")))

    async def update(self, request: Request) -> Response:
        asked = await json_body(request, EndpointChange)
        changes: dict[str, Any] = {}
        if asked.name is not None and _masked(request, "name"):
            changes["name"] = _bare(asked.name)
        if asked.visibility is not None and _masked(request, "visibility"):
            changes["visibility"] = asked.visibility
        if asked.traffic_split is not None and _masked(request, "trafficSplit"):
            changes["split"] = tuple(
                (each.deployment_id, each.weight) for each in asked.traffic_split
            )
        record = self._endpoint(request, "id")
        record = self._dedicated.change_endpoint(record.id, asked.etag, changes)
        return JSONResponse(self._view.endpoint(record))

    async def delete(self, request: Request) -> Response:
        etag = request.query_params.get("etag")
        self._dedicated.delete_endpoint(self._endpoint(request, "id").id, etag)
        return JSONResponse({})

    async def deploy(self, request: Request) -> Response:
        endpoint = self._endpoint(request, "endpoint")
        asked = await json_body(request, DeploymentBody)
        reference = asked.model or asked.model_id
        if not reference:
            raise Refusal(400, "model is missing.", param="model")
        model = self._catalogue.model(reference)
        base = self._catalogue.base(model)
        wanted = asked.config or asked.config_id
        if not wanted or self._catalogue.config(wanted).name != base.name:
            raise Refusal(400, "The config is none of this model's.", param="config")
        if request.query_params.get("validateOnly") == "true":
            return JSONResponse({})
        record = self._dedicated.deploy(
            endpoint.id,
            _bare(asked.name),
            model=model.name,
            config=config_id(base.name),
            **_scaling(asked.autoscaling, None),
            idle_minutes=_idle(asked.inactive_timeout),
        )
        return JSONResponse(self._view.deployment(endpoint, record))

    async def deployments(self, request: Request) -> Response:
        endpoint = self._endpoint(request, "endpoint")
        found = self._dedicated.deployments(endpoint.id)
        return listed(request, [self._view.deployment(endpoint, record) for record in found])

    async def deployment(self, request: Request) -> Response:
        endpoint = self._endpoint(request, "endpoint")
        record = self._dedicated.deployment(endpoint.id, request.path_params["id"])
        return JSONResponse(self._view.deployment(endpoint, record))

    async def change(self, request: Request) -> Response:
        endpoint = self._endpoint(request, "endpoint")
        record = self._dedicated.deployment(endpoint.id, request.path_params["id"])
        asked = await json_body(request, DeploymentChange)
        changes: dict[str, Any] = {}
        if asked.autoscaling is not None and _masked(request, "autoscaling"):
            now = (record.min_replicas, record.max_replicas)
            changes |= _scaling(asked.autoscaling, now)
        if asked.inactive_timeout is not None and _masked(request, "inactiveTimeout"):
            changes["idle_minutes"] = _idle(asked.inactive_timeout)
        if asked.name is not None and _masked(request, "name"):
            changes["name"] = _bare(asked.name)
        record = self._dedicated.change_deployment(endpoint.id, record.id, asked.etag, changes)
        return JSONResponse(self._view.deployment(endpoint, record))

    async def undeploy(self, request: Request) -> Response:
        endpoint, etag = self._endpoint(request, "endpoint"), request.query_params.get("etag")
        self._dedicated.undeploy(endpoint.id, request.path_params["id"], etag)
        return JSONResponse({})

    async def nothing(self, request: Request) -> Response:
        """Answer that there are no experiments, rollouts or adapters: none can be made here."""
        self._endpoint(request, "endpoint" if "endpoint" in request.path_params else "id")
        return listed(request, [])

    def _endpoint(self, request: Request, param: str) -> EndpointRecord:
        return self._dedicated.endpoint(request.path_params[param])


def _masked(request: Request, field: str) -> bool:
    """Return whether a change of this field is meant: it is in the mask, or there is no mask."""
    query = request.query_params
    mask = query.get("updateMask") or query.get("update_mask")
    if not mask:
        return True
    paths = (path.strip().replace("_", "").lower() for path in mask.split(","))
    return any(path.partition(".")[0] == field.lower() for path in paths)


def _scaling(asked: Autoscaling, now: tuple[int, int] | None) -> dict[str, Any]:
    """Return what of a deployment changes; `now` are its bounds, None for a new one."""
    least, most = asked.min_replicas, asked.max_replicas
    if now is not None:
        least, most = now[0] if least is None else least, now[1] if most is None else most
    least = min(1, 1 if most is None else most) if least is None else least
    most = least if most is None else most
    if most < least:
        raise Refusal(400, "maxReplicas is below minReplicas.", param="autoscaling")
    changes: dict[str, Any] = {"min_replicas": least, "max_replicas": most}
    if asked.scale_to_zero_window is not None:
        changes["window"] = asked.scale_to_zero_window
        changes["window_s"] = _span(asked.scale_to_zero_window)
    return changes


def _span(text: str) -> float:
    found = _SPAN.fullmatch(text)
    if found is None:
        raise Refusal(400, "scaleToZeroWindow is no duration such as 300s or 5m.")
    return int(found[1]) * _SECONDS[found[2]]


def _idle(minutes: int | None) -> int:
    if minutes and not LEAST_IDLE <= minutes <= MOST_IDLE:
        raise Refusal(
            400,
            f"inactiveTimeout is 0 or between {LEAST_IDLE} and {MOST_IDLE} minutes.",
            param="inactiveTimeout",
        )
    return minutes or 0


def _bare(name: str) -> str:
    return name.rpartition("/")[2]
