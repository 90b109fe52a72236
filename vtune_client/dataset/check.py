"""Everything wrong with a training file, found in one pass before anything is spent on it.

What services refuse late, after the upload, or mend in silence (a row cut at the token limit) is a
problem here. Reasons name lines, keys and roles, never what a row says.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

from vtune_client.dataset.rows import Format, Row, scan
from vtune_client.dataset.rules import reasons
from vtune_client.dataset.tokens import TokenCounter, counter_for, row_tokens
from vtune_client.errors import DatasetError, Problem


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


def method_problems(summary: Summary, method: str) -> tuple[Problem, ...]:
    """Return why a file that passed `check` cannot be trained on by `method`, if it cannot.

    Preference rows go with "dpo", and all others with every other method."""
    preference = summary.format is Format.PREFERENCE
    if preference == (method == "dpo"):
        return ()
    wanted = "preference" if method == "dpo" else "chat, prompt or text"
    return (
        Problem(
            0,
            f"the rows are {summary.format} rows; the method {method!r} learns from {wanted} rows",
        ),
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
        wrong = list(self._wrong(row))
        for reason in wrong:
            self.report(Problem(row.line, reason))
        if not wrong:
            self._count(row)

    def _wrong(self, row: Row) -> Iterator[str]:
        if row.format is not self.format:
            yield f"a {row.format} row in a {self.format} file; put it in a file of its own"
        yield from reasons(row)

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
