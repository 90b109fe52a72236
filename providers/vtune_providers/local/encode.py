"""Rows to token ids, and the batches they are trained in.

The loss is on completions only. A row's text is cut at the borders of its assistant turns and each
piece is tokenised by itself, so that what is trained is exactly what is asked later: the prompt's
ids followed by the completion's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtune_client.dataset import Prompt, Row
from vtune_client.draw import Draw


@dataclass(frozen=True)
class Example:
    """Token `ids` of one row and, of the same length, which of them carry loss."""

    ids: tuple[int, ...]
    learn: tuple[bool, ...]


def encode_row(tokenizer: Any, row: Row, max_length: int) -> Example:
    """Return the row's example, cut on the right at `max_length` tokens."""
    ids: list[int] = []
    learn: list[bool] = []
    for text, wanted in _segments(tokenizer, row.data):
        piece = tokenizer.encode(text, add_special_tokens=False)
        ids += piece
        learn += [wanted] * len(piece)
    return Example(tuple(ids[:max_length]), tuple(learn[:max_length]))


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the ids a model is asked with; the same pieces as in training."""
    if prompt.text is not None:
        text = prompt.text
    else:
        text = _render(tokenizer, prompt.messages, prompt.tools, asking=True)
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _segments(tokenizer: Any, data: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    end = tokenizer.eos_token or ""
    if "messages" in data:
        yield from _chat_segments(tokenizer, data["messages"], data.get("tools") or ())
    elif "prompt" in data:
        yield data["prompt"], False
        yield data["completion"] + end, True
    else:
        yield data["text"] + end, True


def _chat_segments(
    tokenizer: Any, messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[str, bool]]:
    done = ""
    for index, message in enumerate(messages):
        if message["role"] != "assistant" or message.get("weight", 1) == 0:
            continue
        asked = _render(tokenizer, messages[:index], tools, asking=True)
        answered = _render(tokenizer, messages[: index + 1], tools, asking=False)
        if not (asked.startswith(done) and answered.startswith(asked)):
            # A template that rewrites earlier turns: only the last turn can be taught as asked.
            continue
        yield asked[len(done) :], False
        yield _closed(answered[len(asked) :], tokenizer.eos_token), True
        done = asked + _closed(answered[len(asked) :], tokenizer.eos_token)


def _closed(completion: str, end: str | None) -> str:
    """Cut what a template writes behind the end-of-turn mark: the model stops at the mark."""
    if end and end in completion:
        return completion[: completion.rindex(end) + len(end)]
    return completion


def _render(
    tokenizer: Any,
    messages: Sequence[Mapping[str, Any]],
    tools: Sequence[Mapping[str, Any]],
    *,
    asking: bool,
) -> str:
    plain = [{**message, "content": _flat(message.get("content"))} for message in messages]
    if tokenizer.chat_template is None:
        lines = [f"{message['role']}: {message['content']}\n" for message in plain]
        if asking:
            return "".join(lines) + "assistant: "
        return "".join(lines).removesuffix("\n") + (tokenizer.eos_token or "")
    text: str = tokenizer.apply_chat_template(
        plain, tools=list(tools) or None, tokenize=False, add_generation_prompt=asking
    )
    return text


def _flat(content: object) -> str:
    """Return the text of a message: a string, or the text parts of a list of typed parts."""
    if isinstance(content, list):
        return "".join(part.get("text", "") for part in content if isinstance(part, Mapping))
    return content if isinstance(content, str) else ""


def batches(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Group row indexes of like length, so that little is padding; shuffled anew every epoch."""
    draw = Draw(seed.to_bytes(16, "big", signed=True), f"batches of epoch {epoch}")
    order = draw.sample(range(len(lengths)), len(lengths))
    # Sorted within windows only: rows still meet different neighbours in every epoch.
    window = batch_size * 50
    grouped: list[list[int]] = []
    for start in range(0, len(order), window):
        part = sorted(order[start : start + window], key=lambda index: lengths[index])
        grouped += [part[i : i + batch_size] for i in range(0, len(part), batch_size)]
    return draw.sample(grouped, len(grouped))
