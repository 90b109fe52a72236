"""The recipe of a local training run: checked once, at the edge, before anything starts."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtune_client.errors import InputError
from vtune_client.provider import JobSpec
from vtune_providers.local import bases

Positive = Annotated[int, Field(gt=0)]


class Recipe(BaseModel):
    """How to train. Field names are those of transformers and peft where they have one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: Literal["lora", "full"] = "lora"
    dtype: Literal["bf16", "fp32"] = "bf16"
    epochs: Positive = 3
    batch_size: Positive = 8
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 2e-4
    scheduler: Literal["linear", "cosine", "constant"] = "linear"
    warmup_ratio: Annotated[float, Field(ge=0, le=1)] = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    rank: Positive = 16
    alpha: Positive = 32
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    layers: Literal["all", "top-half"] = "all"
    max_length: Positive = 2048
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 60.0
    export: Literal["adapter", "merged"] = "adapter"
    threads: Positive | None = None
    # What starts `-m vtune_providers.local.worker`: `accelerate launch ...` for several GPUs. On a
    # CPU that starts one process unless MPI is there; `torchrun --nproc-per-node 2` starts two.
    launcher: tuple[str, ...] = ()


def recipe_for(spec: JobSpec) -> Recipe:
    """Merge, weakest first: defaults, what suits the base, the spec's options, its own fields.

    `InputError` for a method or an option that there is not."""
    if spec.method != "supervised":
        raise InputError(
            f"The local provider does not train with the method {spec.method!r}.",
            "Use the method 'supervised' with chat, prompt or text rows.",
        )
    given: dict[str, Any] = {
        "epochs": spec.epochs,
        "batch_size": spec.batch_size,
        "learning_rate": spec.learning_rate,
        "seed": spec.seed,
    }
    chosen: dict[str, Any] = dict(bases.EMBEDDED_RECIPE) if bases.is_embedded(spec.model) else {}
    chosen.update(spec.options)
    chosen.update({name: value for name, value in given.items() if value is not None})
    try:
        return Recipe.model_validate(chosen)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        known = ", ".join(sorted(Recipe.model_fields))
        raise InputError(
            f"The training option {name!r} is not usable: {first['msg']}.",
            f"The local provider knows: {known}.",
        ) from None
