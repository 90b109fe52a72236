"""The training loop."""

from __future__ import annotations

import math
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import broadcast_object_list, set_seed
from safetensors import SafetensorError
from torch.nn.functional import cross_entropy
from transformers import get_scheduler

from vtune_client.dataset import iter_rows
from vtune_client.draw import Draw
from vtune_client.errors import InputError, ProviderError
from vtune_client.provider import State
from vtune_providers.local import checkpoint
from vtune_providers.local.encode import Example, batches, encode_row
from vtune_providers.local.models import load_trainable, longest_input, picks_logits
from vtune_providers.local.recipe import Recipe
from vtune_providers.local.rundir import RunDirectory, one_line

IGNORE = -100
# Every process holds the whole model; what shards it needs another way to save and to restore.
WHOLE = {
    kind
    for kind in DistributedType
    if kind is DistributedType.NO or kind.value.startswith("MULTI_")
}


def train(run: RunDirectory) -> None:
    """Train as `run.json` says, from the last checkpoint if there is one, and deliver."""
    todo = run.run()
    recipe = Recipe.model_validate(todo["recipe"])
    if recipe.threads:
        torch.set_num_threads(recipe.threads)
    set_seed(recipe.seed)
    accelerator = _accelerator(recipe)
    model, tokenizer = load_trainable(todo["base"], recipe)
    limit = min(recipe.max_length, longest_input(model))
    rows = _encoded(tokenizer, todo["file"], limit)
    held = _encoded(tokenizer, todo["validation"], limit) if todo.get("validation") else []
    loop = Loop(run, recipe, accelerator, model, tokenizer, rows, held)
    stopped = loop.run_to_end()
    if accelerator.is_main_process:
        if stopped is None:
            _deliver(run, recipe, accelerator.unwrap_model(loop.model), tokenizer)
        else:
            run.add_event(stopped.value)
            run.stop(stopped)
    # One that tears its process group down right behind its last step can wait for itself: torch
    # joins a thread there that may still want the interpreter lock.
    accelerator.wait_for_everyone()
    accelerator.end_training()


def _encoded(tokenizer: Any, file: str, limit: int) -> list[Example]:
    return [encode_row(tokenizer, row, limit) for row in iter_rows(Path(file))]


def _accelerator(recipe: Recipe) -> Accelerator:
    # Under autocast only where the weights are fp32: LoRA in bf16 already computes in bf16.
    mixed = "bf16" if recipe.dtype == "bf16" and recipe.method == "full" else "no"
    accelerator = Accelerator(mixed_precision=mixed)
    if accelerator.distributed_type not in WHOLE:
        raise InputError(
            f"The launcher asks for {accelerator.distributed_type.value}, which shards the model.",
            "Launch plain data parallel training (DDP).",
        )
    return accelerator


class Loop:
    """One run's model, optimizer and position; `held` are rows that are only measured.

    Every random choice of a step follows from the seed and the step's number, so a run that was
    interrupted ends with the weights it would have had."""

    def __init__(
        self,
        run: RunDirectory,
        recipe: Recipe,
        accelerator: Accelerator,
        model: Any,
        tokenizer: Any,
        rows: list[Example],
        held: Sequence[Example] = (),
    ) -> None:
        self.run, self.recipe, self.accelerator = run, recipe, accelerator
        self.tokenizer, self.rows = tokenizer, rows
        self.examples = _teaching(rows, recipe)
        self.held = _teaching(held, recipe) if held else []
        self.lengths = [len(example.ids) for example in self.examples]
        self.picks = picks_logits(model)
        self.share = accelerator.num_processes
        self.per_epoch = -(-len(self._order(0)) // self.share)
        self.steps = self.per_epoch * recipe.epochs
        self._prepare(model)
        self.saved_at = time.monotonic()

    def _prepare(self, model: Any) -> None:
        """Set up model, optimizer and scheduler, where the last checkpoint left them."""
        recipe = self.recipe
        self.step, states = checkpoint.restore(self.run, model)
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        optimizer = torch.optim.AdamW(
            weights, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        scheduler = get_scheduler(
            recipe.scheduler,
            optimizer,
            # A prepared scheduler moves once per process and step.
            num_warmup_steps=int(self.steps * recipe.warmup_ratio) * self.share,
            num_training_steps=self.steps * self.share,
        )
        self.model, self.optimizer, self.scheduler = self.accelerator.prepare(
            model, optimizer, scheduler
        )
        if states:
            self.optimizer.load_state_dict(states["optimizer"])
            self.scheduler.load_state_dict(states["scheduler"])

    def run_to_end(self) -> State | None:
        """Train the steps that are left; return the state to stop in where somebody asked."""
        first = self.step
        self._tell(
            "training",
            rows=len(self.examples),
            rows_without_completion=len(self.rows) - len(self.examples),
            rows_cut=sum(row.cut for row in self.rows),
            tokens=sum(self.lengths),
            processes=self.share,
            from_step=self.step,
        )
        self._progress()
        self.model.train()
        for batch in self._batches_left():
            if stop := self._stop_asked():
                if stop is State.PAUSED and self.step > first:
                    self._save()
                return stop
            loss = self._one_step(batch)
            self.step += 1
            self._progress()
            if self.step % 10 == 0 or self.step == self.steps:
                rate = self.scheduler.get_last_lr()[0]
                self._tell("step", step=self.step, loss=loss, learning_rate=rate)
            if self.held and self.step % self.per_epoch == 0:
                self._measure()
            if time.monotonic() - self.saved_at > self.recipe.checkpoint_seconds:
                self._save()
        return None

    def _order(self, epoch: int) -> list[list[int]]:
        return batches(self.lengths, self.recipe.batch_size, self.recipe.seed, epoch)

    def _batches_left(self) -> Iterator[dict[str, torch.Tensor]]:
        """Yield this process's batches: of each group of `share` in a row, the one of its rank.

        The last group of an epoch is filled up from the epoch's first batches."""
        rank, device = self.accelerator.process_index, self.accelerator.device
        pad = self.tokenizer.pad_token_id or 0
        for epoch in range(self.step // self.per_epoch, self.recipe.epochs):
            order = self._order(epoch)
            for group in range(self.step - epoch * self.per_epoch, self.per_epoch):
                mine = order[(group * self.share + rank) % len(order)]
                batch = collate([self.examples[index] for index in mine], pad)
                yield {name: tensor.to(device) for name, tensor in batch.items()}

    def _one_step(self, batch: dict[str, torch.Tensor]) -> float:
        torch.manual_seed(self._step_seed())
        loss = self._loss(batch)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise ProviderError(
                f"The loss is no longer a number at step {self.step + 1} of {self.steps}.",
                "Lower the learning rate or lengthen the warm-up.",
            )
        self.accelerator.backward(loss)
        self.accelerator.clip_grad_norm_(self.model.parameters(), self.recipe.max_grad_norm)
        self.optimizer.step()
        self.scheduler.step()
        self.optimizer.zero_grad(set_to_none=True)
        return value

    def _step_seed(self) -> int:
        """Return the seed of this step's dropout, another one in every process."""
        label = f"dropout of step {self.step} in process {self.accelerator.process_index}"
        return Draw(self.recipe.seed.to_bytes(16, "big"), label).below(1 << 63)

    def _loss(self, batch: dict[str, torch.Tensor], model: Any = None) -> torch.Tensor:
        """Return the mean loss over the tokens that are learned."""
        model = model or self.model
        # Logits are the dearest part of a small model: only where some row of the batch learns.
        keep = (batch["labels"] != IGNORE).any(dim=0).nonzero().squeeze(1)
        inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
        only = {"logits_to_keep": keep} if self.picks else {}
        with self.accelerator.autocast():
            logits = model(**inputs, **only, use_cache=False).logits
        if not self.picks:
            logits = logits[:, keep]
        return cross_entropy(
            logits.flatten(0, 1).float(), batch["labels"][:, keep].flatten(), ignore_index=IGNORE
        )

    @torch.no_grad()
    def _measure(self) -> None:
        """Tell the mean loss per token of the rows that are not trained on."""
        if not self.accelerator.is_main_process:
            return
        model = self.accelerator.unwrap_model(self.model)
        pad, total, tokens = self.tokenizer.pad_token_id or 0, 0.0, 0
        model.eval()
        for start in range(0, len(self.held), self.recipe.batch_size):
            items = self.held[start : start + self.recipe.batch_size]
            batch = {
                name: tensor.to(self.accelerator.device)
                for name, tensor in collate(items, pad).items()
            }
            learned = int((batch["labels"] != IGNORE).sum())
            total += float(self._loss(batch, model)) * learned
            tokens += learned
        model.train()
        epoch = self.step // self.per_epoch
        self._tell("validation", step=self.step, epoch=epoch, valid_loss=total / tokens)

    def _stop_asked(self) -> State | None:
        """Return how somebody asked to stop; what the main process sees counts for all."""
        asked = [self.run.stop_asked if self.accelerator.is_main_process else None]
        if self.share > 1:
            broadcast_object_list(asked)
        return asked[0]

    def _progress(self, **more: Any) -> None:
        if self.accelerator.is_main_process:
            position = {"step": self.step, "steps": self.steps, "pid": os.getpid()}
            self.run.set_state(State.RUNNING, **position, **more)

    def _tell(self, message: str, **data: Any) -> None:
        if self.accelerator.is_main_process:
            self.run.add_event(message, **data)

    def _save(self) -> None:
        """Write a checkpoint; training goes on without one where that fails (a full disk)."""
        self.saved_at = time.monotonic()
        if not self.accelerator.is_main_process:
            return
        states = {
            "optimizer": self.optimizer.state_dict(),
            "scheduler": self.scheduler.state_dict(),
        }
        model = self.accelerator.unwrap_model(self.model)
        try:
            checkpoint.save(self.run, self.step, model, self.tokenizer, states)
        except (OSError, RuntimeError, SafetensorError) as error:
            self._tell("checkpoint not written", step=self.step, reason=one_line(error))
        else:
            self._tell("checkpoint", step=self.step)
            self._progress(starts=1)  # a worker that got this far did not die at once


def _teaching(rows: Sequence[Example], recipe: Recipe) -> list[Example]:
    teaching = [row for row in rows if row.teaches]
    if not teaching:
        raise InputError(
            f"None of the {len(rows)} rows has a completion left to learn.",
            f"Raise max_length (now {recipe.max_length} tokens) above the longest prompt.",
        )
    return teaching


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
    try:
        checkpoint.export(model, tokenizer, work)
    except BaseException:
        shutil.rmtree(work, ignore_errors=True)
        raise
    os.replace(work, run.output)
    for path in (*run.saved(), run.path / "checkpoint.part"):
        shutil.rmtree(path, ignore_errors=True)
    run.add_event("delivered")
    run.set_state(State.SUCCEEDED)
