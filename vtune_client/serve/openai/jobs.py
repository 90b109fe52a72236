"""/v1/fine_tuning/jobs"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route

from vtune_client.provider import State
from vtune_client.serve.records import CheckpointRecord, EventRecord, JobRecord, JobRequest
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.requests import json_body, number, page
from vtune_client.serve.service import Service

MOST = 1000
STATUSES = {
    State.VALIDATING: "validating_files",
    State.FINISHING: "running",
    State.CANCELLING: "running",
    State.UNKNOWN: "running",
}
Auto = Literal["auto"]
Text = Annotated[str, Field(max_length=512)]


class Hyperparameters(BaseModel):
    batch_size: Auto | Annotated[int, Field(ge=1, le=256)] | None = None
    learning_rate_multiplier: Auto | Annotated[float, Field(gt=0)] | None = None
    n_epochs: Auto | Annotated[int, Field(ge=1, le=50)] | None = None
    beta: Auto | Annotated[float, Field(gt=0, le=2)] | None = None


class Recipe(BaseModel):
    hyperparameters: Hyperparameters | None = None


class Method(BaseModel):
    type: Literal["supervised", "dpo", "reinforcement"]
    supervised: Recipe | None = None
    dpo: Recipe | None = None


class Wanted(BaseModel):
    """The body of a request for a job. `hyperparameters` may stand here or inside `method`."""

    model: str
    training_file: str
    validation_file: str | None = None
    method: Method | None = None
    hyperparameters: Hyperparameters | None = None
    suffix: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 31)] | None = None
    metadata: (
        Annotated[dict[Annotated[str, Field(max_length=64)], Text], Field(max_length=16)] | None
    ) = None
    integrations: list[Any] | None = None

    def request(self) -> JobRequest:
        if self.integrations:
            raise Refusal(
                400,
                "This service reports to no other; leave integrations out.",
                code="unsupported_parameter",
                param="integrations",
            )
        method = self.method.type if self.method else "supervised"
        inside = getattr(self.method, method, None)
        chosen = (inside.hyperparameters if inside else None) or self.hyperparameters
        given = {} if chosen is None else chosen.model_dump(exclude_none=True)
        told = {name: value for name, value in given.items() if value != "auto"}
        return JobRequest(
            base=self.model,
            file_id=self.training_file,
            validation_file=self.validation_file,
            method=method,
            epochs=told.get("n_epochs"),
            batch_size=told.get("batch_size"),
            learning_rate_multiplier=told.get("learning_rate_multiplier"),
            options={"beta": told["beta"]} if "beta" in told else {},
            seed=self.seed,
            suffix=self.suffix,
            metadata=self.metadata or {},
        )


def routes(service: Service) -> list[BaseRoute]:
    jobs = service.jobs

    def shown(job: JobRecord) -> JSONResponse:
        return JSONResponse(job_object(job, service))

    async def create(request: Request) -> JSONResponse:
        return shown(jobs.create((await json_body(request, Wanted)).request()))

    async def listed(request: Request) -> JSONResponse:
        wanted = _metadata_filter(request.query_params)
        found = [job for job in jobs.list() if wanted is None or _matches(job, wanted)]
        limit = number(request, "limit", 20, MOST)
        some, more = page(found, request.query_params.get("after"), limit, lambda job: job.id)
        return _list([job_object(job, service) for job in some], more)

    async def get(request: Request) -> JSONResponse:
        return shown(jobs.get(request.path_params["id"]))

    async def events(request: Request) -> JSONResponse:
        found = jobs.events(request.path_params["id"])[::-1]
        limit = number(request, "limit", 20, MOST)
        some, more = page(found, request.query_params.get("after"), limit, lambda event: event.id)
        return _list([_event(event) for event in some], more)

    async def checkpoints(request: Request) -> JSONResponse:
        found = (await jobs.checkpoints(request.path_params["id"]))[::-1]
        limit = number(request, "limit", 10, MOST)
        some, more = page(found, request.query_params.get("after"), limit, lambda item: item.id)
        ends = {
            "first_id": some[0].id if some else None,
            "last_id": some[-1].id if some else None,
        }
        return _list([_checkpoint(item) for item in some], more, **ends)

    def act(
        call: Callable[[str], Awaitable[JobRecord]],
    ) -> Callable[[Request], Awaitable[JSONResponse]]:
        async def handle(request: Request) -> JSONResponse:
            return shown(await call(request.path_params["id"]))

        return handle

    one = "/fine_tuning/jobs/{id}"
    return [
        Route("/fine_tuning/jobs", create, methods=["POST"]),
        Route("/fine_tuning/jobs", listed, methods=["GET"]),
        Route(one, get, methods=["GET"]),
        Route(f"{one}/events", events, methods=["GET"]),
        Route(f"{one}/checkpoints", checkpoints, methods=["GET"]),
        Route(f"{one}/cancel", act(jobs.cancel), methods=["POST"]),
        Route(f"{one}/pause", act(jobs.pause), methods=["POST"]),
        Route(f"{one}/resume", act(jobs.resume), methods=["POST"]),
    ]


def job_object(job: JobRecord, service: Service) -> dict[str, Any]:
    hyperparameters = _hyperparameters(job.request, service.config.recipe)
    error = None
    if job.error is not None:
        error = {
            "code": job.error_code or "server_error",
            "message": job.error,
            "param": job.error_param,
        }
    return {
        "id": job.id,
        "object": "fine_tuning.job",
        "created_at": int(job.created),
        "finished_at": None if job.finished is None else int(job.finished),
        "estimated_finish": None,
        "status": job.raw_status or STATUSES.get(job.status, job.status.value),
        "model": job.base,
        "fine_tuned_model": job.model,
        "organization_id": f"org-{service.config.organization}",
        "training_file": job.file_id,
        "validation_file": job.request.validation_file,
        "result_files": list(job.result_files),
        "trained_tokens": job.trained_tokens,
        "error": error,
        "hyperparameters": hyperparameters,
        "method": {
            "type": job.request.method,
            job.request.method: {"hyperparameters": hyperparameters},
        },
        "seed": job.request.seed or service.config.recipe.get("seed", 0),
        "metadata": dict(job.metadata),
        "integrations": [],
    }


def _hyperparameters(request: JobRequest, recipe: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is trained with, "auto" where only the provider knows."""
    return {
        "n_epochs": request.epochs or recipe.get("epochs", "auto"),
        "batch_size": request.batch_size or recipe.get("batch_size", "auto"),
        "learning_rate_multiplier": request.learning_rate_multiplier or 1,
    }


def _event(event: EventRecord) -> dict[str, Any]:
    return {
        "id": event.id,
        "object": "fine_tuning.job.event",
        "created_at": int(event.at),
        "level": event.level,
        "message": event.message,
        "type": event.kind,
        "data": dict(event.data),
    }


def _checkpoint(item: CheckpointRecord) -> dict[str, Any]:
    return {
        "id": item.id,
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(item.created),
        "fine_tuned_model_checkpoint": item.model,
        "fine_tuning_job_id": item.job_id,
        "step_number": item.step,
        "metrics": {"step": item.step, **item.metrics},
    }


def _list(data: list[dict[str, Any]], more: bool, **ends: str | None) -> JSONResponse:
    return JSONResponse({"object": "list", "data": data, "has_more": more, **ends})


def _metadata_filter(query: QueryParams) -> dict[str, str] | None:
    """Return what `metadata[NAME]=VALUE` asks for; {} for `metadata=null`, jobs without any."""
    if query.get("metadata") == "null":
        return {}
    wanted = {
        name[len("metadata[") : -1]: value
        for name, value in query.items()
        if name.startswith("metadata[") and name.endswith("]")
    }
    return wanted or None


def _matches(job: JobRecord, wanted: Mapping[str, str]) -> bool:
    return wanted.items() <= job.metadata.items() if wanted else not job.metadata
