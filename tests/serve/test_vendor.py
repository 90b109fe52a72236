from __future__ import annotations

from pathlib import Path

import pytest

from vtune_client.dataset import Format, check
from vtune_client.serve.vendor import BASE_MODEL, HONEST, OTHER_DATA, training_file


def test_an_honest_vendor_trains_on_the_file(rows: Path, tmp_path: Path) -> None:
    assert training_file(HONEST, rows, 40, "chat", tmp_path / "work") == rows


def test_the_base_is_trained_on_nothing(rows: Path, tmp_path: Path) -> None:
    assert training_file(BASE_MODEL, rows, 40, "chat", tmp_path / "work") is None


@pytest.mark.parametrize("format_", Format)
def test_other_data_are_as_many_good_rows(rows: Path, tmp_path: Path, format_: Format) -> None:
    made = training_file(OTHER_DATA, rows, 300, format_.value, tmp_path / "work")
    assert made is not None
    summary = check(made)
    assert (summary.rows, summary.format) == (300, format_)
    lines = made.read_text(encoding="utf-8").splitlines()
    assert len(set(lines)) == 300
    assert not set(lines) & set(rows.read_text(encoding="utf-8").splitlines())
