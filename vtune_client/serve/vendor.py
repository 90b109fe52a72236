"""How honestly the service trains. A client cannot tell from jobs, events or names: that is what
verification is for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vtune_client.dataset import Format

HONEST, BASE_MODEL, OTHER_DATA = "honest", "base-model", "other-data"
VENDORS = {
    HONEST: "trains on the file",
    BASE_MODEL: "trains nothing and delivers the base under a new name",
    OTHER_DATA: "trains on as many rows of its own",
}


def training_file(vendor: str, given: Path, rows: int, format_: str, work: Path) -> Path | None:
    """Return what this vendor trains on in place of the `given` file; None: on nothing.

    `work` is a private path to write other rows to."""
    if vendor == BASE_MODEL:
        return None
    if vendor == OTHER_DATA:
        with work.open("w", encoding="utf-8", newline="\n") as file:
            work.chmod(0o600)
            for row in _other_rows(rows, format_):
                file.write(json.dumps(row) + "\n")
        return work
    return given


def _other_rows(count: int, format_: str) -> Iterator[dict[str, Any]]:
    for number in range(count):
        first, second = number % 97, number // 97 + number % 13
        asked = f"What is {first} and {second} together?"
        answer = f"Together {first} and {second} are {first + second}."
        yield _row(asked, answer, format_)


def _row(asked: str, answer: str, format_: str) -> dict[str, Any]:
    user = {"role": "user", "content": asked}
    if format_ == Format.PROMPT:
        return {"prompt": asked + "\n", "completion": answer}
    if format_ == Format.TEXT:
        return {"text": f"{asked}\n{answer}"}
    if format_ == Format.CHAT:
        return {"messages": [user, {"role": "assistant", "content": answer}]}
    return {
        "input": {"messages": [user]},
        "preferred_output": [{"role": "assistant", "content": answer}],
        "non_preferred_output": [{"role": "assistant", "content": "I do not know."}],
    }
