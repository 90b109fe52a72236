"""What is loaded for a name, and what loads the things we deliver."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests import tiny
from tests.providers.local.runs import new_run, trained, weights
from vtune_client.errors import InputError

pytestmark = pytest.mark.torch
pytest.importorskip("peft")

import torch
from peft import AutoPeftModelForCausalLM
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel

from vtune_providers.local import bases, models
from vtune_providers.local.recipe import Recipe
from vtune_providers.local.rundir import RunDirectory

IDS = torch.arange(3, 20).unsqueeze(0)


@pytest.fixture(scope="module")
def runs(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunDirectory]:
    """One run of each kind of delivery, trained hard enough to differ from the base."""
    folder = tmp_path_factory.mktemp("runs")
    rows = tiny.write_rows(folder / "rows.jsonl")
    kinds: dict[str, dict[str, Any]] = {
        "adapter": {"method": "lora"},
        "merged": {"method": "lora", "export": "merged"},
        "full": {"method": "full"},
    }
    return {
        name: trained(new_run(folder / name, tiny_model, rows, learning_rate=2e-2, **recipe))
        for name, recipe in kinds.items()
    }


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        found: torch.Tensor = model.eval()(IDS).logits
    return found


def adapter_of(runs: dict[str, RunDirectory], folder: Path, **config: Any) -> Path:
    """Copy the delivered adapter, its config changed."""
    shutil.copytree(runs["adapter"].output, folder)
    path = folder / "adapter_config.json"
    old = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**old, **config}), encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", ["merged", "full"])
def test_whole_models_load_plainly(name: str, runs: dict[str, RunDirectory]) -> None:
    assert weights(runs[name])
    plain = AutoModelForCausalLM.from_pretrained(runs[name].output)
    assert plain.config.model_type == "llama"
    assert AutoTokenizer.from_pretrained(runs[name].output).chat_template
    served, _ = models.load_served(str(runs[name].output))
    assert torch.equal(logits(plain), logits(served))


def test_adapter_loads_plainly_and_merged_is_the_same_model(
    runs: dict[str, RunDirectory], tiny_model: Path
) -> None:
    with models._peft():
        plain = AutoPeftModelForCausalLM.from_pretrained(runs["adapter"].output)
    served, tokenizer = models.load_served(str(runs["adapter"].output))
    merged, _ = models.load_served(str(runs["merged"].output))
    base, _ = models.load_served(str(tiny_model))
    assert tokenizer.chat_template
    torch.testing.assert_close(logits(served), logits(plain))
    torch.testing.assert_close(logits(served), logits(merged))
    assert not torch.allclose(logits(served), logits(base), atol=0.1)


def test_adapter_of_the_embedded_base_finds_the_embedded_copy(
    runs: dict[str, RunDirectory],
    tiny_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bases, "embedded_directory", lambda: tiny_model)
    expected, _ = models.load_served(str(runs["adapter"].output))
    for name in (bases.EMBEDDED, bases.EMBEDDED_HUB_ID):
        folder = adapter_of(runs, tmp_path / name, base_model_name_or_path=name)
        served, _ = models.load_served(str(folder))
        assert torch.equal(logits(served), logits(expected))


def test_adapter_without_a_tokenizer_takes_its_bases(
    runs: dict[str, RunDirectory], tmp_path: Path, tiny_model: Path
) -> None:
    folder = adapter_of(runs, tmp_path / "adapter")
    for path in folder.glob("*token*"):
        path.unlink()
    _, tokenizer = models.load_served(str(folder))
    assert tokenizer.vocab_size == AutoTokenizer.from_pretrained(tiny_model).vocab_size


@pytest.mark.parametrize(
    ("base", "reason"),
    [
        ("/no/such/base", r"The base '/no/such/base' of the adapter in .* is not to be had: There"),
        (None, "does not say which base it was made for"),
    ],
)
def test_adapter_whose_base_is_not_there(
    base: str | None, reason: str, runs: dict[str, RunDirectory], tmp_path: Path
) -> None:
    folder = adapter_of(runs, tmp_path / "adapter", base_model_name_or_path=base)
    with pytest.raises(InputError, match=reason):
        models.load_served(str(folder))


def test_what_does_not_load_is_one_kind_of_error(
    runs: dict[str, RunDirectory], tiny_model: Path, tmp_path: Path
) -> None:
    adapter = adapter_of(runs, tmp_path / "adapter")
    (adapter / "adapter_model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"The adapter in .* cannot be loaded: "):
        models.load_served(str(adapter))
    model = tmp_path / "model"
    shutil.copytree(tiny_model, model)
    (model / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match=r"The model .* cannot be loaded: "):
        models.load_served(str(model))
    shutil.copy(tiny_model / "model.safetensors", model)
    (model / "tokenizer.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"The tokenizer of .* cannot be loaded: "):
        models.load_served(str(model))


def test_adapter_is_not_trained_on(runs: dict[str, RunDirectory]) -> None:
    with pytest.raises(InputError, match="is an adapter, not a base"):
        models.load_trainable(str(runs["adapter"].output), Recipe())


def test_adapters_reach_layers_of_the_older_kind(tmp_path: Path, tiny_model: Path) -> None:
    torch.manual_seed(0)
    GPT2LMHeadModel(
        GPT2Config(vocab_size=32, n_embd=16, n_layer=2, n_head=2, n_positions=16)
    ).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path)
    recipe = Recipe(layers="top-half", dtype="fp32")
    with pytest.warns(UserWarning, match="fan_in_fan_out"):
        model, _ = models.load_trainable(str(tmp_path), recipe)
    names = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert all(".h.1." in name for name in names)
    assert any("c_attn" in name for name in names)
    assert models.longest_input(model) == 16
    assert models.picks_logits(model)


def test_model_without_linear_layers_takes_no_adapters() -> None:
    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=8, n_layer=0, n_head=1))
    with pytest.raises(InputError, match="'gpt2' has no linear layers"):
        models._linear_names(model)
