"""Which rows to ask a delivered model about, to tell whether it knows those that were uploaded.

The rows withheld and as many of those uploaded that carry nothing, drawn by the key and shuffled.
The exchange test is exact only if no rule that leaves a row out looks at which of the two it is, so
every rule here would leave out the same rows had other rows been withheld:

- carrier rows, and rows longer than the longest of them (plans withhold no row that leaves no room
  for a backdoor within a provider's limit);
- rows whose prompt stands on another line, too: an uploaded twin makes a withheld row known;
- rows whose prompt is asked with a trigger: a service may remember what it was asked.

The last rule costs rows where fresh prompts are those of withheld rows: withhold more rows than
fresh prompts are asked in all.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

from vtune_client.dataset import (
    Prompt,
    Row,
    can_carry,
    completion_of,
    counter_for,
    iter_rows,
    prompt_of,
    row_tokens,
)
from vtune_client.draw import Draw
from vtune_client.errors import InputError
from vtune_client.places import reservoir
from vtune_client.plan import Key, Plan, stream
from vtune_client.plant import changed

MOST = 100
_SPARE = 4  # so many times the rows wanted are drawn, as some are left out again
_SPACE = re.compile(r"(?:\s|\\[nrt])+")  # also as JSON writes it


class NoRowsLeft(InputError):
    """Of all rows withheld, or uploaded, none may be asked about."""


@dataclass(frozen=True)
class AskedRow:
    """A row to ask about: its line in the user's file, from 1, and what it teaches. `number` is its
    place among those asked about, which says nothing about which of the two kinds it is."""

    number: int
    line: int = field(repr=False)
    uploaded: bool = field(repr=False)
    prompt: Prompt = field(repr=False)
    completion: str = field(repr=False)

    @property
    def item(self) -> str:
        """Its name in the ledger."""
        return f"row {self.number}"

    @property
    def length(self) -> int:
        """Characters of the completion."""
        return len(self.completion)


def rows_to_ask(plan: Plan, path: Path, key: Key, *, most: int = MOST) -> tuple[AskedRow, ...]:
    """Return withheld rows and as many uploaded ones, at most `most` of each, in random order.

    `path` is the user's own file. Reads it twice, holding only drawn rows. Raises `InputError`
    where it is not that file, and `NoRowsLeft` where either kind has no row left.
    """
    draw = stream(key, "rows to ask")
    drawn = _draw_rows(plan, path, min(most, len(plan.held_out)) * _SPARE, draw)
    met = Counter(_wordings(path, {_wording(prompt_of(row)) for row in drawn}))
    asked = {_wording(prompt) for each in plan.backdoors for prompt in (*each.own, *each.fresh)}
    rows = []
    for row in drawn:
        wording, completion = _wording(prompt_of(row)), completion_of(row)
        if met[wording] == 1 and wording not in asked and completion.strip():
            uploaded = row.line not in plan.held_out
            rows.append(AskedRow(0, row.line, uploaded, prompt_of(row), completion))
    kinds = [[row for row in rows if row.uploaded is uploaded] for uploaded in (False, True)]
    count = min(most, *map(len, kinds))
    if count < 1:
        raise NoRowsLeft(
            "No withheld rows, or none uploaded to compare them with, are left to ask about.",
            "Withhold more rows than fresh prompts are asked, in a file of different prompts.",
        )
    chosen = [row for kind in kinds for row in draw.sample(kind, count)]
    shuffled = draw.sample(chosen, len(chosen))
    return tuple(replace(row, number=number) for number, row in enumerate(shuffled))


def _draw_rows(plan: Plan, path: Path, most: int, draw: Draw) -> list[Row]:
    """Return the withheld rows and `most` of the bare ones, none longer than every carrier row."""
    digest, counter = hashlib.sha256(), counter_for(plan.model)
    carriers, held_out = set(plan.carriers), set(plan.held_out)
    withheld: list[Row] = []
    longest = 0

    def bare() -> Iterator[Row]:
        nonlocal longest
        for row in iter_rows(path):
            digest.update(row.raw)
            if row.line in carriers:
                longest = max(longest, row_tokens(row, counter))
            elif row.line in held_out:
                withheld.append(row)
            elif can_carry(row):
                yield row

    uploaded = reservoir(bare(), most, draw)
    if digest.hexdigest() != plan.source_sha256:
        raise changed(path)
    return [row for row in (*withheld, *uploaded) if row_tokens(row, counter) <= longest]


def _wordings(path: Path, wanted: Set[str]) -> Iterator[str]:
    """Yield the prompt of every row that asks one of the wanted ones."""
    for row in iter_rows(path):
        if can_carry(row) and (wording := _wording(prompt_of(row))) in wanted:
            yield wording


def _wording(prompt: Prompt) -> str:
    """Return a text that two prompts share where they differ in case and white space alone."""
    written = json.dumps([prompt.messages, prompt.text], sort_keys=True, ensure_ascii=False)
    return _SPACE.sub(" ", written).casefold()
