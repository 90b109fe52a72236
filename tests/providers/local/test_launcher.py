"""Data parallel training: two processes under torchrun, as under `accelerate launch` on GPUs."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from tests.providers.local.runs import SHORT, new_run, weights
from vtune_client.dataset import iter_rows
from vtune_client.provider import JobSpec, State
from vtune_providers.local.trainer import LocalTrainer

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

import torch
from torch.nn.functional import cross_entropy

from vtune_providers.local import models, training
from vtune_providers.local.encode import batches, encode_row
from vtune_providers.local.recipe import Recipe
from vtune_providers.local.rundir import RunDirectory

TWO = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="torch has no gloo here")
async def test_two_processes_share_the_rows_and_one_of_them_writes(
    tmp_path: Path, tiny_model: Path, rows: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    trainer = LocalTrainer(tmp_path / "local")
    spec = JobSpec(str(tiny_model), options={**SHORT, "launcher": TWO, "checkpoint_seconds": 0})
    status = await trainer.create(await trainer.upload(rows, "rows"), spec, "a token")
    while not status.state.final:
        await asyncio.sleep(0.1)
        status = await trainer.get(status.id)

    run = RunDirectory(tmp_path / "local" / "runs" / status.id)
    assert status.state is State.SUCCEEDED, (run.path / "log.txt").read_text(encoding="utf-8")
    assert status.raw["steps"] == 6  # 5 batches an epoch, two at a time
    told = [(event.message, event.data.get("processes")) for event in run.events()]
    assert told == [
        ("training", 2),
        *[("checkpoint", None)] * 5,
        ("step", None),
        ("checkpoint", None),
        ("delivered", None),
    ]
    delivered, expected = weights(run), by_hand(tmp_path / "plain", tiny_model, rows)
    for name, weight in expected.items():
        torch.testing.assert_close(delivered[name], weight, atol=2e-5, rtol=1e-4)


def by_hand(folder: Path, base: Path, rows: Path) -> dict[str, torch.Tensor]:
    """Return the weights after steps on the mean of two batches' gradients."""
    run = new_run(folder, base, rows)
    recipe = Recipe.model_validate(run.run()["recipe"])
    model, tokenizer = models.load_trainable(str(base), recipe)
    examples = [encode_row(tokenizer, row, 512) for row in iter_rows(rows)]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    model.train()
    for epoch in range(recipe.epochs):
        order = batches([len(e.ids) for e in examples], recipe.batch_size, recipe.seed, epoch)
        for first, second in ((0, 1), (2, 3), (4, 0)):  # the epoch's last batch has no other
            for number in (first, second):
                batch = training.collate([examples[i] for i in order[number]], 0)
                inputs = {name: batch[name] for name in ("input_ids", "attention_mask")}
                logits = model(**inputs, use_cache=False).logits
                loss = cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
                (loss / 2).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
    return {name: weight.detach() for name, weight in model.named_parameters()}
