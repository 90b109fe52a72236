"""Runs of the local provider made by hand, and trained in this process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests import tiny
from vtune_client.dataset import Row, parse_row
from vtune_client.provider import State
from vtune_providers.local.recipe import Recipe
from vtune_providers.local.rundir import RunDirectory, write_json

SHORT = {**tiny.RECIPE, "epochs": 2}  # 40 rows in batches of 8: 5 steps an epoch


def new_run(folder: Path, base: Path, rows: Path, **recipe: Any) -> RunDirectory:
    """Return a run as `create` leaves it, not started."""
    folder.mkdir(parents=True)
    chosen = Recipe.model_validate({**SHORT, **recipe})
    todo = {
        "token": "a token",
        "file_id": "file-0",
        "file": str(rows),
        "base": str(base),
        "recipe": chosen.model_dump(mode="json"),
    }
    write_json(folder / "run.json", todo)
    return RunDirectory(folder)


def trained(run: RunDirectory) -> RunDirectory:
    """Train the run in this process."""
    from vtune_providers.local.training import train

    reset_accelerate()
    train(run)
    return run


def reset_accelerate() -> None:
    """Forget the precision of the run before; accelerate keeps it for the whole process."""
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(reset_partial_state=True)


def weights(run: RunDirectory) -> dict[str, Any]:
    """Return the delivered tensors, by name."""
    from safetensors.torch import load_file

    assert run.status().state is State.SUCCEEDED, run.status()
    return {
        name: tensor
        for path in sorted(run.output.glob("*.safetensors"))
        for name, tensor in load_file(path).items()
    }


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Return whether both hold the same tensors, bit for bit."""
    import torch

    return one.keys() == other.keys() and all(torch.equal(one[n], other[n]) for n in one)


def row(text: str, line: int = 1) -> Row:
    """Return the row that a line of JSON is."""
    parsed = parse_row(text.encode(), line)
    assert isinstance(parsed, Row), parsed
    return parsed
