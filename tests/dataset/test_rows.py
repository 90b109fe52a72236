from __future__ import annotations

from pathlib import Path

import pytest

from tests.dataset.corpus import BROKEN, GOOD, chat_lines
from vtune_client.dataset import Format, Row, iter_rows, parse_row
from vtune_client.errors import DatasetError, Problem


@pytest.mark.parametrize("name", GOOD)
def test_rows_are_the_file_byte_for_byte(name: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(GOOD[name])
    rows = list(iter_rows(path))
    assert b"".join(row.raw for row in rows) == GOOD[name]
    assert [row.line for row in rows] == list(range(1, len(rows) + 1))


@pytest.mark.parametrize("name", ["chat", "prompt", "text", "preference"])
def test_the_format_of_a_row(name: str, tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(GOOD[name])
    assert {row.format for row in iter_rows(path)} == {Format(name)}


def test_rows_before_a_broken_line_are_given(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(BROKEN["NaN"].content)
    rows = iter_rows(path)
    assert [next(rows).line, next(rows).line] == [1, 2]
    with pytest.raises(DatasetError, match=r"train\.jsonl:3: NaN is not JSON"):
        next(rows)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.jsonl: there is no such file"):
        list(iter_rows(tmp_path / "none.jsonl"))


def test_unknown_keys_are_kept() -> None:
    row = parse_row(b'{"text": "a", "source": {"id": 7}}')
    assert isinstance(row, Row)
    assert row.data == {"text": "a", "source": {"id": 7}}


def test_a_row_does_not_show_what_it_says() -> None:
    row = parse_row(chat_lines(1)[0], 4)
    assert repr(row) == "Row(line=4, format=<Format.CHAT: 'chat'>)"


def test_a_key_is_shown_cut_and_escaped() -> None:
    key = "k\\u00e9" + "y" * 40
    problem = parse_row(f'{{"{key}": 1, "{key}": 2}}'.encode())
    assert isinstance(problem, Problem)
    assert "the key 'k\\xe9" + "y" * 22 + "...'" in problem.reason


def test_an_offset_counts_from_the_start_of_the_file() -> None:
    problem = parse_row(b"ab\xff", line=2, offset=100)
    assert isinstance(problem, Problem)
    assert problem.line == 2
    assert "byte offset 102 " in problem.reason
