"""Checkpoints: what a run needs to go on exactly where it was.

A new one is written beside the old one and takes its name only when it is whole; only then is the
old one removed. So a process killed at any instant leaves a whole checkpoint behind.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from safetensors.torch import load_file, save_file

from vtune_providers.local.rundir import RunDirectory


def save(run: RunDirectory, step: int, model: Any, tokenizer: Any, states: dict[str, Any]) -> None:
    """Write the checkpoint of `step`; `states` are those of optimizer and scheduler.

    `model/` in it can be served. The weights training goes on from stand beside it, as they are:
    what `save_pretrained` writes may be renamed."""
    work = run.path / "checkpoint.part"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        save_file({name: w.contiguous() for name, w in trainable(model).items()}, work / "weights")
        torch.save(states, work / "states")
        export(model, tokenizer, work / "model")
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    older = run.saved()
    os.replace(work, run.checkpoint_at(step))
    for path in older:
        shutil.rmtree(path, ignore_errors=True)


def restore(run: RunDirectory, model: Any) -> tuple[int, dict[str, Any]]:
    """Load the newest checkpoint's weights; return its step and states, (0, {}) without one."""
    saved = run.saved()
    if not saved:
        return 0, {}
    weights = load_file(saved[-1] / "weights")
    for name, weight in trainable(model).items():
        weight.copy_(weights[name])
    states = torch.load(saved[-1] / "states", map_location="cpu", weights_only=True)
    return int(saved[-1].name.rpartition("-")[2]), states


def trainable(model: Any) -> dict[str, torch.Tensor]:
    """Return what is trained, by name, detached."""
    return {name: w.detach() for name, w in model.named_parameters() if w.requires_grad}


def export(model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a model or an adapter, with its tokenizer, in its usual format."""
    # The embedding is not trained; without the flag peft looks for the base on the hub to ask.
    only = {"save_embedding_layers": False} if isinstance(model, PeftModel) else {}
    model.save_pretrained(folder, **only)
    tokenizer.save_pretrained(folder)
