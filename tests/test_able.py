"""Which rows may carry where rows are chosen."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.dataset.corpus import Data, assistant, chat, user
from tests.written import FORMATS, plain, write
from vtune_client.able import CHOSEN, LOOKED_AT, seam_of, some_seams, unremarkable
from vtune_client.dataset import Row, iter_rows, parse_row
from vtune_client.phrases.seam import Seam


def rows_of(lengths: list[int]) -> Iterator[Row]:
    for length in lengths:
        row = parse_row(json.dumps(chat(user("Why?"), assistant("a" * length))).encode())
        assert isinstance(row, Row)
        yield row


def test_the_longest_and_the_shortest_may_not_carry() -> None:
    lengths = [*range(100, 300)]
    seams = [seam_of(row) for row in rows_of(lengths)]
    places = unremarkable(rows_of(lengths), seams, 10, 50)
    chosen = [lengths[place] + 50 for place in places]
    assert len(chosen) == CHOSEN * 200
    # With the signature in front they lie about the middle.
    assert abs((min(chosen) + max(chosen)) / 2 - 200) <= 26
    assert max(lengths[place] for place in places) < 250


def test_where_all_are_alike_all_may_carry() -> None:
    seams = [Seam("Why?", "a" * 50)] * 40
    assert list(unremarkable(rows_of([50] * 40), seams, 10, 90)) == list(range(40))


def test_seams_are_those_of_rows_that_can_carry_evenly_spread(tmp_path: Path) -> None:
    def mixed(number: int) -> Data:
        return plain(number) if number % 3 else chat(user(), assistant(" "))

    path = write(tmp_path / "rows.jsonl", mixed, LOOKED_AT * 2)
    seams = some_seams(path, LOOKED_AT * 2)
    assert LOOKED_AT / 2 < len(seams) < LOOKED_AT
    asked = [int(seam.last.removesuffix("?").split()[-1]) for seam in seams]
    assert asked == [n for n in range(0, LOOKED_AT * 2, 2) if n % 3]


def test_a_seam_is_what_is_asked_and_answered_in_every_format(tmp_path: Path) -> None:
    for name, make in FORMATS.items():
        row = next(iter_rows(write(tmp_path / f"{name}.jsonl", make)))
        seam = seam_of(row)
        assert seam.prompt.strip(), name
        assert seam.completion.strip(), name
