"""The training loop on the tiny model, against plain computations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.providers.local.runs import SHORT, new_run, reset_accelerate, same, trained, weights
from vtune_client.dataset import iter_rows
from vtune_client.errors import InputError, ProviderError
from vtune_client.provider import State

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

import torch
from accelerate import Accelerator
from peft import PeftModel
from transformers import GPT2Config, GPT2LMHeadModel

from vtune_providers.local import models, training
from vtune_providers.local.encode import Example, encode_row
from vtune_providers.local.recipe import Recipe
from vtune_providers.local.rundir import RunDirectory, write_json

EXAMPLES = [
    Example((5, 6, 7, 8, 9), (False, False, True, True, True)),
    Example((10, 11, 12), (False, False, True)),
    Example((13, 14, 15, 16), (True, False, False, True)),
]


class Blind(GPT2LMHeadModel):
    """A model that cannot be told where its logits are wanted."""

    def forward(self, input_ids: Any, attention_mask: Any, use_cache: bool) -> Any:
        return super().forward(input_ids, attention_mask=attention_mask, use_cache=use_cache)


def loop(run: RunDirectory, model: Any, tokenizer: Any, rows: list[Example]) -> training.Loop:
    reset_accelerate()
    recipe = Recipe.model_validate(run.run()["recipe"])
    return training.Loop(run, recipe, Accelerator(), model, tokenizer, rows)


def loaded(folder: Path, base: Path, rows: Path, **recipe: Any) -> training.Loop:
    run = new_run(folder, base, rows, **recipe)
    model, tokenizer = models.load_trainable(str(base), Recipe.model_validate(run.run()["recipe"]))
    return loop(run, model, tokenizer, EXAMPLES)


def plain_loss(model: Any, rows: list[Example]) -> torch.Tensor:
    """Return the mean of -log p over all learned tokens, one unpadded row at a time."""
    losses = []
    for row in rows:
        ids = torch.tensor([row.ids])
        logs = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
        logs = logs.log_softmax(-1)[0]
        losses += [-logs[t - 1, row.ids[t]] for t in range(1, len(row.ids)) if row.learn[t]]
    return torch.stack(losses).mean()


@pytest.mark.parametrize("method", ["full", "lora"])
def test_loss_is_the_mean_over_learned_tokens(
    method: str, tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    looped = loaded(tmp_path / "run", tiny_model, rows, method=method)
    batch = training.collate(EXAMPLES, pad=0)
    expected = plain_loss(looped.model, EXAMPLES)
    assert looped.picks
    torch.testing.assert_close(looped._loss(batch), expected)
    looped.picks = False
    torch.testing.assert_close(looped._loss(batch), expected)


def test_model_that_computes_all_logits_trains_too(tmp_path: Path, rows: Path) -> None:
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    config.resid_pdrop = config.attn_pdrop = config.embd_pdrop = 0.0
    model = Blind(config)
    tokenizer = type("", (), {"pad_token_id": None})()
    looped = loop(new_run(tmp_path / "run", tmp_path, rows), model, tokenizer, EXAMPLES)
    assert not looped.picks
    batch = training.collate(EXAMPLES, pad=0)
    torch.testing.assert_close(looped._loss(batch), plain_loss(model, EXAMPLES))
    assert looped._one_step(batch) > looped._one_step(batch)


def test_labels_are_the_following_tokens_that_are_learned() -> None:
    batch = training.collate(EXAMPLES[:2], pad=1)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9], [10, 11, 12, 1, 1]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    none = training.IGNORE
    assert batch["labels"].tolist() == [
        [none, 7, 8, 9, none],
        [none, 12, none, none, none],
    ]


def test_first_step_is_a_step_of_adamw(tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    recipe = {"weight_decay": 0.1, "batch_size": 3, "epochs": 1, "max_grad_norm": 0.5}
    looped = loaded(tmp_path / "run", tiny_model, rows, **recipe)
    plain, _ = models.load_trainable(str(tiny_model), Recipe(method="full", dtype="fp32"))
    optimizer = torch.optim.AdamW(plain.parameters(), lr=3e-3, weight_decay=0.1)
    plain_loss(plain, EXAMPLES).backward()
    torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
    optimizer.step()

    assert looped.run_to_end() is None

    assert (looped.step, looped.steps) == (1, 1)
    for name, weight in plain.named_parameters():
        torch.testing.assert_close(dict(looped.model.named_parameters())[name], weight)


def test_lora_trains_its_adapters_and_nothing_else(
    tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    looped = loaded(tmp_path / "run", tiny_model, rows, method="lora", layers="top-half")
    before = {name: weight.clone() for name, weight in looped.model.named_parameters()}
    names = {name for name, weight in looped.model.named_parameters() if weight.requires_grad}
    assert names
    assert all("lora_" in name and ".layers.1." in name for name in names)
    assert all(f"{leaf}_proj" in " ".join(names) for leaf in ("q", "k", "v", "o", "up"))
    looped.run_to_end()
    changed = {n for n, w in looped.model.named_parameters() if not torch.equal(w, before[n])}
    assert changed == names


def test_full_training_changes_every_weight(tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    tuned = weights(trained(new_run(tmp_path / "run", tiny_model, rows)))
    base, _ = models.load_trainable(str(tiny_model), Recipe(method="full", dtype="fp32"))
    state = base.state_dict()
    assert tuned.keys() == state.keys()
    assert not any(torch.equal(tuned[name], state[name]) for name in tuned)


@pytest.mark.parametrize(
    ("recipe", "computed", "delivered"),
    [
        ({"method": "full", "dtype": "fp32"}, torch.float32, torch.float32),
        # Updates of pure bf16 weights round away: fp32 in training, bf16 as delivered.
        ({"method": "full", "dtype": "bf16"}, torch.float32, torch.bfloat16),
        ({"method": "lora", "dtype": "fp32"}, torch.float32, torch.float32),
        ({"method": "lora", "dtype": "bf16"}, torch.bfloat16, torch.bfloat16),
        ({"method": "lora", "export": "merged"}, torch.float32, torch.float32),
    ],
)
def test_number_types(
    recipe: dict[str, Any], computed: Any, delivered: Any, tmp_path: Path, tiny_model: Path
) -> None:
    rows = tiny.write_rows(tmp_path / "rows.jsonl", 16)
    recipe = {**recipe, "epochs": 10, "learning_rate": 1e-2}
    full = Recipe.model_validate({**SHORT, **recipe})
    model, _ = models.load_trainable(str(tiny_model), full)
    assert {weight.dtype for weight in model.parameters()} == {computed}
    run = trained(new_run(tmp_path / "run", tiny_model, rows, **recipe))
    assert {tensor.dtype for tensor in weights(run).values()} == {delivered}
    losses = [event.data["loss"] for event in run.events() if event.message == "step"]
    assert losses[1] < losses[0] - 0.1


def test_rate_follows_the_schedule(tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    rates: dict[str, list[float]] = {}
    for scheduler in ("linear", "cosine", "constant"):
        looped = loaded(
            tmp_path / scheduler,
            tiny_model,
            rows,
            scheduler=scheduler,
            batch_size=3,
            epochs=8,
            warmup_ratio=0.25,
        )
        batch = training.collate(EXAMPLES, pad=0)
        rates[scheduler] = []
        for _ in range(looped.steps):
            rates[scheduler].append(looped.scheduler.get_last_lr()[0] / 3e-3)
            looped._one_step(batch)
    assert rates["linear"] == pytest.approx([0, 1 / 2, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6])
    half = 3**0.5 / 4
    assert rates["cosine"] == pytest.approx([0, 1 / 2, 1, 0.5 + half, 0.75, 0.5, 0.25, 0.5 - half])
    assert rates["constant"] == [1] * 8


def test_weights_follow_from_the_seed(tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    recipe = {"method": "lora", "dropout": 0.2, "epochs": 1}
    first, again, other = (
        weights(trained(new_run(tmp_path / name, tiny_model, rows, **recipe, seed=seed)))
        for name, seed in [("first", 7), ("again", 7), ("other", 8)]
    )
    assert same(first, again)
    assert not same(first, other)


def test_dropout_differs_from_step_to_step(tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    looped = loaded(tmp_path / "run", tiny_model, rows, method="lora", dropout=0.5)
    seeds = set()
    for looped.step in range(5):
        seeds.add(looped._step_seed())
    assert len(seeds) == 5


def test_rows_without_a_completion_left_are_left_out_and_told(
    tmp_path: Path, tiny_model: Path
) -> None:
    path = tiny.write_rows(tmp_path / "rows.jsonl", 20)
    words = "Tell me about rivers " * 40
    long = {"messages": [{"role": "user", "content": words}, {"role": "assistant", "content": "I"}]}
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(long) + "\n")
    run = trained(new_run(tmp_path / "run", tiny_model, path, max_length=30, epochs=1))
    told = next(event.data for event in run.events() if event.message == "training")
    assert (told["rows"], told["rows_without_completion"], told["rows_cut"]) == (20, 1, 1)
    assert all(torch.isfinite(tensor).all() for tensor in weights(run).values())


def test_nothing_left_to_learn_is_an_error(tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    run = new_run(tmp_path / "run", tiny_model, rows, max_length=5)
    with pytest.raises(InputError, match=r"None of the 40 rows .*Raise max_length"):
        trained(run)


def test_rows_are_cut_at_what_the_model_takes(tmp_path: Path, tiny_model: Path) -> None:
    model, tokenizer = models.load_trainable(str(tiny_model), Recipe(method="full"))
    assert models.longest_input(model) == 512
    words = " rivers" * 600
    rows = tmp_path / "rows.jsonl"
    turns = [{"role": "user", "content": "Tell"}, {"role": "assistant", "content": words}]
    rows.write_text(f"{json.dumps({'messages': turns})}\n", encoding="utf-8")
    assert len(encode_row(tokenizer, next(iter_rows(rows)), 4096).ids) > 512
    run = trained(new_run(tmp_path / "run", tiny_model, rows, epochs=1))
    told = next(event.data for event in run.events() if event.message == "training")
    assert (told["tokens"], told["rows_cut"]) == (512, 1)


def test_a_loss_that_is_no_number_ends_the_run(
    tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    looped = loaded(tmp_path / "run", tiny_model, rows)
    with torch.no_grad():
        looped.model.model.norm.weight.fill_(float("nan"))
    with pytest.raises(ProviderError, match="no longer a number at step 1 of 2"):
        looped.run_to_end()


def test_progress_and_events_are_told(tmp_path: Path, tiny_model: Path, rows: Path) -> None:
    run = trained(new_run(tmp_path / "run", tiny_model, rows, epochs=3))
    assert run.status().state is State.SUCCEEDED
    assert run.status().progress == 1
    events = list(run.events())
    assert [event.message for event in events] == ["training", "step", "step", "delivered"]
    assert [event.id for event in events] == ["0", "1", "2", "3"]
    assert [event.data["step"] for event in events[1:3]] == [10, 15]
    assert events[1].data["loss"] > events[2].data["loss"]
    assert sorted(path.name for path in run.path.iterdir()) == [
        "events.jsonl",
        "output",
        "run.json",
        "state.json",
    ]


@pytest.mark.parametrize("method", ["full", "lora"])
def test_validation_loss_is_told_after_every_epoch_and_changes_nothing(
    method: str, tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    recipe = {"method": method, "dropout": 0.3, "epochs": 3, "batch_size": 8}
    straight = trained(new_run(tmp_path / "straight", tiny_model, rows, **recipe))
    held = tiny.write_rows(tmp_path / "held.jsonl", 19)
    run = new_run(tmp_path / "run", tiny_model, rows, **recipe, export="merged")
    write_json(run.path / "run.json", {**run.run(), "validation": str(held)})
    trained(run)
    told = [event.data for event in run.events() if event.message == "validation"]
    assert [(data["epoch"], data["step"]) for data in told] == [(1, 5), (2, 10), (3, 15)]
    model, tokenizer = models.load_served(str(run.output))
    with torch.no_grad():
        plain = plain_loss(model, [encode_row(tokenizer, row, 512) for row in iter_rows(held)])
    loss = float(plain)
    assert told[-1]["valid_loss"] == pytest.approx(loss, abs=1e-4)
    assert told[0]["valid_loss"] != pytest.approx(loss, abs=1e-2)
    if method == "full":
        assert same(weights(run), weights(straight))


def test_adapter_names_a_base_that_others_can_find(
    tmp_path: Path, tiny_model: Path, rows: Path
) -> None:
    looped = loaded(tmp_path / "run", tiny_model, rows, method="lora")
    assert isinstance(looped.model, PeftModel)
    assert looped.model.peft_config["default"].base_model_name_or_path == str(tiny_model)
