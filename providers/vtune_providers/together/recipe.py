"""From a job's spec to what Together is asked: the body of `POST /v1/fine-tunes`.

Options carry the names of the SDK's `fine_tuning.create`; what it does not know goes into the body
as it stands. Defaults are the SDK's (`together/resources/fine_tuning.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vtune_client.errors import InputError
from vtune_client.provider import JobSpec

METHODS = {"supervised": "sft", "dpo": "dpo"}
EPOCHS = 1
LEARNING_RATE = 1e-5
# They would be written into the ledger with the job.
_SECRET = ("wandb_api_key", "wandb_key", "hf_api_token")
_LORA = ("lora_r", "lora_alpha", "lora_dropout", "lora_trainable_modules")
_SCHEDULE = ("lr_scheduler_type", "min_lr_ratio", "scheduler_num_cycles")
_DPO = ("dpo_beta", "dpo_normalize_logratios_by_length", "rpo_alpha", "simpo_gamma")
_SAID_ELSEWHERE = {
    "n_epochs": "epochs",
    "training_file": "the file",
    "model": "the model",
    "suffix": "suffix",
    "random_seed": "seed",
    "validation_file": "validation_file",
}
_CONSUMED = frozenset(
    {"lora", "training_type", "training_method", "train_on_inputs", *_LORA, *_SCHEDULE, *_DPO}
)


def check_options(spec: JobSpec) -> None:
    """Raise `InputError` for options that cannot be passed on."""
    for name in spec.options:
        if name in _SECRET:
            raise InputError(
                f"The option {name} is a key, and options are written down with the job.",
                "Leave it out; store the key with the service instead.",
            )
        if name in _SAID_ELSEWHERE:
            raise InputError(
                f"The option {name} has a place of its own.",
                f"Give it as {_SAID_ELSEWHERE[name]} of the job.",
            )
    if spec.method not in METHODS:
        raise InputError(
            f"Together does not train by the method {spec.method!r}.",
            f"It knows {' and '.join(sorted(METHODS))}.",
        )
    if is_full(spec) and any(name in spec.options for name in _LORA):
        raise InputError(
            "Options of LoRA are given, and the training is to be of all weights.",
            "Leave them out, or train with lora.",
        )


def body(
    spec: JobSpec, file_id: str, suffix: str, validation_id: str | None, default_rank: int
) -> dict[str, Any]:
    """Return the body that starts the job."""
    options = spec.options
    content: dict[str, Any] = {
        "packing": True,
        "n_evals": 0,
        "n_checkpoints": 1,
        "warmup_ratio": 0.0,
        "max_grad_norm": 1.0,
        "weight_decay": 0.0,
        "lr_scheduler": _schedule(options),
    }
    content |= {name: value for name, value in options.items() if name not in _CONSUMED}
    content |= {
        "training_file": file_id,
        "n_epochs": spec.epochs or EPOCHS,
        "batch_size": spec.batch_size or "max",
        "learning_rate": spec.learning_rate or LEARNING_RATE,
        "training_method": method_of(spec),
        "suffix": suffix,
    }
    if "from_checkpoint" not in options:
        content["model"] = spec.model
    if validation_id:
        content["validation_file"] = validation_id
    if spec.seed is not None:
        content["random_seed"] = spec.seed
    if kind := training_type(spec, default_rank):
        content["training_type"] = kind
    return content


def price_body(spec: JobSpec, file_id: str, default_rank: int) -> dict[str, Any]:
    """Return the body that asks for the price (`POST /v1/fine-tunes/estimate-price`)."""
    options = spec.options
    content: dict[str, Any] = {
        "training_file": file_id,
        "n_epochs": spec.epochs or EPOCHS,
        "training_method": method_of(spec),
    }
    if "from_checkpoint" in options:
        content["from_checkpoint"] = options["from_checkpoint"]
    else:
        content["model"] = spec.model
    if "n_evals" in options:
        content["n_evals"] = options["n_evals"]
    if kind := training_type(spec, default_rank):
        content["training_type"] = kind
    return content


def wants_rank(spec: JobSpec) -> bool:
    """Return whether the model's own rank must be known to say what is wanted of LoRA."""
    kind = training_type(spec, default_rank=0)
    return bool(kind and kind.get("lora_r") == 0)


def is_full(spec: JobSpec) -> bool:
    kind = training_type(spec, default_rank=1)
    return bool(kind and kind.get("type") == "Full")


def training_type(spec: JobSpec, default_rank: int) -> dict[str, Any] | None:
    """Return which weights are trained; None leaves it to the service, which takes LoRA."""
    options = spec.options
    chosen = options.get("training_type")
    if isinstance(chosen, Mapping):
        return dict(chosen)
    words = {"lora": True, "full": False, None: options.get("lora")}
    named = chosen.lower() if isinstance(chosen, str) else chosen
    if named not in words:
        raise InputError(f"There is no training_type {chosen!r}.", "Choose lora or full.")
    lora = words[named]
    if lora is False:
        return {"type": "Full"}
    if not any(name in options for name in _LORA):
        return None  # LoRA with the model's own rank is what the service does by itself
    rank = options.get("lora_r") or default_rank
    return {
        "type": "Lora",
        "lora_r": rank,
        "lora_alpha": options.get("lora_alpha") or 2 * rank,
        "lora_dropout": options.get("lora_dropout") or 0.0,
        "lora_trainable_modules": options.get("lora_trainable_modules") or "all-linear",
    }


def method_of(spec: JobSpec) -> dict[str, Any]:
    """Return the method, with what belongs to it."""
    options = spec.options
    if isinstance(options.get("training_method"), Mapping):
        return dict(options["training_method"])
    if spec.method == "dpo":
        chosen = {name: options[name] for name in _DPO if options.get(name) is not None}
        free = bool(chosen.get("simpo_gamma"))  # SimPO has no reference model
        normal = {"dpo_normalize_logratios_by_length": True} if free else {}
        return {"method": "dpo", "dpo_reference_free": free, **chosen, **normal}
    return {"method": "sft", "train_on_inputs": options.get("train_on_inputs", "auto")}


def _schedule(options: Mapping[str, Any]) -> dict[str, Any]:
    kind = options.get("lr_scheduler_type", "cosine")
    more = {"min_lr_ratio": options.get("min_lr_ratio", 0.0)}
    if kind == "cosine":
        more["num_cycles"] = options.get("scheduler_num_cycles", 0.5)
    return {"lr_scheduler_type": kind, "lr_scheduler_args": more}
