"""Training files, good and broken: what each holds and what `check` must say of it.

A broken file is a good one of twelve rows with one thing wrong, on line 3 where the fault has a
line of its own, so that exactly that is found.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

Data = dict[str, Any]

LINE = 3
ROWS = 12


class Broken(NamedTuple):
    """A file's content, the line of its first problem (0: the whole file) and what names it."""

    content: bytes
    line: int
    reason: str


def user(text: Any = "What does zip do?") -> Data:
    return {"role": "user", "content": text}


def system(text: Any = "Answer in one sentence.") -> Data:
    return {"role": "system", "content": text}


def assistant(text: Any = "It pairs up items.", **more: Any) -> Data:
    return {"role": "assistant", "content": text, **more}


def call(name: Any = "clock", id_: Any = "call_1") -> Data:
    return {"id": id_, "type": "function", "function": {"name": name, "arguments": "{}"}}


def calling(*calls: Any) -> Data:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


def tool(text: Any = "12:00", id_: str = "call_1") -> Data:
    return {"role": "tool", "tool_call_id": id_, "content": text}


def chat(*messages: Any, **more: Any) -> Data:
    return {"messages": list(messages), **more}


def pair(*messages: Any, good: Any = None, bad: Any = None, **offers: Any) -> Data:
    """Return a preference row: the question, the preferred answer and the other one."""
    return {
        "input": {"messages": list(messages), **offers},
        "preferred_output": [assistant()] if good is None else good,
        "non_preferred_output": [assistant("It zips.")] if bad is None else bad,
    }


def offer(name: str = "clock") -> Data:
    return {"type": "function", "function": {"name": name, "parameters": {"type": "object"}}}


def line(data: Any) -> bytes:
    return json.dumps(data).encode() + b"\n"


def chat_lines(count: int = ROWS) -> list[bytes]:
    return [line(chat(user(f"What is {n}?"), assistant(f"It is {n}."))) for n in range(count)]


def prompt_lines(count: int = ROWS) -> list[bytes]:
    return [line({"prompt": f"Q: {n}\nA:", "completion": f" {n}"}) for n in range(count)]


def text_lines(count: int = ROWS) -> list[bytes]:
    return [line({"text": f"Number {n}.\nIt is {n}."}) for n in range(count)]


def pair_lines(count: int = ROWS) -> list[bytes]:
    return [
        line(pair(user(f"What is {n}?"), good=[assistant(f"It is {n}.")], bad=[assistant("?")]))
        for n in range(count)
    ]


def _put(raw: bytes, lines: list[bytes]) -> bytes:
    return b"".join([*lines[: LINE - 1], raw, *lines[LINE:]])


def _raw(raw: bytes, reason: str) -> Broken:
    return Broken(_put(raw, chat_lines()), LINE, reason)


def _row(data: Any, reason: str) -> Broken:
    return _raw(line(data), reason)


def _talk(*messages: Any, reason: str) -> Broken:
    return _row(chat(*messages), reason)


def _prompt(data: Data, reason: str) -> Broken:
    return Broken(_put(line(data), prompt_lines()), LINE, reason)


def _text(data: Data, reason: str) -> Broken:
    return Broken(_put(line(data), text_lines()), LINE, reason)


def _pair(data: Data, reason: str) -> Broken:
    return Broken(_put(line(data), pair_lines()), LINE, reason)


_GOOD = b"".join(chat_lines())
_BEFORE = sum(len(each) for each in chat_lines()[: LINE - 1])
_LATIN = line(chat(user("caf#"), assistant())).replace(b"#", b"\xe9")
_NUL = line(chat(user("caf#"), assistant())).replace(b"#", b"\0")

_FILES = {
    "empty": Broken(b"", 0, "the file is empty"),
    "only a line break": Broken(b"\n", 1, "blank line"),
    "too few rows": Broken(b"".join(chat_lines(9)), 0, "too few rows: 9; at least 10"),
    "byte-order mark": Broken(b"\xef\xbb\xbf" + _GOOD, 1, "byte-order mark"),
    "UTF-16 with a mark": Broken(_GOOD.decode().encode("utf-16"), 1, "UTF-16"),
    "UTF-16 without a mark": Broken(_GOOD.decode().encode("utf-16-le"), 1, "UTF-16"),
    "UTF-16 big end first": Broken(_GOOD.decode().encode("utf-16-be"), 1, "UTF-16"),
    "UTF-32": Broken(b"\0\0\xfe\xff" + _GOOD.decode().encode("utf-32-be"), 1, "UTF-32"),
    "compressed": Broken(b"\x1f\x8b\x08\0\0\0\0\0", 1, "compressed (gzip)"),
    "one array": Broken(json.dumps([json.loads(_GOOD.splitlines()[0])]).encode(), 1, "JSON array"),
    "array over lines": Broken(b"[\n" + _GOOD + b"]\n", 1, "JSON array"),
    "object over lines": Broken(
        json.dumps(json.loads(_GOOD.splitlines()[0]), indent=1).encode(), 1, "over several lines"
    ),
    "CSV": Broken(b"prompt,completion\n" + b"a,b\n" * 12, 1, "not valid JSON at column 1"),
}

_LINES = {
    "blank line": _raw(b"\n", "blank line; remove it"),
    "spaces only": _raw(b" \t \r\n", "blank line"),
    "blank last line": Broken(_GOOD + b"\n", ROWS + 1, "blank line"),
    "mark inside the file": _raw(b"\xef\xbb\xbf" + chat_lines(1)[0], "byte-order mark"),
    "Latin-1": _raw(_LATIN, f"not UTF-8 at byte offset {_BEFORE + _LATIN.index(0xE9)} "),
    "NUL": _raw(_NUL, f"NUL byte at byte offset {_BEFORE + _NUL.index(0)} "),
    "raw surrogate": _raw(_LATIN.replace(b"\xe9", b"\xed\xa0\x80"), "not UTF-8"),
    "cut short": _raw(b'{"messages": [{"role": "user"\n', "not valid JSON at column "),
    "single quotes": _raw(b"{'text': 'a'}\n", "not valid JSON at column 2"),
    "two objects": _raw(b'{"text": "a"} {"text": "b"}\n', "not valid JSON at column 15"),
    "tab in a string": _raw(b'{"text": "a\tb"}\n', "not valid JSON at column 12"),
    "bad escape": _raw(b'{"text": "a\\x"}\n', "not valid JSON at column 1"),
    "array row": _row(["a"], "not a JSON object"),
    "string row": _row("a", "not a JSON object"),
    "null row": _row(None, "not a JSON object"),
    "nested too deeply": _raw(b"[" * 200_000 + b"\n", "nested too deeply"),
    "key twice": _raw(b'{"text": "a", "text": "b"}\n', "the key 'text' stands twice"),
    "key twice, deep": _raw(
        b'{"messages": [{"role": "user", "role": "user", "content": "a"}]}\n',
        "the key 'role' stands twice",
    ),
    "NaN": _raw(b'{"text": "a", "score": NaN}\n', "NaN is not JSON"),
    "Infinity": _raw(b'{"text": "a", "score": -Infinity}\n', "-Infinity is not JSON"),
    "infinite by size": _raw(b'{"text": "a", "score": 1e999}\n', "a number is too large"),
    "endless integer": _raw(b'{"n": ' + b"9" * 5000 + b"}\n", "too many digits"),
    "lone surrogate": _raw(b'{"text": "a \\ud83d"}\n', "surrogate pair"),
    "lone surrogate in a key": _raw(b'{"text": "a", "\\udc00": 1}\n', "surrogate pair"),
    "no known key": _row({"instruction": "a", "output": "b"}, "has neither messages, nor prompt"),
    "two formats in a row": _row({"prompt": "a", "text": "b"}, "has prompt and text at once"),
    "text row in a chat file": _row({"text": "a"}, "a text row in a chat file"),
    "chat row in a prompt file": Broken(
        _put(chat_lines(1)[0], prompt_lines()), LINE, "a chat row in a prompt file"
    ),
}

_PROMPT_AND_TEXT = {
    "no completion": _prompt({"prompt": "a"}, "has no completion"),
    "no prompt": _prompt({"completion": "a"}, "has no prompt"),
    "prompt not a string": _prompt({"prompt": 1, "completion": "a"}, "prompt is not a string"),
    "empty prompt": _prompt({"prompt": "", "completion": "a"}, "prompt is empty"),
    "blank completion": _prompt({"prompt": "a", "completion": " \n"}, "completion is empty"),
    "text not a string": _text({"text": None}, "text is not a string"),
    "empty text": _text({"text": ""}, "text is empty"),
}

_MESSAGES = {
    "messages not a list": _row({"messages": {}}, "messages is not a list"),
    "no messages": _talk(reason="messages is empty"),
    "message not an object": _talk("hello", reason="message 1 is not an object"),
    "no role": _talk({"content": "a"}, assistant(), reason="message 1 has no role"),
    "unknown role": _talk(
        {"role": "model" * 9, "content": "a"},
        reason="message 1 has the unknown role 'modelmodelmodelmodelmode...'",
    ),
    "no content": _talk(user(), {"role": "assistant"}, reason="message 2 (assistant) has no conte"),
    "null content": _talk(user(None), assistant(), reason="message 1 (user) has no content"),
    "empty content": _talk(user(), assistant(""), reason="message 2 (assistant) has empty content"),
    "content is a number": _talk(user(7), assistant(), reason="neither a string nor a list"),
    "no parts": _talk(user([]), assistant(), reason="message 1 (user) has empty content"),
    "part not an object": _talk(user(["a"]), assistant(), reason="part 1 is not an object with"),
    "part without text": _talk(user([{"type": "text"}]), assistant(), reason="part 1 has no text"),
    "empty part": _talk(
        user([{"type": "text", "text": ""}]), assistant(), reason="part 1 text is empty"
    ),
    "weight of two": _talk(user(), assistant(weight=2), reason="weight that is not 0 or 1"),
    "weight is true": _talk(user(), assistant(weight=True), reason="weight that is not 0 or 1"),
    "weight on a user": _talk(
        {**user(), "weight": 1}, assistant(), reason="message 1 (user) has a weight"
    ),
    "all weights zero": _talk(user(), assistant(weight=0), reason="every assistant message has w"),
}

_ORDER = {
    "late system message": _talk(
        user(), system(), assistant(), reason="message 2 (system) comes after other turns"
    ),
    "assistant first": _talk(
        system(), assistant(), user(), assistant(), reason="message 2 (assistant) comes before any"
    ),
    "assistant twice": _talk(
        user(), assistant(), assistant(), reason="message 3 (assistant) follows another assistant"
    ),
    "ends with the user": _talk(
        user(), assistant(), user(), reason="ends with a message of role user"
    ),
    "ends with a tool": _talk(
        user(), calling(call()), tool(), reason="ends with a message of role tool"
    ),
    "no answer": _talk(system(), user(), reason="has no assistant message"),
    "tool without a call": _talk(
        user(), assistant(), tool(), assistant(), reason="message 3 (tool) does not follow an assis"
    ),
    "tool without an id": _talk(
        user(),
        calling(call()),
        {"role": "tool", "content": "12:00"},
        assistant(),
        reason="message 3 (tool) has no tool_call_id",
    ),
    "tool with another id": _talk(
        user(),
        calling(call()),
        tool(id_="call_2"),
        assistant(),
        reason="message 3 (tool) answers a tool call that the assistant did not make",
    ),
    "call left open": _talk(
        user(),
        calling(call(), call(id_="call_2")),
        tool(),
        assistant(),
        reason="message 4 (assistant) comes before every tool call has its tool message",
    ),
    "function without a call": _talk(
        user(),
        assistant(),
        {"role": "function", "name": "clock", "content": "12:00"},
        assistant(),
        reason="message 3 (function) does not follow",
    ),
}

_TOOLS = {
    "user calls a tool": _talk(
        {**user(), "tool_calls": [call()]}, assistant(), reason="only the assistant calls tools"
    ),
    "no calls in tool_calls": _talk(user(), calling(), reason="tool_calls that are not a list"),
    "call without an id": _talk(user(), calling(call(id_=None)), reason="tool call 1 has no id"),
    "call without a name": _talk(
        user(), calling(call(None)), reason="tool call 1 has no function with a name"
    ),
    "function_call of nothing": _talk(
        user(), assistant(None, function_call={}), reason="has a function_call without a name"
    ),
    "tools not a list": _row(chat(user(), assistant(), tools={}), "tools is not a list"),
    "tool without a name": _row(
        chat(user(), assistant(), tools=[offer(), {"type": "function"}]),
        "tools: item 2 has no function name",
    ),
    "function without a name": _row(
        chat(user(), assistant(), functions=[{"parameters": {}}]),
        "functions: item 1 has no function name",
    ),
    "parallel_tool_calls a word": _row(
        chat(user(), assistant(), parallel_tool_calls="no"), "parallel_tool_calls is not true"
    ),
}

_PREFERENCES = {
    "pair without an input": _pair(
        {key: value for key, value in pair(user()).items() if key != "input"}, "has no input"
    ),
    "input a list": _pair({**pair(), "input": [user()]}, "input is not an object"),
    "input without messages": _pair({**pair(), "input": {}}, "input has no messages"),
    "nothing asked": _pair(pair(), "input: messages is empty"),
    "input of the system alone": _pair(pair(system()), "input: has no user message"),
    "input with an empty turn": _pair(pair(user("")), "input: message 1 (user) has empty content"),
    "input that ends with an answer": _pair(
        pair(user(), assistant()), "input: ends with a message of role assistant"
    ),
    "input that ends before a tool answered": _pair(
        pair(user(), calling(call(), call(id_="b")), tool()),
        "input: ends with a message of role tool",
    ),
    "input with a late system message": _pair(
        pair(user(), system()), "input: message 2 (system) comes after other turns"
    ),
    "input with broken tools": _pair(pair(user(), tools={}), "input: tools is not a list"),
    "pair of one": _pair(
        {key: value for key, value in pair(user()).items() if key != "non_preferred_output"},
        "has no non_preferred_output",
    ),
    "answer not in a list": _pair(
        {**pair(user()), "preferred_output": assistant()}, "preferred_output is not a list"
    ),
    "no answer in the list": _pair(pair(user(), good=[]), "preferred_output holds 0 messages"),
    "two answers in one": _pair(
        pair(user(), bad=[assistant(), assistant()]), "non_preferred_output holds 2 messages"
    ),
    "answer of the user": _pair(
        pair(user(), good=[user()]), "preferred_output: message 1 (user) is not the assistant's"
    ),
    "rejected answer empty": _pair(
        pair(user(), bad=[assistant(" ")]),
        "non_preferred_output: message 1 (assistant) has empty content",
    ),
    "preference and chat at once": _pair(
        {**pair(user()), "messages": []}, "has messages and preferred_output at once"
    ),
    "chat row in a preference file": Broken(
        _put(chat_lines(1)[0], pair_lines()), LINE, "a chat row in a preference file"
    ),
}

BROKEN: dict[str, Broken] = {
    **_FILES,
    **_LINES,
    **_PROMPT_AND_TEXT,
    **_MESSAGES,
    **_ORDER,
    **_TOOLS,
    **_PREFERENCES,
}

_RICH = [
    chat(user(), assistant()),
    chat(system(), user(), assistant()),
    chat({"role": "developer", "content": "Be brief."}, user(), assistant()),
    chat(user(), assistant(weight=0), user("And map?"), assistant(weight=1)),
    chat(user(), calling(call()), tool(), assistant(), tools=[offer()], parallel_tool_calls=False),
    chat(user(), calling(call(), call(id_="b")), tool("", "b"), tool(), user(), assistant()),
    chat(user(), calling(call()), tools=[offer()]),
    chat(
        user(),
        assistant(None, function_call={"name": "clock", "arguments": "{}"}),
        {"role": "function", "name": "clock", "content": "12:00"},
        assistant(),
        functions=[{"name": "clock"}],
    ),
    chat(
        user(
            [
                {"type": "text", "text": "What is this?"},
                {"type": "image_url", "image_url": {"url": "data:,"}},
            ]
        ),
        assistant([{"type": "text", "text": "A cat."}]),
    ),
    chat(user("Où ça ? \U0001f600 \u2028"), assistant("\u4f60\u597d"), id=7, source="a"),
    chat(user(), user("Please."), assistant()),
    chat(user(), {"role": "assistant", "content": None, "refusal": "I cannot."}),
]

_PAIRS = [
    pair(user()),
    pair(system(), user(), assistant(), user("And map?")),
    pair(assistant("How can I help?"), user()),
    pair(user(), tools=[offer()], parallel_tool_calls=True, good=[calling(call())]),
    pair(user(), calling(call()), tool(), tools=[offer()]),
    pair(user([{"type": "text", "text": "a"}]), good=[assistant([{"type": "text", "text": "b"}])]),
    {**pair(user("Où ça ?"), bad=[assistant("\u4f60\u597d")]), "id": 7},
    *(pair(user(f"What is {n}?")) for n in range(5)),
]

GOOD: dict[str, bytes] = {
    "chat": _GOOD,
    "prompt": b"".join(prompt_lines()),
    "text": b"".join(text_lines()),
    "preference": b"".join(pair_lines()),
    "all that a pair may hold": b"".join(line(data) for data in _PAIRS),
    "pairs unescaped": "".join(json.dumps(d, ensure_ascii=False) + "\n" for d in _PAIRS).encode(),
    "no last line break": _GOOD.rstrip(b"\n"),
    "CRLF": _GOOD.replace(b"\n", b"\r\n"),
    "all that a chat may hold": b"".join(line(data) for data in _RICH),
    "unescaped": "".join(json.dumps(data, ensure_ascii=False) + "\n" for data in _RICH).encode(),
    "surrogate pairs in capitals": b'{"text": "a \\uD83D\\uDE00 b"}\n' * 10,
}
