"""Files of good rows in every format, all different, for what is drawn from and written to them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.dataset.corpus import (
    Data,
    assistant,
    call,
    calling,
    chat,
    offer,
    pair,
    system,
    tool,
    user,
)

WORDS = ("rivers", "clouds", "bread", "bridges", "clocks", "maps", "paper", "salt", "wind", "ice")


def plain(number: int) -> Data:
    word = WORDS[number % len(WORDS)]
    return chat(user(f"What of {word}, number {number}?"), assistant(f"This is known of {word}."))


def rich(number: int) -> Data:
    """Chat with everything in it: tools, parts, names, weights, numbers of all kinds."""
    parts = [
        {"type": "image_url", "image_url": {"url": f"https://example.org/{number}.png"}},
        {"type": "text", "text": f"What is on picture {number}?"},
    ]
    return chat(
        system(),
        {**user("Which clock?"), "name": "ann"},
        calling(call()),
        tool("12:00"),
        assistant("Noon.", weight=0),
        user(parts),
        assistant([{"type": "text", "text": f"A clock, the {number}th, caf\u00e9 \U0001f600."}]),
        tools=[{**offer(), "strict": True, "limits": [0.1, 1e-300, -7, 2**53, None]}],
    )


def prompt(number: int) -> Data:
    return {"prompt": f"Question {number}:\n", "completion": f" Answer {number}.\n"}


def text(number: int) -> Data:
    return {"text": f"Chapter {number} of the book.\nIt was a dark night, the {number}th."}


def preference(number: int) -> Data:
    answers = [[assistant(f"{start} the {number}th.")] for start in ("It is", "Is it not")]
    return pair(system(), user(f"Which is {number}?"), good=answers[0], bad=answers[1])


FORMATS: dict[str, Callable[[int], Data]] = {
    "chat": plain,
    "rich chat": rich,
    "prompt": prompt,
    "text": text,
    "preference": preference,
}


def write(path: Path, make: Callable[[int], Data], rows: int = 60) -> Path:
    """Write that many rows; return the path."""
    path.write_bytes(b"".join(json.dumps(make(number)).encode() + b"\n" for number in range(rows)))
    return path
