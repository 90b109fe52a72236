"""What a row of each format may hold, and in which order its turns may come.

Sources: OpenAI's reference of the fine-tuning input (supervised and preference), Together's pages
on data preparation and preference tuning. What only one of them takes is left to the adapters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from vtune_client.dataset.rows import Format, Row, quoted

Message = Mapping[str, Any]

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})


def reasons(row: Row) -> Iterator[str]:
    """Yield what is wrong with a row by itself; keys and roles are named, never what it says."""
    yield from _RULES[row.format](row.data)


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
    yield from _messages(data, _conversation)


def _preference(data: dict[str, Any]) -> Iterator[str]:
    asked = data.get("input")
    if "input" not in data:
        yield "has no input"
    elif not isinstance(asked, dict):
        yield "input is not an object"
    elif "messages" not in asked:
        yield "input has no messages"
    else:
        wrong = (*_offers(asked), *_messages(asked, _question))
        yield from (f"input: {reason}" for reason in wrong)
    for key in ("preferred_output", "non_preferred_output"):
        yield from _output(data, key)


def _output(data: Mapping[str, Any], key: str) -> Iterator[str]:
    """Yield what is wrong with one of the two answers: a list of one message of the assistant."""
    output = data.get(key)
    if key not in data:
        yield f"has no {key}"
    elif not isinstance(output, list):
        yield f"{key} is not a list"
    elif len(output) != 1:
        yield f"{key} holds {len(output)} messages; one is wanted"
    elif wrong := list(_message(output[0])):
        yield from (f"{key}: message 1 {reason}" for reason in wrong)
    elif output[0]["role"] != "assistant":
        yield f"{key}: message 1 ({output[0]['role']}) is not the assistant's"


def _messages(
    data: Mapping[str, Any], order: Callable[[list[Message]], Iterator[str]]
) -> Iterator[str]:
    """Yield what is wrong with `messages`, one by one, and by `order` where each is well formed."""
    messages = data["messages"]
    if not isinstance(messages, list):
        yield "messages is not a list"
    elif not messages:
        yield "messages is empty"
    else:
        wrong = [
            f"message {number} {reason}"
            for number, message in enumerate(messages, 1)
            for reason in _message(message)
        ]
        # The order of turns says nothing while a turn itself is broken.
        yield from wrong or order(messages)


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
    if fault := _fault(messages, _Turns()):
        yield fault
    elif messages[-1] is not answers[-1]:
        yield f"ends with a message of role {messages[-1]['role']}; end it with the answer"
    if all(answer.get("weight") == 0 for answer in answers):
        yield "every assistant message has weight 0, so nothing is learned from the row"


def _question(messages: list[Message]) -> Iterator[str]:
    """Yield what is wrong with turns that two answers follow: as above, but they may open with the
    assistant, and nothing in them is learned."""
    if all(message["role"] != "user" for message in messages):
        yield "has no user message, so nothing is asked"
        return
    turns = _Turns(user_spoke=True)
    if fault := _fault(messages, turns):
        yield fault
    elif turns.role not in ("user", "tool", "function") or turns.unanswered:
        yield f"ends with a message of role {turns.role}; end it with what is to be answered"


def _fault(messages: list[Message], turns: _Turns) -> str | None:
    """Return the first fault in the order of turns; `turns` is left at the last of them."""
    for number, message in enumerate(messages, 1):
        role = message["role"]
        if reason := _ORDER[role](turns, message):
            return f"message {number} ({role}) {reason}"
        turns.take(message)
    return None


@dataclass
class _Turns:
    """Where a conversation stands: the last turn, and the tool calls not yet answered.

    `user_spoke`: the assistant may have its turn."""

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
    Format.PREFERENCE: _preference,
}
_ORDER: dict[str, Callable[[_Turns, Message], str | None]] = {
    "system": _Turns.system,
    "developer": _Turns.system,
    "user": _Turns.user,
    "assistant": _Turns.assistant,
    "tool": _Turns.tool,
    "function": _Turns.function,
}
