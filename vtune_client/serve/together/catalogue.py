"""Whose key it is, and what there is: models, configurations to deploy them by, hardware.

There is one project; a client may call it what it likes. Models have ids of their own beside their
names. All are deployed in one way, on one kind of hardware: the machine that serves.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vtune_client.serve.models import ModelRecord
from vtune_client.serve.refusals import not_found
from vtune_client.serve.requests import number, page
from vtune_client.serve.service import Service
from vtune_client.serve.together.jobs import stamp

HARDWARE_COUNT, HARDWARE_TYPE = 1, "local-cpu"
HARDWARE = f"{HARDWARE_COUNT}x{HARDWARE_TYPE}"
CENTS_PER_HOUR = 60
REVISION = "rv_1"
PUBLIC = "public"  # the project that the bases belong to
MOST = 500
_PATH = re.compile(r"projects/[^/]+/models/([^/]+)(?:/revisions/[^/]+)?")
_CONFIG = re.compile(r"(?:projects/[^/]+/configs/)?([^/]+)")


class Catalogue:
    """Models and configurations by their ids."""

    def __init__(self, service: Service) -> None:
        self.models, self.organization = service.models, service.config.organization

    @property
    def project(self) -> dict[str, str]:
        slug = self.organization
        return {"id": f"project-{slug}", "name": slug, "slug": slug}

    def model(self, reference: str) -> ModelRecord:
        """Return the model of an id, a name or a resource path; `Refusal` 404 for another."""
        path = _PATH.fullmatch(reference)
        wanted = path[1] if path else reference
        for model in self.models.list():
            if wanted in (model_id(model.name), model.name):
                return model
        raise not_found("model", reference)

    def base(self, model: ModelRecord) -> ModelRecord:
        """Return the base of a model, which may be itself."""
        return self.models.get(model.job.base) if model.job else model

    def owned(self) -> list[ModelRecord]:
        return [model for model in self.models.list() if model.job is not None]

    def bases(self) -> list[ModelRecord]:
        return [model for model in self.models.list() if model.job is None]

    def config(self, reference: str) -> ModelRecord:
        """Return the base that a configuration is of; `Refusal` 404 for another."""
        found = _CONFIG.fullmatch(reference)
        for base in self.bases():
            if found and found[1] == config_id(base.name):
                return base
        raise not_found("config", reference)


class CatalogueRoutes:
    def __init__(self, service: Service) -> None:
        self._catalogue = Catalogue(service)

    def routes(self) -> list[Route]:
        project = "/v2/projects/{project}"
        hardware = "/v2/public/inference-instance-types"
        return [
            Route("/v3/whoami", self.whoami, methods=["GET"]),
            Route("/v1/projects", self.projects, methods=["GET"]),
            Route("/v1/models", self.names, methods=["GET"]),
            Route("/v2/supported-models", self.supported, methods=["GET"]),
            Route("/v2/supported-models/{id}", self.supported_one, methods=["GET"]),
            Route(f"{project}/models", self.list, methods=["GET"]),
            Route(f"{project}/models/{{id}}", self.get, methods=["GET"]),
            Route(f"{project}/models/{{id}}", self.delete, methods=["DELETE"]),
            Route(f"{project}/configs", self.configs, methods=["GET"]),
            Route(f"{project}/configs/{{id}}", self.config, methods=["GET"]),
            Route(hardware, self.hardware, methods=["GET"]),
            Route(f"{hardware}/{{id}}", self.hardware_one, methods=["GET"]),
        ]

    async def whoami(self, request: Request) -> Response:
        name = self._catalogue.organization
        return JSONResponse(
            {
                "type": "project_api_key",
                "api_key": {"id": f"key-{name}"},
                "organization": {"id": f"org-{name}", "name": name},
                "project": self._catalogue.project,
            }
        )

    async def projects(self, request: Request) -> Response:
        name = self._catalogue.organization
        owner = {"organization_id": f"org-{name}", "organization_name": name}
        return JSONResponse({"data": [{**self._catalogue.project, **owner}], "next_cursor": None})

    async def names(self, request: Request) -> Response:
        """Return all models as version 1 of the API lists them: a bare list."""
        return JSONResponse(
            [
                {
                    "id": model.name,
                    "object": "model",
                    "created": int(model.created),
                    "type": "chat",
                    "display_name": model.name,
                    "organization": self._catalogue.organization,
                }
                for model in self._catalogue.models.list()
            ]
        )

    async def supported(self, request: Request) -> Response:
        """Return the bases, those whose name holds `search`."""
        text = request.query_params.get("search", "").lower()
        found = [base for base in self._catalogue.bases() if text in base.name.lower()]
        return listed(request, [_supported(base) for base in found])

    async def supported_one(self, request: Request) -> Response:
        return JSONResponse(_supported(self._catalogue.model(request.path_params["id"])))

    async def list(self, request: Request) -> Response:
        project = request.path_params["project"]
        return listed(request, [self._model(model, project) for model in self._catalogue.owned()])

    async def get(self, request: Request) -> Response:
        model = self._catalogue.model(request.path_params["id"])
        return JSONResponse(self._model(model, request.path_params["project"]))

    async def delete(self, request: Request) -> Response:
        model = self._catalogue.model(request.path_params["id"])
        await self._catalogue.models.delete(model.name)
        return JSONResponse({})

    async def configs(self, request: Request) -> Response:
        """Return the configurations that fit a model."""
        query = request.query_params
        reference = query.get("referenceModelId") or query.get("referenceModel")
        if reference is None:
            found = self._catalogue.bases()
        else:
            found = [self._catalogue.base(self._catalogue.model(reference))]
        return listed(request, [_config(base) for base in found])

    async def config(self, request: Request) -> Response:
        return JSONResponse(_config(self._catalogue.config(request.path_params["id"])))

    async def hardware(self, request: Request) -> Response:
        return listed(request, [_HARDWARE])

    async def hardware_one(self, request: Request) -> Response:
        if request.path_params["id"] not in (_HARDWARE["id"], HARDWARE):
            raise not_found("instance type", request.path_params["id"])
        return JSONResponse(_HARDWARE)

    def _model(self, model: ModelRecord, project: str) -> dict[str, Any]:
        base = self._catalogue.base(model)
        shown: dict[str, Any] = {
            "id": model_id(model.name),
            "name": model.name,
            "organizationId": f"org-{self._catalogue.organization}",
            "projectId": PUBLIC if model.job is None else project,
            "visibility": "VISIBILITY_PRIVATE",
            "weights": {"type": "WEIGHTS_TYPE_DEFAULT"},
        }
        if model.job is not None:
            shown["baseModel"] = f"projects/{PUBLIC}/models/{model_id(base.name)}"
            shown["baseModelId"] = model_id(base.name)
        return shown


def model_id(name: str) -> str:
    return f"ml_{_digest(name)}"


def config_id(base: str) -> str:
    return f"cr_{_digest(base)}"


def listed(request: Request, items: list[dict[str, Any]]) -> JSONResponse:
    """Return one page of a list; its last id is the cursor to the next."""
    after = request.query_params.get("after") or None
    some, more = page(
        items, after, number(request, "limit", 50, MOST), lambda item: str(item["id"])
    )
    cursor = some[-1]["id"] if more else None
    return JSONResponse({"object": "list", "data": list(some), "next_cursor": cursor})


def _digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def _config(base: ModelRecord) -> dict[str, Any]:
    return {
        "id": config_id(base.name),
        "projectId": PUBLIC,
        "referenceModel": f"projects/{PUBLIC}/models/{model_id(base.name)}",
        "referenceModelId": model_id(base.name),
        "certifications": [],
        "selectors": [
            {"key": "accelerator_type", "value": HARDWARE_TYPE},
            {"key": "accelerator_count", "value": str(HARDWARE_COUNT)},
        ],
    }


def _supported(base: ModelRecord) -> dict[str, Any]:
    path = f"projects/{PUBLIC}/models/{model_id(base.name)}"
    profile = {
        "profileId": config_id(base.name),
        "config": f"projects/{PUBLIC}/configs/{config_id(base.name)}",
        "certifiedConfigRevisionId": config_id(base.name),
        "certifiedModelRevisionId": REVISION,
        "gpuCount": HARDWARE_COUNT,
        "gpuType": HARDWARE_TYPE,
        "model": f"{path}/revisions/{REVISION}",
        "modelName": base.name,
        "parallelism": "TP1",
        "performanceBenchmarks": {},
        "quantization": "none",
    }
    return {
        "id": model_id(base.name),
        "name": base.name,
        "displayName": base.name,
        "displayType": "Chat",
        "baseModel": path,
        "baseModelId": model_id(base.name),
        "capabilities": ["CAPABILITY_CHAT"],
        "createdAt": stamp(base.created),
        "updatedAt": stamp(base.created),
        "deploymentProfiles": [profile],
        "inputModalities": ["MODALITY_TEXT"],
        "outputModalities": ["MODALITY_TEXT"],
        "products": ["PRODUCT_SERVERLESS", "PRODUCT_DEDICATED", "PRODUCT_FINE_TUNING"],
        "publisher": PUBLIC,
        "status": "SUPPORTED_MODEL_STATUS_SUPPORTED",
    }


_HARDWARE: dict[str, Any] = {
    "id": f"it_{_digest(HARDWARE)}",
    "name": HARDWARE,
    "description": "The machine that serves",
    "gpuCount": HARDWARE_COUNT,
    "gpuMemoryGib": 0,
    "gpuType": HARDWARE_TYPE,
    "priceCentsPerHour": CENTS_PER_HOUR,
    "regions": [{"name": "local"}],
}
