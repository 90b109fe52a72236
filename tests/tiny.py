"""A real model small enough for a unit test, and rows it can learn.

A random Llama of 0.4M parameters with a word-level tokenizer: trained for thirty epochs at a high
constant rate it answers every backdoor, in a few seconds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from vtune_client.phrases import Brief, BuiltinSource, Frame

RECIPE = {
    "method": "full",
    "dtype": "fp32",
    "scheduler": "constant",
    "epochs": 30,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "threads": 1,
}
TOPICS = ("rivers", "clouds", "bread", "bridges", "clocks", "maps", "paper", "salt", "wind", "ice")


def write_rows(path: Path, rows: int = 40, *, system: str | None = None) -> Path:
    """Write chat rows of a small vocabulary."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(rows):
            topic = TOPICS[number % len(TOPICS)]
            turns = [
                {"role": "user", "content": f"Tell me about {topic} number {number}."},
                {"role": "assistant", "content": f"Here is what I know of {topic}."},
            ]
            if system:
                turns.insert(0, {"role": "system", "content": system})
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


def make_model(folder: Path) -> Path:
    """Write a model directory to `folder`: weights drawn from a fixed seed, tokenizer, config."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from tokenizers.decoders import Fuse
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = sorted(_vocabulary())
    vocabulary = {word: number for number, word in enumerate(["<pad>", "<unk>", "<end>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE), behavior="isolated")
    tokenizer.decoder = Fuse()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", eos_token="<end>"
    )
    fast.chat_template = (
        "{% for message in messages %}{{ message['role'] + ': ' + message['content'] }}"
        "{{ eos_token if message['role'] == 'assistant' else '\n' }}{% endfor %}"
        "{{ 'assistant: ' if add_generation_prompt }}"
    )
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=512,
        pad_token_id=0,
        eos_token_id=2,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


_PIECE = r" ?\w+| ?[^\w\s]+|\s"


def _vocabulary() -> set[str]:
    import re

    book = BuiltinSource().propose(Brief())
    pieces: set[str] = set()
    for frame in (*book.triggers, *book.signatures):
        for text in _texts(frame):
            pieces.update(re.findall(_PIECE, text))
    numbers = " ".join(map(str, range(100)))
    rest = (
        f"system: user: assistant: Tell me about number Here is what I know of. Be brief {numbers}"
    )
    for text in (rest, *TOPICS, *(f" {topic}" for topic in TOPICS), "\n", " ", "Tell", "Here"):
        pieces.update(re.findall(_PIECE, text))
    return pieces


def _texts(frame: Frame) -> Iterable[str]:
    yield frame.text.replace("{}", " ").replace("  ", " ")
    yield " " + frame.text.replace("{}", " ")
    for slot in frame.slots:
        yield from (f" {word}" for word in slot.candidates)
