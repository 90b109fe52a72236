from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.memory import BASE, Service

URL = "http://one.test/v1"


def test_the_command_line_takes_it(cli: Cli, home: Path, rows: Path, memory: Service) -> None:
    start = ("fine-tune", rows, "--provider", "memory", "--model", BASE)
    assert cli(*start, "--base-url", URL).code == 0
    assert cli(*start, "--connect", f"base_url={URL}").code == 0
    assert set(memory.connections) == {(URL, None)}


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("base_url", "is not NAME=VALUE"),
        ("api_key=a-key", "set VTUNE_API_KEY"),
        ("colour=red", "takes no 'colour'"),
    ],
)
def test_the_command_line_says_what_is_wrong_with_it(
    cli: Cli, home: Path, rows: Path, memory: Service, option: str, sentence: str
) -> None:
    ran = cli("fine-tune", rows, "--provider", "memory", "--model", BASE, "--connect", option)
    assert ran.code == 2
    assert sentence in ran.err
    assert "a-key" not in ran.err
    assert memory.connections == []
