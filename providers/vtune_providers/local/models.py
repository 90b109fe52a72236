"""Loading models: a base, a base with an adapter on it, and what is to be trained."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging

from vtune_client.errors import InputError
from vtune_providers.local import bases
from vtune_providers.local.recipe import Recipe

logging.disable_progress_bar()  # ours tell more, and know when there is no terminal


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def load_served(name: str) -> tuple[Any, Any]:
    """Return (model, tokenizer) of a base, a full model or an adapter directory, ready to ask."""
    where = bases.resolve(name)
    adapter = Path(where) / "adapter_config.json"
    if adapter.exists():
        base = json.loads(adapter.read_text(encoding="utf-8"))["base_model_name_or_path"]
        base_where = bases.resolve(base)
        with warnings.catch_warnings():
            # peft calls what transformers has renamed; nothing a user could do about it.
            warnings.simplefilter("ignore", FutureWarning)
            model = PeftModel.from_pretrained(_load(base_where, "auto"), where)
        model = model.merge_and_unload()
        tokenizer = load_tokenizer(where if has_tokenizer(where) else base_where)
    else:
        model, tokenizer = _load(where, "auto"), load_tokenizer(where)
    return model.to(device()).eval(), tokenizer


def load_trainable(base: str, recipe: Recipe) -> tuple[Any, Any]:
    """Return (model, tokenizer) with exactly the weights the recipe trains requiring gradients."""
    where = bases.resolve(base)
    half = recipe.dtype == "bf16" and recipe.method == "lora"
    # Full fine-tuning in bf16 keeps fp32 weights under autocast: pure bf16 rounds updates away.
    model = _load(where, torch.bfloat16 if half else torch.float32)
    if recipe.method == "lora":
        model = get_peft_model(model, _lora(model, recipe), autocast_adapter_dtype=False)
        model.peft_config["default"].base_model_name_or_path = bases.published_name(base)
    return model, load_tokenizer(where)


def _lora(model: Any, recipe: Recipe) -> LoraConfig:
    depth = model.config.num_hidden_layers
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
    linear = (
        n for n, m in model.named_modules() if isinstance(m, torch.nn.Linear) and m is not head
    )
    return sorted({name.rpartition(".")[2] for name in linear})


def _load(where: str, dtype: Any) -> Any:
    try:
        return AutoModelForCausalLM.from_pretrained(where, dtype=dtype)
    except (OSError, ValueError) as error:
        raise InputError(
            f"The model {where!r} cannot be loaded: {str(error).splitlines()[0]}",
            "Name a transformers model directory or a hub id this machine can reach.",
        ) from error


def has_tokenizer(where: str) -> bool:
    return (Path(where) / "tokenizer_config.json").exists()


def load_tokenizer(where: str) -> Any:
    return AutoTokenizer.from_pretrained(where)
