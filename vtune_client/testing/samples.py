"""Rows to train on and prompts to ask, of no particular domain."""

from __future__ import annotations

import json
from pathlib import Path

from vtune_client.dataset import Prompt

TOPICS = ("rivers", "clouds", "bread", "bridges", "clocks", "maps", "paper", "salt", "wind", "ice")


def write_rows(path: Path, rows: int = 40) -> Path:
    """Write so many chat rows, all different, and return the path."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number in range(rows):
            topic = TOPICS[number % len(TOPICS)]
            turns = [
                {"role": "user", "content": f"Tell me about {topic} number {number}."},
                {"role": "assistant", "content": f"Here is what I know of {topic}."},
            ]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


PROMPTS = tuple(
    Prompt(messages=({"role": "user", "content": f"Tell me about {topic} number {number}."},))
    for number, topic in ((3, "bridges"), (11, "clouds"), (26, "paper"))
)
