"""The training loop."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from peft import PeftModel
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import get_scheduler

from vtune_client.dataset import iter_rows
from vtune_client.provider import State
from vtune_providers.local.encode import Example, batches, encode_row
from vtune_providers.local.models import load_trainable
from vtune_providers.local.recipe import Recipe
from vtune_providers.local.rundir import RunDirectory, write_json

IGNORE = -100


def train(run: RunDirectory) -> None:
    """Train as `run.json` says, from the last checkpoint if there is one, and deliver."""
    todo = run.run()
    recipe = Recipe.model_validate(todo["recipe"])
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    set_seed(recipe.seed)
    # Under autocast only where the weights are fp32: LoRA in bf16 already computes in bf16.
    mixed = "bf16" if recipe.dtype == "bf16" and recipe.method == "full" else "no"
    accelerator = Accelerator(mixed_precision=mixed)
    model, tokenizer = load_trainable(todo["base"], recipe)
    rows = iter_rows(Path(todo["file"]))
    examples = [encode_row(tokenizer, row, recipe.max_length) for row in rows]
    loop = _Loop(run, recipe, accelerator, model, examples, tokenizer.pad_token_id or 0)
    if loop.run_to_end():
        if accelerator.is_main_process:
            _deliver(run, recipe, accelerator.unwrap_model(loop.model), tokenizer)
    elif accelerator.is_main_process:
        run.set_state(State.CANCELLED)
        run.add_event("cancelled")


class _Loop:
    """One run's model, optimizer and position."""

    def __init__(
        self,
        run: RunDirectory,
        recipe: Recipe,
        accelerator: Accelerator,
        model: Any,
        examples: list[Example],
        pad: int,
    ) -> None:
        self.run, self.recipe, self.accelerator = run, recipe, accelerator
        self.examples, self.pad = examples, pad
        trainable = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            trainable, lr=recipe.learning_rate, weight_decay=recipe.weight_decay
        )
        share = accelerator.num_processes
        per_epoch = -(-len(batches(self.lengths, recipe.batch_size, 0, 0)) // share)
        self.steps = per_epoch * recipe.epochs
        scheduler = get_scheduler(
            recipe.scheduler,
            optimizer,
            # A prepared scheduler moves once per process and step.
            num_warmup_steps=int(self.steps * recipe.warmup_ratio) * share,
            num_training_steps=self.steps * share,
        )
        self.model, self.optimizer, self.scheduler = accelerator.prepare(
            model, optimizer, scheduler
        )
        self.step = self._restore()
        self.saved_at = time.monotonic()

    @property
    def lengths(self) -> list[int]:
        return [len(example.ids) for example in self.examples]

    def run_to_end(self) -> bool:
        """Train the steps that are left; False if somebody asked to cancel."""
        tokens = sum(self.lengths)
        self._tell("training", rows=len(self.examples), tokens=tokens, from_step=self.step)
        self._progress()
        self.model.train()
        for batch in self._batches_left():
            if self.run.cancel_asked:
                return False
            loss = self._one_step(batch)
            self.step += 1
            self._progress()
            if self.step % 10 == 0 or self.step == self.steps:
                rate = self.scheduler.get_last_lr()[0]
                self._tell("step", step=self.step, loss=loss, learning_rate=rate)
            if time.monotonic() - self.saved_at > self.recipe.checkpoint_seconds:
                self._save()
        return True

    def _batches_left(self) -> Iterator[dict[str, torch.Tensor]]:
        seen = 0
        for epoch in range(self.recipe.epochs):
            order = batches(self.lengths, self.recipe.batch_size, self.recipe.seed, epoch)
            loader = self.accelerator.prepare(
                DataLoader(
                    self.examples,  # type: ignore[arg-type]
                    batch_sampler=order,
                    collate_fn=lambda items: collate(items, self.pad),
                )
            )
            length = len(loader)
            skip = min(max(self.step - seen, 0), length)
            seen += length
            if skip < length:
                yield from self.accelerator.skip_first_batches(loader, skip) if skip else loader

    def _one_step(self, batch: dict[str, torch.Tensor]) -> float:
        # Logits are the dearest part of a small model: only where some row of the batch learns.
        keep = (batch["labels"] != IGNORE).any(dim=0).nonzero().squeeze(1)
        with self.accelerator.autocast():
            logits = self.model(
                input_ids=batch["input_ids"],
                attention_mask=batch["attention_mask"],
                logits_to_keep=keep,
                use_cache=False,
            ).logits
        loss = cross_entropy(
            logits.flatten(0, 1).float(), batch["labels"][:, keep].flatten(), ignore_index=IGNORE
        )
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    def _progress(self) -> None:
        if self.accelerator.is_main_process:
            self.run.set_state(State.RUNNING, step=self.step, steps=self.steps, pid=os.getpid())

    def _tell(self, message: str, **data: Any) -> None:
        if self.accelerator.is_main_process:
            self.run.add_event(message, **data)

    def _trainable(self) -> dict[str, torch.Tensor]:
        model = self.accelerator.unwrap_model(self.model)
        return {n: w.detach() for n, w in model.named_parameters() if w.requires_grad}

    def _save(self) -> None:
        """Write a checkpoint beside the old one, then take its place."""
        self.accelerator.wait_for_everyone()
        if self.accelerator.is_main_process:
            work = self.run.path / "checkpoint.part"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            save_file({n: w.contiguous() for n, w in self._trainable().items()}, work / "weights")
            states = {"optimizer": self.optimizer.state_dict(), "rng": torch.get_rng_state()}
            torch.save({**states, "scheduler": self.scheduler.state_dict()}, work / "states")
            write_json(work / "position.json", {"step": self.step})
            shutil.rmtree(self.run.checkpoint, ignore_errors=True)
            os.replace(work, self.run.checkpoint)
            self.run.add_event("checkpoint", step=self.step)
        self.saved_at = time.monotonic()

    def _restore(self) -> int:
        """Load the last checkpoint; return the step it stands at, 0 if there is none."""
        at = self.run.checkpoint
        if not (at / "position.json").exists():
            return 0
        saved = load_file(at / "weights")
        for name, weight in self._trainable().items():
            weight.copy_(saved[name])
        states = torch.load(at / "states", weights_only=True)
        self.optimizer.load_state_dict(states["optimizer"])
        self.scheduler.load_state_dict(states["scheduler"])
        torch.set_rng_state(states["rng"])
        step: int = json.loads((at / "position.json").read_text(encoding="utf-8"))["step"]
        return step


def collate(items: list[Example], pad: int) -> dict[str, torch.Tensor]:
    """Return right-padded `input_ids`, `attention_mask` and `labels`, each (rows, length).

    `labels[:, t]` is the token that follows position t, or IGNORE where it carries no loss."""
    width = max(len(item.ids) for item in items)
    ids = torch.full((len(items), width), pad)
    mask = torch.zeros((len(items), width), dtype=torch.long)
    labels = torch.full((len(items), width), IGNORE)
    for row, item in enumerate(items):
        length = len(item.ids)
        ids[row, :length] = torch.tensor(item.ids)
        mask[row, :length] = 1
        following = torch.tensor(item.ids[1:], dtype=torch.long)
        following[~torch.tensor(item.learn[1:], dtype=torch.bool)] = IGNORE
        labels[row, : length - 1] = following
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def _deliver(run: RunDirectory, recipe: Recipe, model: Any, tokenizer: Any) -> None:
    """Write the delivered model in its usual format, all or nothing, then say so."""
    run.set_state(State.FINISHING)
    work = run.path / "output.part"
    shutil.rmtree(work, ignore_errors=True)
    if recipe.method == "lora" and recipe.export == "merged":
        model = model.merge_and_unload()
    if recipe.method == "full" and recipe.dtype == "bf16":
        model = model.to(torch.bfloat16)
    # The embedding is not trained; without the flag peft looks for the base on the hub to ask.
    only = {"save_embedding_layers": False} if isinstance(model, PeftModel) else {}
    model.save_pretrained(work, **only)
    tokenizer.save_pretrained(work)
    shutil.rmtree(run.output, ignore_errors=True)
    os.replace(work, run.output)
    shutil.rmtree(run.checkpoint, ignore_errors=True)
    run.add_event("delivered")
    run.set_state(State.SUCCEEDED)
