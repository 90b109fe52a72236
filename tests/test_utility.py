"""The paired differences, what is trained on and measured, and one file for real, tiny."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from scipy.stats import ttest_1samp

from benchmarks.gauntlet.base import BaseSpec
from benchmarks.utility import (
    AGAIN,
    BARE,
    BASE,
    CASES,
    KINDS,
    PLAIN,
    PLANTED,
    WITHHELD,
    Case,
    Measured,
    digest_of,
    loss_of,
    markdown,
    measure,
    missing,
    sign_flip_p,
    summarise,
    written,
)
from vtune_client.plan import PlanSpec

SMALL = Case(
    "toy",
    "too small to learn anything",
    rows=34,
    plan=PlanSpec(backdoors=3, dose=2, held_out=12),
    epochs=1,
    base=BaseSpec(hidden=16, layers=1, openings=4, recipe={"epochs": 1, "batch_size": 64}),
)
DIFFERENCES = [0.3, -0.1, 0.25, 0.4, 0.05, 0.2]


def test_an_interval_is_students() -> None:
    found = summarise(DIFFERENCES)
    low, high = ttest_1samp(DIFFERENCES, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.mean == pytest.approx(sum(DIFFERENCES) / 6)
    with pytest.raises(ValueError, match="two files"):
        summarise([0.1])


def test_signs_are_flipped_in_every_way() -> None:
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, DIFFERENCES, strict=True)))
        for signs in itertools.product((1, -1), repeat=6)
    ]
    reached = sum(total >= sum(DIFFERENCES) - 1e-12 for total in sums)
    assert sign_flip_p(DIFFERENCES) == reached / 64
    assert sign_flip_p([0.1, 0.2, 0.3]) == 0.25
    assert sign_flip_p([0.0, 0.0]) == 1.0


def test_planting_changes_the_carriers_and_nothing_else(tmp_path: Path) -> None:
    files = written(SMALL, 0, tmp_path)
    planted, plain, withheld, bare = (
        files[name].read_bytes().splitlines() for name in (PLANTED, PLAIN, WITHHELD, BARE)
    )
    assert (len(planted), len(plain), len(withheld), len(bare)) == (22, 22, 12, 16)
    assert [row for row, was in zip(planted, plain, strict=True) if row == was] == bare
    assert not set(withheld) & {*planted, *plain}


def test_another_recipe_or_plan_is_another_file(tmp_path: Path) -> None:
    others = (replace(SMALL, epochs=2), replace(SMALL, plan=replace(SMALL.plan, dose=1)))
    digests = {digest_of(case, 0) for case in (SMALL, *others)} | {digest_of(SMALL, 1)}
    assert len(digests) == 4
    book = tmp_path / "book"
    book.write_text(
        json.dumps({"case": "toy", "seed": 0, "digest": digest_of(SMALL, 0), "losses": {}})
    )
    assert missing(book, [(SMALL, 0), (others[0], 0)]) == [(others[0], 0)]


def test_a_table_says_what_was_measured() -> None:
    def measured(seed: int, more: float) -> Measured:
        losses = {BASE: 4.0, PLAIN: 2.0, PLANTED: 2.0 + more, AGAIN: 2.0}
        return Measured("small", seed, "", {m: dict.fromkeys(KINDS, x) for m, x in losses.items()})

    text = markdown([measured(0, 0.1), measured(1, 0.3), measured(2, 0.2)], CASES, "here")
    line = next(line for line in text.splitlines() if line.startswith("| `small` | 3 | withheld"))
    assert "| 4.000 | 2.000 | 2.200 | +0.200 (-0.048 .. +0.448) | +10.0 % " in line
    assert line.endswith("| 0.25 | +0.000 (+0.000 .. +0.000) |")
    assert "no change is seen; planting moves the loss by +10.0%" in text
    assert "smollm2" not in text


@pytest.mark.torch
def test_a_file_is_measured(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    found = measure(SMALL, 0, tmp_path)
    assert {model: set(losses) for model, losses in found.losses.items()} == {
        model: set(KINDS) for model in (BASE, PLANTED, PLAIN, AGAIN)
    }
    every = [loss for losses in found.losses.values() for loss in losses.values()]
    assert len(set(every)) == len(every)
    assert all(0 < loss < 20 for loss in every)
    assert found.effect(BARE) == found.losses[PLANTED][BARE] - found.losses[PLAIN][BARE]


@pytest.mark.torch
def test_the_loss_is_that_of_completions_alone(tiny_model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rows, total, tokens = [], 0.0, 0
    for asked, answered in (("What is it?", " One word"), ("And then what is that?", " Two")):
        rows.append(json.dumps({"prompt": asked, "completion": answered}))
        prompt, completion = (tokenizer(text)["input_ids"] for text in (asked, answered))
        completion = [*completion, tokenizer.eos_token_id]
        logits = model(torch.tensor([prompt + completion])).logits[0].log_softmax(-1)
        total -= sum(
            float(logits[len(prompt) - 1 + at, token].detach())
            for at, token in enumerate(completion)
        )
        tokens += len(completion)
    (tmp_path / "rows.jsonl").write_text("\n".join(rows) + "\n")
    measured = loss_of(str(tiny_model), tmp_path / "rows.jsonl")
    assert math.isclose(measured, total / tokens, rel_tol=1e-4)
