"""The adapter that docs/adapters.md shows works, and passes the tests shown with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

import vtune_client.testing
from tests import plugins, tiny
from vtune_client.provider import EndpointCapabilities, TrainerCapabilities

PAGE = (Path(__file__).parents[1] / "docs" / "adapters.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```python\n# (\w+\.py)\n(.*?)```", re.DOTALL)
BLOCKS = dict(BLOCK.findall(PAGE))
# Others may not have pytest-asyncio in the mode that ours is in.
SETTINGS = """[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The two files of the page, and the adapter installed by its entry point."""
    assert set(BLOCKS) == {"folder_vtune.py", "test_folder_vtune.py"}
    made = tmp_path / "adapter"
    entry = re.search(r'^folder = "(.*)"$', PAGE, re.MULTILINE)
    assert entry
    plugins.install(made, "folder-vtune", folder=entry[1])
    for name, text in {**BLOCKS, "pytest.ini": SETTINGS}.items():
        (made / name).write_text(text, encoding="utf-8")
    return made


def ran(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    paths = [str(folder), os.environ.get("PYTHONPATH", "")]
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_adapter_passes_its_tests(folder: Path) -> None:
    done = ran(folder, "-m", "pytest", "-q", "-p", "no:cacheprovider", ".")
    assert done.returncode == 0, done.stdout
    # Without keys there are none to be wrong, and none of its answers has scores.
    assert re.search(r"\b2[0-9] passed, 2 skipped\b", done.stdout), done.stdout


def test_the_command_shown_trains(folder: Path, home: Path) -> None:
    shown = re.search(r"^vtune (fine-tune .*)$", PAGE, re.MULTILINE)
    assert shown
    tiny.write_rows(folder / "rows.jsonl")
    main = "from vtune_client.cli import main; main()"
    done = ran(folder, "-c", main, *shown[1].split())
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_capability_and_every_class_is_named() -> None:
    for capabilities in (TrainerCapabilities, EndpointCapabilities):
        for field in fields(capabilities):
            assert f"`{field.name}`" in PAGE
    for name in ("TrainerConformance", "EndpointConformance", "JobConformance", "full_job"):
        assert name in vtune_client.testing.__all__
        assert f"`{name}`" in PAGE
