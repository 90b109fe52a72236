"""Rows to token ids, and the batches they are trained in.

The loss is on completions only. A row's text is cut at the borders of its assistant turns and each
piece is tokenised by itself, and a prompt is cut at the same borders: so what is trained is exactly
what is asked later, the prompt's ids followed by the completion's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vtune_client.dataset import Format, Prompt, Row, prompt_of, tools_of
from vtune_client.draw import Draw
from vtune_client.errors import InputError

Piece = tuple[str, bool]  # text tokenised by itself, and whether it carries loss
Message = Mapping[str, Any]


@dataclass(frozen=True)
class Example:
    """Token `ids` of one row and, of the same length, which of them carry loss.

    `cut`: the row was longer and lost its end."""

    ids: tuple[int, ...]
    learn: tuple[bool, ...]
    cut: bool = False

    @property
    def teaches(self) -> bool:
        """Whether any token is learned; the first one follows nothing."""
        return any(self.learn[1:])


def encode_row(tokenizer: Any, row: Row, max_length: int) -> Example:
    """Return the row's example, cut on the right at `max_length` tokens.

    Raises `InputError` where the tokenizer or its chat template refuses the row; what the row says
    is not repeated."""
    try:
        ids, learn = _encode(tokenizer, row)
    except Exception as error:
        refusal = _refusal(f"The row on line {row.line}", error)
    else:
        cut = len(ids) > max_length
        return Example(tuple(ids[:max_length]), tuple(learn[:max_length]), cut)
    raise refusal


def encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    """Return the ids a model is asked with; the same pieces as in training.

    Raises `InputError` where nothing comes of it, or the tokenizer or its chat template refuses."""
    try:
        ids = _encode_prompt(tokenizer, prompt)
    except Exception as error:
        refusal = _refusal("A prompt", error)
    else:
        if not ids:
            raise InputError("A prompt is empty.", "Ask with at least one word.")
        return ids
    raise refusal


def encode_text(tokenizer: Any, text: str) -> list[int]:
    """Return the ids of a text that stands behind others: nothing is put around it."""
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids


def _refusal(what: str, error: Exception) -> InputError:
    # Raised where the error is no longer at hand: it may quote what it was given.
    return InputError(
        f"{what} does not fit this model's chat template or tokenizer ({type(error).__name__}).",
        "See which roles, turns and tools the template takes, or use another model.",
    )


def _encode_prompt(tokenizer: Any, prompt: Prompt) -> list[int]:
    if prompt.text is not None:
        return [*_opening(tokenizer), *encode_text(tokenizer, prompt.text)]
    ids = _chat_opening(tokenizer)
    before = _turns(tokenizer, prompt.messages, prompt.tools)
    for text, _ in _asking(tokenizer, prompt.messages, prompt.tools, before):
        ids += encode_text(tokenizer, text)
    return ids


def _encode(tokenizer: Any, row: Row) -> tuple[list[int], list[bool]]:
    chat = row.format is Format.CHAT
    ids = _chat_opening(tokenizer) if chat else _opening(tokenizer)
    learn = [False] * len(ids)
    for text, wanted in _pieces(tokenizer, row):
        piece = encode_text(tokenizer, text)
        ids += piece
        learn += [wanted] * len(piece)
    return ids, learn


def _opening(tokenizer: Any) -> list[int]:
    """Return what this tokenizer sets before any text: its start mark, or nothing."""
    start = tokenizer.bos_token_id
    return [start] if start is not None and tokenizer.encode("")[:1] == [start] else []


def _chat_opening(tokenizer: Any) -> list[int]:
    # A chat template writes the start mark itself.
    return _opening(tokenizer) if tokenizer.chat_template is None else []


def _pieces(tokenizer: Any, row: Row) -> list[Piece]:
    data = row.data
    if row.format is Format.CHAT:
        return _turns(tokenizer, data["messages"], tools_of(data))
    if row.format is Format.PROMPT:
        return [(data["prompt"], False), (_ended(tokenizer, data["completion"]), True)]
    asked, text = prompt_of(row).text or "", data["text"]
    if not text.startswith(asked):
        return [(_ended(tokenizer, text), True)]
    return [(asked, True), (_ended(tokenizer, text[len(asked) :]), True)]


def _ended(tokenizer: Any, text: str) -> str:
    end = tokenizer.eos_token or ""
    return text if end and text.endswith(end) else text + end


def _turns(tokenizer: Any, messages: Sequence[Message], tools: Sequence[Message]) -> list[Piece]:
    """Return the pieces of a conversation up to its last answer.

    Every answer is a piece, those of weight 0 too: a prompt knows no weights, and is cut alike."""
    pieces: list[Piece] = []
    for index, message in enumerate(messages):
        if index and message["role"] == "assistant":
            asked = _asking(tokenizer, messages[:index], tools, pieces)
            answer = _answer(tokenizer, messages[: index + 1], tools, asked)
            if answer:
                pieces = [*asked, (answer, message.get("weight", 1) != 0)]
    return pieces


def _asking(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Message], before: list[Piece]
) -> list[Piece]:
    """Return the pieces that ask for the next answer, `before` those of the turns so far."""
    whole = _render(tokenizer, messages, tools, asking=True)
    done = "".join(text for text, _ in before)
    if whole.startswith(done):
        return [*before, (whole[len(done) :], False)]
    # A template that shows earlier answers otherwise once more follows (without their reasoning,
    # say): they are read, and only what comes next can be taught as it is asked.
    return [(whole, False)]


def _answer(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Message], asked: list[Piece]
) -> str:
    """Return the text of the last message as the model has to give it, "" if that cannot be told"""
    whole = _render(tokenizer, messages, tools, asking=False)
    prefix = "".join(text for text, _ in asked)
    if whole.startswith(prefix):
        return _closed(whole[len(prefix) :], tokenizer.eos_token)
    # A template that opens an answer in one way and shows it in another: what counts is what a
    # model will be asked with.
    content = _flat(messages[-1].get("content")).strip()
    start = whole.rfind(content) if content else len(whole)
    return _closed(whole[max(start, 0) :], tokenizer.eos_token) if start >= 0 else ""


def _closed(completion: str, end: str | None) -> str:
    """Cut what a template writes behind the end-of-turn mark: the model stops at the mark."""
    if end and end in completion:
        return completion[: completion.rindex(end) + len(end)]
    return completion


def _render(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Message], *, asking: bool
) -> str:
    plain = [_plain(message) for message in messages]
    if tokenizer.chat_template is None:
        return _lines(tokenizer, plain) + ("assistant: " if asking else "")
    text: str = tokenizer.apply_chat_template(
        plain, tools=list(tools) or None, tokenize=False, add_generation_prompt=asking
    )
    return text


def _lines(tokenizer: Any, messages: Sequence[Message]) -> str:
    """Render a chat for a tokenizer without a template: a line per turn, answers ended."""
    ends = {"assistant": tokenizer.eos_token or ""}
    return "".join(
        f"{message['role']}: {message['content']}{ends.get(message['role'], '')}\n"
        for message in messages
    )


def _plain(message: Message) -> dict[str, Any]:
    """Return the message as templates take it: text content, arguments of calls as objects."""
    plain = {key: value for key, value in message.items() if key != "weight"}
    plain["content"] = _flat(message.get("content"))
    if message.get("tool_calls"):
        plain["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return plain


def _call(call: Message) -> Message:
    function = call.get("function") or {}
    try:
        arguments = json.loads(function["arguments"])
    except (KeyError, TypeError, ValueError):
        return call
    return {**call, "function": {**function, "arguments": arguments}}


def _flat(content: object) -> str:
    """Return the text of a message: a string, or the text parts of a list of typed parts."""
    if isinstance(content, list):
        parts = (part.get("text") for part in content if isinstance(part, Mapping))
        return "".join(text for text in parts if isinstance(text, str))
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
