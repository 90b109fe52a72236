"""Rows of an unusual length or format."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence

from vtune_client.stealth.samples import Sample


class Shape:
    """Sums, over simple features of a row, how few rows are as far out or have the same value.

    HBOS (Goldstein and Dengel 2012), with ranks in place of histograms: no feature knows of any
    other, so a row stands out by its sum of surprises.
    """

    name = "length and format"
    looks_for = "rows of unusual length, line breaks, punctuation or capitals"
    advice = (
        "Use --join auto; plant data whose completions have several sentences, as a signature is "
        "one sentence more."
    )

    def scores(self, samples: Sequence[Sample]) -> list[float]:
        columns = [
            *(_far_out(column) for column in zip(*map(_numbers, samples), strict=True)),
            *(_unusual(column) for column in zip(*map(_kinds, samples), strict=True)),
        ]
        return [math.fsum(row) for row in zip(*columns, strict=True)]


def _numbers(sample: Sample) -> tuple[float, ...]:
    prompt, completion = sample.prompt, sample.completion
    first = sample.first_sentence
    return (
        len(prompt),
        len(sample.last_sentence),
        len(completion),
        len(first),
        completion.count("\n"),
        _share(first, str.isupper),
        _share(first, lambda letter: not letter.isalnum() and not letter.isspace()),
    )


def _kinds(sample: Sample) -> tuple[Hashable, ...]:
    prompt, completion = sample.prompt.rstrip(), sample.completion.strip()
    after = completion[len(sample.first_sentence) :]
    return (
        _ending(prompt),
        _ending(completion),
        _ending(sample.first_sentence),
        after[:1],
    )


def _ending(text: str) -> str:
    """Return the last character of a text; any letter or digit counts as one."""
    return "a" if text[-1:].isalnum() else text[-1:]


def _share(text: str, test: Callable[[str], bool]) -> float:
    return sum(map(test, text)) / max(1, len(text))


def _far_out(column: Sequence[float]) -> Iterator[float]:
    """Yield -log of twice the share of rows at least as far out on the nearer side."""
    ranked = sorted(column)
    for value in column:
        below, above = bisect_right(ranked, value), len(ranked) - bisect_left(ranked, value)
        yield -math.log(min(1.0, 2 * min(below, above) / len(ranked)))


def _unusual(column: Sequence[Hashable]) -> Iterator[float]:
    """Yield -log of the share of rows with the same value."""
    counts = Counter(column)
    return (-math.log(counts[value] / len(column)) for value in column)
