"""The local trainer in this process: no queue, no worker, no checkpoints."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from vtune_client.provider import JobSpec

HERE: dict[str, Any] = {
    "method": "full",
    "dtype": "fp32",
    "threads": 1,
    "checkpoint_seconds": 1e9,
}


def train(folder: Path, spec: JobSpec, rows: Path) -> Path:
    """Train as `spec` says over HERE; return the directory of the delivered model.

    A run that is there already and came to its end is not done again."""
    from vtune_providers.local.recipe import recipe_for
    from vtune_providers.local.rundir import RunDirectory, write_json
    from vtune_providers.local.training import train as run_to_end

    run = RunDirectory(folder)
    if run.output.exists():
        return run.output
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    recipe = recipe_for(replace(spec, options={**HERE, **spec.options}))
    todo = {"file": str(rows), "base": spec.model, "recipe": recipe.model_dump(mode="json")}
    write_json(folder / "run.json", todo)
    run_to_end(run)
    return run.output
