"""The door to the local provider, on machines with and without its extra."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vtune_client.errors import MissingExtra
from vtune_client.provider import load
from vtune_providers.local import NEEDED, provider

CLIENT = """
import asyncio, sys
from pathlib import Path
from vtune_client.errors import VTuneError
from vtune_client.provider import JobSpec, load

async def main(rows):
    trainer = load("local").trainer()
    spec = JobSpec("some/model", options={"launcher": [sys.executable, "-c", "pass"]})
    await trainer.check(rows, spec)
    try:
        await trainer.check(rows, JobSpec("smollm2-135m-instruct"))
    except VTuneError:
        pass
    file_id = await trainer.upload(rows, "rows.jsonl")
    await trainer.wait_for_file(file_id)
    status = await trainer.create(file_id, spec, "token")
    await trainer.cancel(status.id)
    load("local").endpoint()

asyncio.run(main(Path(sys.argv[1])))
print(sorted(sys.modules.keys() & {"torch", "transformers", "peft", "accelerate", "numpy"}))
"""


def test_it_is_found_by_its_entry_point() -> None:
    assert load("local").name == "local"
    assert load("local").recorded == frozenset()


@pytest.mark.torch
async def test_root_keeps_files_apart(home: Path, rows: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft")
    make = load("local").trainer
    assert make
    await make(root=str(tmp_path / "apart")).upload(rows, "rows.jsonl")
    assert len(list((tmp_path / "apart" / "files").iterdir())) == 1
    assert not (home / "local").exists()


@pytest.mark.parametrize("missing", NEEDED)
def test_without_the_extra_it_says_how_to_get_it(
    missing: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)  # as if it were not installed
    found = provider()
    assert found.trainer
    assert found.endpoint
    for make in (found.trainer, found.endpoint):
        with pytest.raises(MissingExtra, match=missing) as caught:
            make()
        assert caught.value.advice == "Run: pip install 'vtune-client[local]'."
    assert not (home / "local").exists()


@pytest.mark.torch
def test_client_imports_nothing_heavy(home: Path, rows: Path) -> None:
    pytest.importorskip("peft")
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, str(rows)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
