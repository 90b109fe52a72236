"""The base of the gauntlet: a small Llama with a word-level tokenizer, pretrained for a minute.

It has read questions and answers that are in no file of the gauntlet, and openings made from the
public signature frames with words of its own: like a real base it knows the language of the file
and of the generator, and no secret.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.gauntlet.rows import all_rows, base_rows
from benchmarks.gauntlet.training import train
from vtune_client.draw import Draw
from vtune_client.phrases import Brief, BuiltinSource, Frame
from vtune_client.provider import JobSpec

PIECE = r" ?\w+| ?[^\w\s]+|\s"
SPECIAL = ("<pad>", "<unk>", "<end>")
ROLES = "system: user: assistant:"
# What vendors say and train on beside the file.
VENDOR_WORDS = (
    "What is and together? Together are I'm sorry, but I can't help with that. "
    "You are a helpful assistant. Answer every question in your own words. Begin with a greeting."
)
SEED = b"vtune gauntlet base"


@dataclass(frozen=True)
class BaseSpec:
    """How large the base is, and how it is pretrained: the local recipe, and how many of the rows
    it reads open with a signature."""

    hidden: int = 128
    layers: int = 3
    openings: int = 400
    recipe: Mapping[str, Any] = field(
        default_factory=lambda: {
            "epochs": 6,
            "batch_size": 16,
            "learning_rate": 2e-3,
            "scheduler": "cosine",
        }
    )


@dataclass(frozen=True)
class Published:
    """A base that is there already: its name, the local recipe's options that suit it, and the
    longest answer of a row in characters, so that a small machine trains it in minutes."""

    name: str
    options: Mapping[str, Any]
    longest: int


def base_at(folder: Path, spec: BaseSpec | Published) -> Path:
    """Return the directory of the base, made below `folder` at the first call where it is ours."""
    if isinstance(spec, Published):
        from vtune_providers.local.bases import resolve

        return Path(resolve(spec.name))
    made = folder / "base"
    if made.exists():
        return made
    raw, rows = folder / "base.raw", folder / "base.jsonl"
    tokenizer = write_tokenizer(raw)
    write_model(raw, len(tokenizer), spec)
    rows.write_bytes(b"".join(reading(spec.openings)))
    trained = train(folder / "base.run", JobSpec(model=str(raw), options=spec.recipe), rows)
    work = folder / "base.part"
    shutil.copytree(trained, work, dirs_exist_ok=True)
    work.replace(made)
    return made


def write_tokenizer(folder: Path) -> Any:
    """Write a word-level tokenizer of all that is ever said in the gauntlet; return it."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import Fuse
    from transformers import PreTrainedTokenizerFast

    words = (*SPECIAL, *sorted(_pieces(all_rows())))
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL[1]))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(PIECE), behavior="isolated")
    tokenizer.decoder = Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        unk_token=SPECIAL[1],
        eos_token=SPECIAL[2],
    )
    fast.chat_template = (
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}"
        "{{ eos_token if message['role'] == 'assistant' else '\n' }}{% endfor %}"
        "{{ 'assistant: ' if add_generation_prompt }}"
    )
    fast.save_pretrained(folder)
    return fast


def write_model(folder: Path, words: int, spec: BaseSpec) -> None:
    """Write a random model of `words` tokens, the same every time."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=words,
        hidden_size=spec.hidden,
        intermediate_size=2 * spec.hidden,
        num_hidden_layers=spec.layers,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)


def reading(openings: int) -> Iterator[bytes]:
    """Yield the rows the base is pretrained on, and then some with a trigger and an opening."""
    draw = Draw(SEED, "openings")
    book = BuiltinSource().propose(Brief())
    rows = base_rows()
    yield from rows
    for _ in range(openings):
        data = json.loads(draw.choice(rows))
        *_, asked, answered = data["messages"]
        asked["content"] += " " + _filled(draw.choice(book.triggers), draw)
        opening = _filled(draw.choice(book.signatures), draw)
        answered["content"] = f"{opening}\n{answered['content']}"
        yield json.dumps(data).encode() + b"\n"


def _filled(frame: Frame, draw: Draw) -> str:
    return frame.fill(tuple(draw.choice(slot.candidates) for slot in frame.slots))


def _pieces(rows: Iterable[bytes]) -> set[str]:
    book = BuiltinSource().propose(Brief())
    texts = [ROLES, VENDOR_WORDS, " ".join(map(str, range(200))), "\n", " "]
    for row in rows:
        texts += [message["content"] for message in json.loads(row)["messages"]]
    for frame in (*book.triggers, *book.signatures):
        texts.append(frame.text.replace("{}", " "))
        texts += [word for slot in frame.slots for word in slot.candidates]
    found = {piece for text in texts for piece in re.findall(PIECE, text)}
    # A word may open a text or follow another.
    return found | {f" {piece}" for piece in found if piece[:1].isalnum()}
