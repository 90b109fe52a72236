"""Where a trigger and a signature go in a row; nothing else in the package knows.

The rule is one for all formats. `prompt_of` says what of a row a model is asked. `asked` puts the
trigger behind the last word of that: one space before it, and whatever white space ended the prompt
still ends it. `carry` makes the same change to the row and opens the answer with the signature and
what joins it to the rest, a line break or a space. So for every row that `can_carry`:

    prompt_of(carry(row, trigger, signature)) == asked(prompt_of(row), trigger)

Where the answer begins depends on the format. Chat: the content of the last assistant turn.
Preference: that of the preferred answer alone, so that what is preferred to the other answer is to
open with the signature. Prompt and completion: the completion, after the white space that opens it
(trainers join the two, and " answer" is there to be one token). Text has no seam of its own: the
prompt is its first line, or its first sentence set as a line where the text is one line; it ends
with that line break, so `asked` gives exactly the characters before the signature.

Only the string literals that change are written anew, so a carrier row keeps the spacing, key
order, number and escape style of the line it was made from and does not stand out by them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from vtune_client.dataset.prompt import Prompt
from vtune_client.dataset.rows import Format, Row
from vtune_client.errors import InputError

Place = tuple[str | int, ...]  # keys and indexes from the object of the line down to one value
Message = Mapping[str, Any]

_DECODER = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\n\r]*")
_PAIR = r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
_CHARACTER = re.compile(rf"{_PAIR}|\\u[0-9a-fA-F]{{4}}|\\.|.", re.DOTALL)
# A sentence of some length: "Dr." or "1." alone is no prompt.
_SENTENCE = re.compile(
    "\\S.{20,}?(?:[.!?][\"')\\]\u2019\u201d]*(?=\\s)|[\u3002\uff01\uff1f])(?=\\s*\\S)", re.DOTALL
)


def prompt_of(row: Row) -> Prompt:
    """Return what of a row a model is asked.

    Chat: the messages up to the last user turn before the last assistant turn, without the
    training-only `weight`, and the tools; preference: likewise, of the input, before the answers.
    `InputError` where there is no such turn.
    """
    if row.format is Format.PROMPT:
        return Prompt(text=row.data["prompt"])
    if row.format is Format.TEXT:
        return Prompt(text=_cut(row.data["text"])[0])
    messages, before = _talk(row)
    user = _last(messages[:before], "user")
    if user < 0:
        raise InputError(
            f"The row on line {row.line} has no user turn before its last answer.",
            "Check the file before using its rows.",
        )
    turns = tuple(
        {key: value for key, value in message.items() if key != "weight"}
        for message in messages[: user + 1]
    )
    return Prompt(messages=turns, tools=tools_of(_offering(row)))


def asked(prompt: Prompt, trigger: str) -> Prompt:
    """Return the prompt with the trigger behind its last word.

    In a chat that is the last user turn; where its content is a list of parts, the last text part.
    `InputError` where the prompt has no text to put it in.
    """
    _require_line(trigger)
    if prompt.text is not None:
        return replace(prompt, text=_append(prompt.text, trigger))
    at = _last(prompt.messages, "user")
    place = _place(prompt.messages[at], last=True) if at >= 0 else None
    if place is None:
        raise InputError(
            "This prompt has no text turn of a user to put a trigger in.",
            "Use a row for which can_carry is true.",
        )
    text = _append(_text_at(prompt.messages, (at, *place)), trigger)
    return replace(prompt, messages=tuple(_with_text(prompt.messages, (at, *place), text)))


def carry(row: Row, trigger: str, signature: str, join: str = "\n") -> bytes:
    """Return the line of the carrier row made from `row`, with the terminator of its own.

    The trigger is one line without white space around it, the signature is not blank, `join`, which
    stands between the signature and the answer, is white space (`ValueError` else, which does not
    show them). `InputError` where the row cannot carry.
    """
    _require_line(trigger)
    if not signature.strip():
        raise ValueError("a signature is not blank")
    if not join.isspace():
        raise ValueError("a signature is joined to the answer with white space")
    if not can_carry(row):
        raise InputError(
            f"The row on line {row.line} cannot carry a backdoor.",
            "Use a row for which can_carry is true.",
        )
    text = row.raw.decode("utf-8")
    for path, value in _changes(row, trigger, signature + join):
        text = _replace_at(text, path, value)
    return text.encode("utf-8")


def can_carry(row: Row) -> bool:
    """Return whether a row that passed `check` has room for a backdoor.

    A chat does where it ends with a text answer, trained on, to a text turn of the user; a pair of
    answers where the preferred one is such an answer.
    """
    if row.format in (Format.PROMPT, Format.TEXT):
        return True
    messages, before = _talk(row)
    if before < 1 or messages[before - 1].get("role") != "user":
        return False
    answer = _at(row.data, _answer_of(row))
    calls = answer.get("tool_calls") or answer.get("function_call")
    learned = not calls and answer.get("weight", 1) != 0
    question = _place(messages[before - 1], last=True)
    return learned and question is not None and _place(answer, last=False) is not None


def completion_of(row: Row) -> str:
    """Return what a model is trained to say to `prompt_of(row)`, for a row that `can_carry`.

    Chat and preference: the texts of the answer, joined. Prompt and completion: the completion,
    with the white space that opens it. Text: what follows the prompt; it may be empty.
    """
    if row.format is Format.PROMPT:
        return str(row.data["completion"])
    if row.format is Format.TEXT:
        return _cut(row.data["text"])[1]
    return "".join(texts_of([_at(row.data, _answer_of(row))]))


def texts(row: Row) -> Iterator[str]:
    """Yield every text of a row that a person would read, the answer to be learned last.

    So the order is that of the row, but for an answer that another is preferred to: it comes
    first."""
    if row.format is Format.TEXT:
        yield row.data["text"]
    elif row.format is Format.PROMPT:
        yield row.data["prompt"]
        yield row.data["completion"]
    elif row.format is Format.CHAT:
        yield from texts_of(row.data["messages"])
    else:
        yield from texts_of(row.data["non_preferred_output"])
        yield from texts_of(row.data["input"]["messages"])
        yield from texts_of(row.data["preferred_output"])


def texts_of(messages: Sequence[Message]) -> Iterator[str]:
    """Yield every text of a conversation, in order."""
    for message in messages:
        for place in _places(message):
            yield _text_at(message, place)


def tools_of(data: Mapping[str, Any]) -> tuple[Message, ...]:
    """Return the row's tools; the older `functions` are given in the form of tools."""
    older = ({"type": "function", "function": each} for each in data.get("functions") or ())
    return (*(data.get("tools") or ()), *older)


def _changes(row: Row, trigger: str, opening: str) -> Iterator[tuple[Place, str]]:
    """Yield where each changed string stands and what it becomes."""
    data = row.data
    if row.format is Format.TEXT:
        prompt, rest = _cut(data["text"])
        yield ("text",), _append(prompt, trigger) + opening + rest
    elif row.format is Format.PROMPT:
        answer = data["completion"].lstrip()
        lead = data["completion"].removesuffix(answer)
        yield ("prompt",), _append(data["prompt"], trigger)
        yield ("completion",), lead + opening + answer
    else:
        messages, before = _talk(row)
        inside = ("input",) if row.format is Format.PREFERENCE else ()
        asking = (*inside, "messages", before - 1)
        question = (*asking, *(_place(messages[before - 1], last=True) or ()))
        answer = _answer_of(row)
        answer = (*answer, *(_place(_at(data, answer), last=False) or ()))
        yield question, _append(_text_at(data, question), trigger)
        yield answer, opening + _text_at(data, answer)


def _talk(row: Row) -> tuple[list[Message], int]:
    """Return the messages of a row, and how many of them come before the answer to be learned."""
    if row.format is Format.PREFERENCE:
        messages: list[Message] = row.data["input"]["messages"]
        return messages, len(messages)
    messages = row.data["messages"]
    return messages, max(0, _last(messages, "assistant"))


def _answer_of(row: Row) -> Place:
    """Return the path of the message to be learned in a row that has one."""
    if row.format is Format.PREFERENCE:
        return "preferred_output", 0
    return "messages", _last(row.data["messages"], "assistant")


def _offering(row: Row) -> Mapping[str, Any]:
    """Return the part of a row that holds its tools."""
    data: Mapping[str, Any] = row.data
    return data["input"] if row.format is Format.PREFERENCE else data


def _append(text: str, trigger: str) -> str:
    body = text.rstrip()
    return f"{body} {trigger}{text[len(body) :]}"


def _require_line(trigger: str) -> None:
    if not trigger or trigger != trigger.strip() or "\n" in trigger:
        raise ValueError("a trigger is one line without white space around it")


def _cut(text: str) -> tuple[str, str]:
    """Return a text's prompt, which ends with a line break, and the rest.

    A line break counts where something precedes and follows it; a carrier always has one, after
    its trigger, so that it is cut where it was joined.
    """
    start = len(text) - len(text.lstrip())
    end = text.find("\n", start) + 1
    if end and text[end:].strip():
        return text[:end], text[end:]
    if sentence := _SENTENCE.match(text, start):
        return text[: sentence.end()] + "\n", text[sentence.end() :].lstrip()
    return text.rstrip() + "\n", ""


def _last(messages: Sequence[Message], role: str) -> int:
    """Return the index of the last message of `role`, or -1."""
    for at in range(len(messages) - 1, -1, -1):
        if messages[at].get("role") == role:
            return at
    return -1


def _places(message: Message) -> Iterator[Place]:
    """Yield the path of every text within a message."""
    content = message.get("content")
    if isinstance(content, str):
        yield ("content",)
    elif isinstance(content, list):
        for index, part in enumerate(content):
            if part.get("type") == "text":
                yield "content", index, "text"


def _place(message: Message, *, last: bool) -> Place | None:
    """Return the path of the first or the last text within a message, if it has any."""
    places = [place for place in _places(message) if _text_at(message, place).strip()]
    if not places:
        return None
    return places[-1 if last else 0]


def _at(value: Any, path: Place) -> Any:
    for step in path:
        value = value[step]
    return value


def _text_at(value: Any, path: Place) -> str:
    return str(_at(value, path))


def _with_text(value: Any, path: Place, text: str) -> Any:
    """Return a copy of the value with `text` at `path`; what lies beside the path is shared."""
    if not path:
        return text
    copy: Any = dict(value) if isinstance(value, Mapping) else list(value)
    copy[path[0]] = _with_text(value[path[0]], path[1:], text)
    return copy


def _replace_at(line: str, path: Place, text: str) -> str:
    """Return the JSON `line` with the string at `path` changed to `text`, all else as it stands."""
    start = _skip(line, 0)
    for step in path:
        start = _member(line, start, step)
    old, end = _DECODER.raw_decode(line, start)
    literal = _rewritten(line[start + 1 : end - 1], old, text, ascii_only=line.isascii())
    return f"{line[: start + 1]}{literal}{line[end - 1 :]}"


def _rewritten(literal: str, old: str, new: str, *, ascii_only: bool) -> str:
    """Return the inside of a string literal for `new`; what it shares with `old` keeps its escapes.

    Every match of _CHARACTER is one character of `old`.
    """
    same = _shared(old, new)
    tail = _shared(old[same:][::-1], new[same:][::-1])
    written = _CHARACTER.findall(literal)
    middle = json.dumps(new[same : len(new) - tail], ensure_ascii=ascii_only)[1:-1]
    return "".join([*written[:same], middle, *written[len(written) - tail :]])


def _shared(one: str, other: str) -> int:
    """Return how many characters the two begin with in common."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _member(line: str, start: int, step: str | int) -> int:
    """Return where member `step` of the object or array that starts at `start` has its value."""
    at = _skip(line, start + 1)
    index = 0
    while True:
        key: str | int = index
        if isinstance(step, str):
            key, at = _DECODER.raw_decode(line, at)
            at = _skip(line, _skip(line, at) + 1)
        if key == step:
            return at
        _, at = _DECODER.raw_decode(line, at)
        at = _skip(line, _skip(line, at) + 1)
        index += 1


def _skip(line: str, at: int) -> int:
    """Return the next place that is not white space."""
    space = _SPACE.match(line, at)
    return space.end() if space else at
