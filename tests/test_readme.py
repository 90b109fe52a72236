"""What the README shows is there: commands, options, names, exit codes, files."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path

import click
import pytest

from vtune_client.cli.app import COMMANDS, vtune

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
CALLS = [
    line.partition("#")[0].split()
    for language, block in BLOCKS
    if language == "sh"
    for line in block.splitlines()
    if line.startswith("vtune ")
]


@pytest.mark.parametrize("call", CALLS, ids=" ".join)
def test_every_command_line_parses(
    call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "delivered").mkdir()
    for name in ("train.jsonl", "statement.json", "reveal.json", "audits.toml"):
        (tmp_path / name).touch()
    context = click.Context(vtune)
    command: click.Command | None = vtune
    words = call[1:]
    while isinstance(command, click.Group):
        command = command.get_command(context, words.pop(0))
    assert command is not None
    command.make_context(command.name, words, parent=context, resilient_parsing=False)


def test_every_make_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`?make (\w+)", README):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


@pytest.mark.parametrize("snippet", [block for language, block in BLOCKS if language == "python"])
def test_the_python_it_shows_uses_public_names(snippet: str) -> None:
    pytest.importorskip("openai")
    imports = [node for node in ast.walk(ast.parse(snippet)) if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        public = import_module(str(node.module)).__all__
        assert {alias.name for alias in node.names} <= set(public)


def test_the_files_it_points_to_exist() -> None:
    named = set(re.findall(r"\b[\w/-]+\.md\b", README))
    assert {"docs/providers.md", "SECURITY.md"} <= named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_exit_codes_are_those_of_the_help() -> None:
    codes = set(
        re.findall(r"(\d+) (?:verified|not|usage|inconclusive|provider|secrets|a bug)", README)
    )
    said = set(
        re.findall(
            r"(\d+) (?:verified|not|usage|inconclusive|provider|secrets|a bug)", str(vtune.help)
        )
    )
    assert codes == said == {"0", "1", "2", "3", "4", "5", "70"}
    assert len(COMMANDS) > 10
