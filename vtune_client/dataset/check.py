"""Everything wrong with a training file, found in one pass before anything is spent on it.

What services refuse late, after the upload, or mend in silence (a row cut at the token limit) is a
problem here. Reasons name lines, keys and roles, never what a row says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from vtune_client.dataset.rows import Format, Row, quoted, scan
from vtune_client.dataset.tokens import TokenCounter, counter_for, row_tokens
from vtune_client.errors import DatasetError, Problem

Message = Mapping[str, Any]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


@dataclass(frozen=True)
class Summary:
    """What a good file holds. `sha256` is of its bytes; `token_counter` says how tokens were
    counted, "estimate" where they were not."""

    path: Path
    format: Format
    rows: int
    sha256: str
    bytes: int
    tokens: int
    token_counter: str
    longest_row_tokens: int


def check(
    path: str | PathLike[str],
    *,
    min_rows: int = 10,
    max_row_tokens: int | None = None,
    model: str | None = None,
    limit: int = 50,
    formats: frozenset[str] | None = None,
) -> Summary:
    """Return the summary of a file that can be trained on.

    `model` picks the token counter, `formats` are those the provider takes (None: all). Raises
    `DatasetError` with the first `limit` problems of rows, problems of the whole file before them,
    and the number of the rest.
    """
    tally = _Tally(counter_for(model), max_row_tokens, limit)
    for item in scan(path):
        if isinstance(item, Problem):
            tally.unread += 1
            tally.report(item)
        else:
            tally.add(item)
    problems = [*_of_the_file(tally, min_rows, formats), *tally.problems]
    if problems or tally.format is None:
        raise DatasetError(str(path), problems, more=tally.more)
    return Summary(
        path=Path(path),
        format=tally.format,
        rows=tally.rows,
        sha256=tally.digest.hexdigest(),
        bytes=tally.bytes,
        tokens=tally.tokens,
        token_counter=tally.counter.name,
        longest_row_tokens=tally.longest,
    )


@dataclass
class _Tally:
    """What the pass has seen so far. `format` is that of the first row."""

    counter: TokenCounter
    max_row_tokens: int | None
    limit: int
    format: Format | None = None
    rows: int = 0
    unread: int = 0
    bytes: int = 0
    tokens: int = 0
    longest: int = 0
    more: int = 0
    problems: list[Problem] = field(default_factory=list)
    digest: Any = field(default_factory=hashlib.sha256)

    def report(self, problem: Problem) -> None:
        if len(self.problems) < self.limit:
            self.problems.append(problem)
        else:
            self.more += 1

    def add(self, row: Row) -> None:
        self.rows += 1
        self.bytes += len(row.raw)
        self.digest.update(row.raw)
        if self.format is None:
            self.format = row.format
        reasons = list(self._reasons(row))
        for reason in reasons:
            self.report(Problem(row.line, reason))
        if not reasons:
            self._count(row)

    def _reasons(self, row: Row) -> Iterator[str]:
        if row.format is not self.format:
            yield f"a {row.format} row in a {self.format} file; put it in a file of its own"
        yield from _RULES[row.format](row.data)

    def _count(self, row: Row) -> None:
        count = row_tokens(row, self.counter)
        self.tokens += count
        self.longest = max(self.longest, count)
        if self.max_row_tokens is not None and count > self.max_row_tokens:
            about = "" if self.counter.exact else "about "
            self.report(
                Problem(
                    row.line,
                    f"{about}{count} tokens by {self.counter.name}, over the limit of "
                    f"{self.max_row_tokens}; shorten or split the row",
                )
            )


def _of_the_file(tally: _Tally, min_rows: int, formats: frozenset[str] | None) -> Iterator[Problem]:
    if tally.format is not None and formats is not None and tally.format not in formats:
        taken = " or ".join(sorted(formats))
        yield Problem(0, f"the rows are {tally.format} rows; this provider takes {taken} rows")
    # A line that could not be read may be a row once it is mended.
    if not tally.unread and tally.rows < min_rows:
        yield Problem(0, f"too few rows: {tally.rows}; at least {min_rows} are needed")


def _prompt(data: dict[str, Any]) -> Iterator[str]:
    for key in ("prompt", "completion"):
        yield from _filled(data, key)


def _text(data: dict[str, Any]) -> Iterator[str]:
    yield from _filled(data, "text")


def _filled(data: Mapping[str, Any], key: str) -> Iterator[str]:
    value = data.get(key)
    if key not in data:
        yield f"has no {key}"
    elif not isinstance(value, str):
        yield f"{key} is not a string"
    elif not value.strip():
        yield f"{key} is empty"


def _chat(data: dict[str, Any]) -> Iterator[str]:
    yield from _offers(data)
    messages = data["messages"]
    if not isinstance(messages, list):
        yield "messages is not a list"
    elif not messages:
        yield "messages is empty"
    else:
        reasons = [
            f"message {number} {reason}"
            for number, message in enumerate(messages, 1)
            for reason in _message(message)
        ]
        # The order of turns says nothing while a turn itself is broken.
        yield from reasons or _conversation(messages)


def _offers(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the tools that a conversation offers."""
    for key in ("tools", "functions"):
        offers = data.get(key)
        if offers is None:
            continue
        if not isinstance(offers, list):
            yield f"{key} is not a list"
            continue
        for number, offer in enumerate(offers, 1):
            function = offer
            if key == "tools" and isinstance(offer, dict):
                function = offer.get("function")
            if not _is_named(function):
                yield f"{key}: item {number} has no function name"
    if not isinstance(data.get("parallel_tool_calls", False), bool):
        yield "parallel_tool_calls is not true or false"


def _message(message: Any) -> Iterator[str]:
    """Yield what is wrong with one message by itself."""
    if not isinstance(message, dict):
        yield "is not an object"
        return
    role = message.get("role")
    if not isinstance(role, str):
        yield "has no role"
        return
    if role not in ROLES:
        yield f"has the unknown role {quoted(role)}"
        return
    yield from (f"({role}) {reason}" for reason in _body(message, role))


def _body(message: Message, role: str) -> Iterator[str]:
    calls = [key for key in ("tool_calls", "function_call") if message.get(key) is not None]
    if calls and role != "assistant":
        yield f"has {calls[0]}; only the assistant calls tools"
    elif calls:
        yield from _calls(message)
    optional = role == "assistant" and (calls or isinstance(message.get("refusal"), str))
    if not (optional and not message.get("content")):
        yield from _content(message.get("content"), may_be_empty=role in ("tool", "function"))
    if "weight" in message:
        weight = message["weight"]
        if role != "assistant":
            yield "has a weight; only the assistant's messages have one"
        elif type(weight) is not int or weight not in (0, 1):
            yield "has a weight that is not 0 or 1"


def _content(content: Any, *, may_be_empty: bool) -> Iterator[str]:
    if content is None:
        yield "has no content"
    elif isinstance(content, str):
        if not content.strip() and not may_be_empty:
            yield "has empty content"
    elif not isinstance(content, list):
        yield "has content that is neither a string nor a list of parts"
    elif not content:
        yield "has empty content"
    else:
        for number, part in enumerate(content, 1):
            yield from (f"part {number} {reason}" for reason in _part(part))


def _part(part: Any) -> Iterator[str]:
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        yield "is not an object with a type"
    elif part["type"] == "text":
        yield from _filled(part, "text")


def _calls(message: Message) -> Iterator[str]:
    calls = message.get("tool_calls")
    if calls is not None:
        if not isinstance(calls, list) or not calls:
            yield "has tool_calls that are not a list of calls"
            return
        for number, call in enumerate(calls, 1):
            if not isinstance(call, dict) or not _is_word(call.get("id")):
                yield f"tool call {number} has no id"
            elif not _is_call(call.get("function")):
                yield f"tool call {number} has no function with a name and arguments as a string"
    older = message.get("function_call")
    if older is not None and not _is_call(older):
        yield "has a function_call without a name and arguments as a string"


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_named(function: Any) -> bool:
    return isinstance(function, dict) and _is_word(function.get("name"))


def _is_call(function: Any) -> bool:
    return _is_named(function) and isinstance(function.get("arguments"), str)


def _conversation(messages: list[Message]) -> Iterator[str]:
    """Yield what is wrong with turns that are each well formed; of the order, the first fault."""
    answers = [message for message in messages if message["role"] == "assistant"]
    if not answers:
        yield "has no assistant message, so nothing to learn from"
        return
    turns = _Turns()
    for number, message in enumerate(messages, 1):
        role = message["role"]
        if reason := _ORDER[role](turns, message):
            yield f"message {number} ({role}) {reason}"
            break
        turns.take(message)
    else:
        if messages[-1] is not answers[-1]:
            yield f"ends with a message of role {messages[-1]['role']}; end it with the answer"
    if all(answer.get("weight") == 0 for answer in answers):
        yield "every assistant message has weight 0, so nothing is learned from the row"


@dataclass
class _Turns:
    """Where a conversation stands: the last turn, and the tool calls not yet answered."""

    last: Message | None = None
    user_spoke: bool = False
    called: set[str] = field(default_factory=set)
    unanswered: set[str] = field(default_factory=set)

    @property
    def role(self) -> str | None:
        return None if self.last is None else self.last["role"]

    def take(self, message: Message) -> None:
        self.last = message
        if message["role"] == "user":
            self.user_spoke = True
        elif message["role"] == "assistant":
            self.called = {call["id"] for call in message.get("tool_calls") or ()}
            self.unanswered = set(self.called)
        elif message["role"] == "tool":
            self.unanswered.discard(message["tool_call_id"])

    def system(self, _: Message) -> str | None:
        if self.role not in (None, "system", "developer"):
            return "comes after other turns; put it first"
        return None

    def user(self, _: Message) -> str | None:
        return "comes before every tool call has its tool message" if self.unanswered else None

    def assistant(self, message: Message) -> str | None:
        if not self.user_spoke:
            return "comes before any user turn"
        if self.role == "assistant":
            return "follows another assistant turn; join the two"
        return self.user(message)

    def tool(self, message: Message) -> str | None:
        if not _is_word(message.get("tool_call_id")):
            return "has no tool_call_id"
        if self.role not in ("assistant", "tool") or not self.called:
            return "does not follow an assistant turn with tool_calls"
        if message["tool_call_id"] not in self.called:
            return "answers a tool call that the assistant did not make"
        return None

    def function(self, _: Message) -> str | None:
        if self.last is None or not self.last.get("function_call"):
            return "does not follow an assistant turn with function_call"
        return None


_RULES: dict[Format, Callable[[dict[str, Any]], Iterator[str]]] = {
    Format.CHAT: _chat,
    Format.PROMPT: _prompt,
    Format.TEXT: _text,
}
_ORDER: dict[str, Callable[[_Turns, Message], str | None]] = {
    "system": _Turns.system,
    "developer": _Turns.system,
    "user": _Turns.user,
    "assistant": _Turns.assistant,
    "tool": _Turns.tool,
    "function": _Turns.function,
}
