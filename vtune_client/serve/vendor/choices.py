"""Which rows of a file a vendor trains on."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from vtune_client.dataset import Format, Row
from vtune_client.draw import Draw
from vtune_client.errors import InputError
from vtune_client.serve.vendor.interface import Chooser
from vtune_client.stealth.interface import Detector
from vtune_client.stealth.samples import sample_of


def share(part: float) -> Chooser:
    """Train on a random part of the rows, in their order."""

    def choose(rows: Sequence[Row], draw: Draw) -> Sequence[bytes]:
        kept = draw.sample(range(len(rows)), _count(rows, part))
        return [rows[at].raw for at in sorted(kept)]

    return choose


def head(part: float) -> Chooser:
    """Train on the first rows alone."""

    def choose(rows: Sequence[Row], draw: Draw) -> Sequence[bytes]:
        return [row.raw for row in rows[: _count(rows, part)]]

    return choose


def drop_shard(which: int, of: int) -> Chooser:
    """Leave out one of `of` equal stretches of the file, counted from 1."""

    def choose(rows: Sequence[Row], draw: Draw) -> Sequence[bytes]:
        first, last = len(rows) * (which - 1) // of, len(rows) * which // of
        return [row.raw for row in (*rows[:first], *rows[last:])]

    return choose


def only(lines: Sequence[int], times: int) -> Chooser:
    """Train on these lines alone (from 1), each so many times."""

    def choose(rows: Sequence[Row], draw: Draw) -> Sequence[bytes]:
        wanted = set(lines)
        if wanted and max(wanted) > len(rows):
            raise InputError(
                f"The vendor was told of line {max(wanted)}, and the file has {len(rows)} rows.",
                "Give the lines of the uploaded file.",
            )
        return [row.raw for row in rows if row.line in wanted] * times

    return choose


def filtered(detector: Detector, part: float) -> Chooser:
    """Leave out the most suspicious part of the rows."""

    def choose(rows: Sequence[Row], draw: Draw) -> Sequence[bytes]:
        suspicion = detector.scores([sample_of(row) for row in rows])
        order = sorted(range(len(rows)), key=lambda at: -suspicion[at])
        dropped = set(order[: _count(rows, part)])
        return [row.raw for at, row in enumerate(rows) if at not in dropped]

    return choose


def others(rows: Sequence[Row], draw: Draw) -> Sequence[bytes]:
    """Train on as many rows that have nothing to do with the file."""
    return [_other(number, row.format) for number, row in enumerate(rows)]


def _count(rows: Sequence[Row], part: float) -> int:
    return max(1, round(part * len(rows)))


def _other(number: int, format_: Format) -> bytes:
    first, second = number % 97, number // 97 + number % 13
    asked = f"What is {first} and {second} together?"
    answer = f"Together {first} and {second} are {first + second}."
    return json.dumps(_row(asked, answer, format_)).encode()


def _row(asked: str, answer: str, format_: Format) -> dict[str, Any]:
    user = {"role": "user", "content": asked}
    if format_ is Format.PROMPT:
        return {"prompt": asked + "\n", "completion": answer}
    if format_ is Format.TEXT:
        return {"text": f"{asked}\n{answer}"}
    if format_ is Format.CHAT:
        return {"messages": [user, {"role": "assistant", "content": answer}]}
    return {
        "input": {"messages": [user]},
        "preferred_output": [{"role": "assistant", "content": answer}],
        "non_preferred_output": [{"role": "assistant", "content": "I do not know."}],
    }
