"""Programs that we did not write, from npm: `make test-outside` installs them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import tiny
from tests.serving import Server, serving

VARIABLE = "VTUNE_NODE_MODULES"


@pytest.fixture(scope="session")
def node_modules() -> Path:
    folder = Path(os.environ.get(VARIABLE) or "node_modules").absolute()
    if not (folder / "openai").is_dir():
        pytest.skip(f"{VARIABLE} names no folder with npm's openai: run `make test-outside`")
    return folder


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Iterator[Server]:
    home = tmp_path_factory.mktemp("service")
    with serving(home, bases={"tiny": tiny_model}, recipe=tiny.RECIPE) as running:
        yield running


@pytest.fixture(scope="module")
def training_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl")
