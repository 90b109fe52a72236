"""Fine-tuning jobs: limits, price, create, look, stop.

How a job trains beyond epochs, batch size, learning rate and seed (LoRA or all weights, schedule,
warm-up, ...) is the recipe of whoever runs the service: what a client wishes there is kept and
shown again. Prices are told as a paid service tells them; nobody is billed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from vtune_client.serve.records import FileRecord, JobRecord, JobRequest
from vtune_client.serve.refusals import Refusal
from vtune_client.serve.requests import json_body
from vtune_client.serve.service import Service
from vtune_client.serve.together import jobs
from vtune_client.serve.together.bodies import FineTuneBody, PriceBody
from vtune_client.serve.together.weights import Weights

USER_LIMIT_USD = 100.0
MOST_EPOCHS, MOST_BATCH = 100, 256
LEAST_RATE, MOST_RATE = 1e-8, 0.1
ROW_TOKENS = 8192  # where the trainer knows no limit of its own
METHODS = {"sft": "supervised"}
# They would hand the data, or the model, to somebody else.
_ELSEWHERE = (
    "from_checkpoint",
    "from_hf_model",
    "hf_output_repo_name",
    "hf_api_token",
    "wandb_key",
    "wandb_project_name",
)
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


class FineTuneRoutes:
    def __init__(self, service: Service, weights: Weights) -> None:
        self._service, self._weights = service, weights
        self._jobs = service.jobs

    def routes(self) -> list[Route]:
        return [
            Route("/v1/fine-tunes/models/limits", self.limits, methods=["GET"]),
            Route("/v1/fine-tunes/estimate-price", self.price, methods=["POST"]),
            Route("/v1/fine-tunes", self.create, methods=["POST"]),
            Route("/v1/fine-tunes", self.list, methods=["GET"]),
            Route("/v1/fine-tunes/{id}", self.get, methods=["GET"]),
            Route("/v1/fine-tunes/{id}", self.delete, methods=["DELETE"]),
            Route("/v1/fine-tunes/{id}/events", self.events, methods=["GET"]),
            Route("/v1/fine-tunes/{id}/metrics", self.metrics, methods=["GET"]),
            Route("/v1/fine-tunes/{id}/checkpoints", self.checkpoints, methods=["GET"]),
            Route("/v1/fine-tunes/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/v1/finetune/download", self._weights.download, methods=["GET"]),
        ]

    async def limits(self, request: Request) -> Response:
        """Say what a base may be trained with (`together/types/finetune_model_limits.py`)."""
        name = request.query_params.get("model_name", "")
        base = self._service.config.bases.get(name)
        if base is None:
            raise Refusal(404, f"The model {name!r} cannot be fine-tuned.", param="model_name")
        tokens = await self._service.trainer.max_row_tokens(base) or ROW_TOKENS
        batch = {"min_batch_size": 1, "max_batch_size": MOST_BATCH, "max_batch_size_dpo": 1}
        lora = {"default_rank": 16, "max_rank": 64, "target_modules": ["all-linear"], **batch}
        return JSONResponse(
            {
                "model_name": name,
                "default_gradient_accumulation_steps": 1,
                "lora_training": lora,
                "full_training": batch,
                "supports_full_training": True,
                "supports_reasoning": False,
                "supports_tools": False,
                "supports_vision": False,
                "merge_output_lora": False,
                "max_num_epochs": MOST_EPOCHS,
                "max_num_checkpoints": 1,
                "max_num_evals": 100,
                "min_learning_rate": LEAST_RATE,
                "max_learning_rate": MOST_RATE,
                "min_max_seq_length": min(256, tokens),
                "max_seq_length_sft": tokens,
                "max_seq_length_dpo": tokens,
            }
        )

    async def price(self, request: Request) -> Response:
        """Say what training would cost, or why that cannot be said yet."""
        asked = await json_body(request, PriceBody)
        file = self._service.files.get(asked.training_file)
        if file.tokens is None:
            bad = file.status == "error"
            reason = "train_file_invalid" if bad else "train_file_not_validated"
            return JSONResponse({"estimation_available": False, "unavailable_reason": reason})
        price = price_of(file, asked.n_epochs)
        return JSONResponse(
            {
                "estimation_available": True,
                "estimated_total_price": price,
                "estimated_train_token_count": file.tokens * asked.n_epochs,
                "estimated_eval_token_count": 0,
                "allowed_to_proceed": price <= USER_LIMIT_USD,
                "user_limit": USER_LIMIT_USD,
            }
        )

    async def create(self, request: Request) -> Response:
        asked = await json_body(request, FineTuneBody)
        _refuse(asked)
        job = self._jobs.create(self._request(asked), kind="ft")
        return JSONResponse(self._shown(job))

    async def list(self, request: Request) -> Response:
        shown = [self._shown(job) for job in self._jobs.list()]
        return JSONResponse({"data": shown})

    async def get(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["id"])
        return JSONResponse({**self._shown(job), "events": self._events(job)})

    async def delete(self, request: Request) -> Response:
        job_id = request.path_params["id"]
        self._jobs.delete(job_id)
        self._weights.drop(job_id)
        return JSONResponse({"message": f"Deleted {job_id}."})

    async def events(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["id"])
        return JSONResponse({"data": self._events(job)})

    async def metrics(self, request: Request) -> Response:
        """Return the recorded metrics, evenly thinned out to `resolution` rows."""
        events = self._jobs.events(request.path_params["id"])
        rows = [jobs.metric(event) for event in events if event.kind == "metrics"]
        query = request.query_params
        first, last = _bound(query.get("global_step_from")), _bound(query.get("global_step_to"))
        rows = [
            row
            for row in rows
            if (first is None or row[jobs.STEP] >= first)
            and (last is None or row[jobs.STEP] <= last)
        ]
        most = _bound(query.get("resolution"))
        if most is not None and 0 < most < len(rows):
            rows = [rows[index * len(rows) // most] for index in range(most)]
        return JSONResponse({"metrics": rows})

    async def checkpoints(self, request: Request) -> Response:
        job = self._jobs.get(request.path_params["id"])
        found = await self._jobs.checkpoints(job.id)
        return JSONResponse({"data": [jobs.checkpoint(record, job) for record in found]})

    async def cancel(self, request: Request) -> Response:
        job = await self._jobs.cancel(request.path_params["id"])
        return JSONResponse(self._shown(job))

    def _request(self, asked: FineTuneBody) -> JobRequest:
        base = asked.model or ""
        method = asked.training_method.method
        suffix = _ODD.sub("-", asked.suffix or "").strip("-")
        parts = (base.rpartition("/")[2], suffix, secrets.token_hex(4))
        return JobRequest(
            base=base,
            file_id=asked.training_file,
            validation_file=asked.validation_file or None,
            method=METHODS.get(method, method),
            epochs=asked.n_epochs,
            batch_size=None if asked.batch_size == "max" else asked.batch_size,
            learning_rate=asked.learning_rate,
            seed=asked.random_seed,
            suffix=asked.suffix,
            name=f"{self._service.config.organization}/{'-'.join(filter(None, parts))}",
            asked=asked.model_dump(exclude_none=True),
        )

    def _shown(self, job: JobRecord) -> dict[str, Any]:
        try:
            file = self._service.files.get(job.file_id)
        except Refusal:  # deleted since
            file = None
        return jobs.shown(job, file, self._service.config)

    def _events(self, job: JobRecord) -> Sequence[dict[str, Any]]:
        events = self._jobs.events(job.id)
        return [jobs.event(event) for event in events if event.kind != "metrics"]


def price_of(file: FileRecord, epochs: int) -> float:
    """Return the price of training on a file in US dollars."""
    return round((file.tokens or 0) * epochs * jobs.USD_PER_MILLION / 1e6, 9)


def _refuse(asked: FineTuneBody) -> None:
    extra = asked.model_extra or {}
    for name in _ELSEWHERE:
        if extra.get(name) or getattr(asked, name, None):
            raise Refusal(400, f"{name} is not offered here.", code="unsupported", param=name)
    if not asked.model:
        raise Refusal(400, "model is missing.", param="model")
    rate = asked.learning_rate
    beyond = {
        "n_epochs": asked.n_epochs > MOST_EPOCHS,
        "batch_size": asked.batch_size != "max" and asked.batch_size > MOST_BATCH,
        "learning_rate": rate is not None and not LEAST_RATE <= rate <= MOST_RATE,
    }
    for name, is_beyond in beyond.items():
        if is_beyond:
            raise Refusal(400, f"{name} is outside the model's limits.", param=name)


def _bound(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise Refusal(400, "A bound is not a whole number.")
    return int(text)
