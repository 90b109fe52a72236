"""A job in Together's shape (`together/types/finetune_response.py` and what stands beside it)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from vtune_client.provider import State
from vtune_client.serve.config import ServeConfig
from vtune_client.serve.records import CheckpointRecord, EventRecord, FileRecord, JobRecord

STEP = "train/global_step"
NANODOLLARS = 1_000_000_000
USD_PER_MILLION = 0.48  # for a million trained tokens
_STATUS = {
    State.VALIDATING: "pending",
    State.QUEUED: "queued",
    State.RUNNING: "running",
    State.FINISHING: "uploading",
    State.PAUSED: "queued",  # Together pauses no job: one that is held seems to wait
    State.CANCELLING: "cancel_requested",
    State.SUCCEEDED: "completed",
    State.FAILED: "error",
    State.CANCELLED: "cancelled",
}
# How events begin, and Together's type for each; the first that fits.
_TYPES = (
    ("Created fine-tuning job", "job_pending"),
    ("Validating", "training_data_downloading"),
    ("Files validated", "training_data_download_complete"),
    ("Fine-tuning job started", "job_start"),
    ("New fine-tuned model created", "model_upload_complete"),
    ("The job has successfully completed", "job_complete"),
    ("Fine-tuning job cancelled", "job_stopped"),
    ("The job has been resumed", "job_restarted"),
    ("The job failed", "job_error"),
    ("checkpoint", "checkpoint_save"),
    ("delivered", "training_complete"),
)
_LEVELS = {"warn": "warning"}
_METRICS = {"train_loss": "train/loss", "valid_loss": "eval/loss", "learning_rate": "train/lr"}
# What a client asked for and gets shown as it stands.
_ECHOED = (
    "learning_rate",
    "lr_scheduler",
    "max_grad_norm",
    "max_seq_length",
    "n_checkpoints",
    "n_epochs",
    "n_evals",
    "packing",
    "random_seed",
    "suffix",
    "training_method",
    "training_type",
    "warmup_ratio",
    "weight_decay",
)


def shown(job: JobRecord, file: FileRecord | None, config: ServeConfig) -> dict[str, Any]:
    """Return a job; `file` is its training file, None where that was deleted."""
    asked = job.request.asked
    epochs = job.request.epochs or config.recipe.get("epochs") or 1
    tokens = (file.tokens or 0) * int(epochs) if file else job.trained_tokens or 0
    full = config.recipe.get("method") == "full"
    return {
        "n_epochs": epochs,
        "training_method": {"method": "sft", "train_on_inputs": "auto"},
        "training_type": {"type": "Full"}
        if full
        else {"type": "Lora", "lora_r": 16, "lora_alpha": 32},
        "suffix": job.suffix,
        **{name: asked[name] for name in _ECHOED if name in asked},
        "batch_size": job.request.batch_size or config.recipe.get("batch_size"),
        "id": job.id,
        "job_id": job.id,
        "status": _status(job),
        "created_at": stamp(job.created),
        "started_at": None if job.started is None else stamp(job.started),
        "updated_at": stamp(job.finished or time.time()),
        "user_id": f"user-{config.organization}",
        "owner_address": f"user-{config.organization}",
        "model": job.base,
        "model_output_name": _output_name(job),
        "adapter_output_name": None,
        "training_file": job.file_id,
        "validation_file": job.request.validation_file or "",
        "trainingfile_numlines": file.rows if file else None,
        "trainingfile_size": file.bytes if file else None,
        "token_count": tokens,
        "total_price": round(tokens * USD_PER_MILLION / 1e6 * NANODOLLARS),
        **_progress(job, int(epochs)),
    }


def event(record: EventRecord) -> dict[str, Any]:
    """Return one line of a job's log (`together/types/finetune_event.py`)."""
    fallback = "warning" if record.level == "warn" else "training_start"
    kind = next((kind for text, kind in _TYPES if record.message.startswith(text)), fallback)
    return {
        "object": "fine-tune-event",
        "created_at": stamp(record.at),
        "level": _LEVELS.get(record.level, record.level),
        "message": record.message,
        "type": kind,
        "step": record.data.get("step") or 0,
        "total_steps": record.data.get("total_steps") or 0,
        "hash": record.id,
    }


def metric(record: EventRecord) -> dict[str, float]:
    """Return one row of the metrics, named as wandb shows them."""
    data = record.data
    row = {STEP: float(data.get("step") or 0), "timestamp": record.at}
    row |= {to: float(data[name]) for name, to in _METRICS.items() if _is_number(data, name)}
    return row


def checkpoint(record: CheckpointRecord, job: JobRecord) -> dict[str, Any]:
    """Return a checkpoint (`together/types/fine_tuning_list_checkpoints_response.py`)."""
    final = record.model == job.model_name
    return {
        "checkpoint_type": "Final" if final else "Intermediate",
        "created_at": stamp(record.created),
        "path": f"{record.job_id}:{record.step}",
        "step": record.step,
        "checkpoint": "model",
        "object_name": record.model,
    }


def stamp(seconds: float) -> str:
    """Return seconds since the epoch as RFC 3339."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _status(job: JobRecord) -> str:
    if job.raw_status is not None:
        return job.raw_status
    if job.status is State.FAILED and (job.error_code or "").startswith("invalid_"):
        return "user_error"  # the SDK's own types know nothing of it
    return _STATUS.get(job.status, "running")


def _output_name(job: JobRecord) -> str | None:
    """Return the model's name, which Together tells from the start."""
    if job.status is State.SUCCEEDED or "no-model-name" in job.faults:
        return job.model
    return job.model_name


def _progress(job: JobRecord, epochs: int) -> dict[str, Any]:
    done = 1.0 if job.status is State.SUCCEEDED else job.progress or 0.0
    left = 0.0
    if job.status is State.RUNNING and job.started and done:
        left = (time.time() - job.started) * (1 - done) / done
    return {
        "progress": {"estimate_available": left > 0, "seconds_remaining": round(left)},
        "epochs_completed": int(done * epochs),
        "steps_completed": round(done * (job.steps or 0)),
        "total_steps": job.steps,
    }


def _is_number(data: Mapping[str, Any], name: str) -> bool:
    return isinstance(data.get(name), int | float) and not isinstance(data[name], bool)
