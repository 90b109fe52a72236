"""Loading models: a base, a base with an adapter on it, and what is to be trained."""

from __future__ import annotations

import inspect
import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from vtune_client.errors import InputError
from vtune_providers.local import bases
from vtune_providers.local.recipe import Recipe
from vtune_providers.local.rundir import one_line

logging.disable_progress_bar()  # ours tell more, and know when there is no terminal
UNLIMITED = 1 << 30


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_served(name: str) -> tuple[Any, Any]:
    """Return (model, tokenizer) of a base, a full model or an adapter directory, ready to ask."""
    where = bases.resolve(name)
    if bases.is_adapter(where):
        model, tokenizer = _load_adapter(where)
    else:
        model, tokenizer = _load(where, "auto"), load_tokenizer(where)
    model.generation_config = _plain_generation(model, tokenizer)
    return model.to(device()).eval(), tokenizer


def load_trainable(base: str, recipe: Recipe) -> tuple[Any, Any]:
    """Return (model, tokenizer) with exactly the weights the recipe trains requiring gradients."""
    bases.check(base)
    where = bases.resolve(base)
    half = recipe.dtype == "bf16" and recipe.method == "lora"
    # Full fine-tuning in bf16 keeps fp32 weights under autocast: pure bf16 rounds updates away.
    model = _load(where, torch.bfloat16 if half else torch.float32)
    if recipe.method == "lora":
        with _peft():
            model = get_peft_model(model, _lora(model, recipe), autocast_adapter_dtype=False)
        model.peft_config["default"].base_model_name_or_path = bases.published_name(base)
    return model, load_tokenizer(where)


def load_tokenizer(where: str) -> Any:
    return _read(AutoTokenizer.from_pretrained, where, f"The tokenizer of {where!r}")


def longest_input(model: Any) -> int:
    """Return how many tokens the model takes at once, as far as it says."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return limit if isinstance(limit, int) and limit > 0 else UNLIMITED


def picks_logits(model: Any) -> bool:
    """Return whether the model computes logits at chosen positions only, if asked to."""
    inner = model.get_base_model() if isinstance(model, PeftModel) else model
    return "logits_to_keep" in inspect.signature(inner.forward).parameters


def _load_adapter(where: str) -> tuple[Any, Any]:
    """Return the adapter merged into the base that its config names, and a tokenizer."""
    config = json.loads((Path(where) / "adapter_config.json").read_text(encoding="utf-8"))
    base = config.get("base_model_name_or_path")
    if not base:
        raise InputError(
            f"The adapter in {where} does not say which base it was made for.",
            "Write base_model_name_or_path into its adapter_config.json.",
        )
    try:
        base_where = bases.resolve(base)
        model = _load(base_where, "auto")
    except InputError as error:
        raise InputError(
            f"The base {base!r} of the adapter in {where} is not to be had: {error.message}",
            error.advice,
        ) from error
    with _peft():
        tuned = _read(
            lambda path: PeftModel.from_pretrained(model, path), where, f"The adapter in {where}"
        )
    own_tokenizer = (Path(where) / "tokenizer_config.json").exists()
    return tuned.merge_and_unload(), load_tokenizer(where if own_tokenizer else base_where)


@contextmanager
def _peft() -> Iterator[None]:
    """Hush what peft says while it calls what transformers has renamed: nobody can act on it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _plain_generation(model: Any, tokenizer: Any) -> GenerationConfig:
    """Return settings that draw answers as the model gives them.

    A published model may bring its own (a repetition penalty, top-k): they would bend answers, and
    stand in no record. What ends an answer is kept."""
    own = model.generation_config.eos_token_id
    ends = {*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id} - {None}
    return GenerationConfig(eos_token_id=sorted(ends) or None, pad_token_id=tokenizer.pad_token_id)


def _lora(model: Any, recipe: Recipe) -> LoraConfig:
    depth = model.config.get_text_config().num_hidden_layers
    return LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=_linear_names(model),
        layers_to_transform=list(range(depth // 2, depth)) if recipe.layers == "top-half" else None,
        task_type="CAUSAL_LM",
    )


def _linear_names(model: Any) -> list[str]:
    """Return the leaf names of all linear layers but the output head."""
    head = model.get_output_embeddings()
    linear = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear | Conv1D) and module is not head
    }
    if not linear:
        raise InputError(
            f"A model of type {model.config.model_type!r} has no linear layers for LoRA.",
            "Use the option method=full.",
        )
    return sorted(linear)


def _load(where: str, dtype: Any) -> Any:
    return _read(
        lambda path: AutoModelForCausalLM.from_pretrained(path, dtype=dtype),
        where,
        f"The model {where!r}",
    )


def _read(reader: Any, where: str, what: str) -> Any:
    """Return what `reader` reads at `where`; files of others fail in many ways, told in one."""
    try:
        return reader(where)
    except Exception as error:
        raise InputError(
            f"{what} cannot be loaded: {type(error).__name__}: {one_line(error)}",
            "Name a transformers model directory or a hub id this machine can reach.",
        ) from error
