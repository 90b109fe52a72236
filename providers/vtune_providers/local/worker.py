"""The training process: `python -m vtune_providers.local.worker RUN_DIRECTORY`.

Started by the trainer, or under `accelerate launch` on several GPUs or machines; the loop is the
same. It holds the run's lock while it lives, goes on from the last checkpoint if there is one, and
never starts a run that has ended.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from filelock import Timeout

from vtune_client.errors import VTuneError
from vtune_client.provider import State
from vtune_providers.local.rundir import RunDirectory


def main(path: str) -> int:
    run = RunDirectory(Path(path))
    if os.environ.get("RANK", "0") != "0":
        return _train(run)
    try:
        with run.lock:
            return _train(run)
    except Timeout:
        return 0  # another worker has this run


def _train(run: RunDirectory) -> int:
    if run.status().state.final:
        return 0
    try:
        from vtune_providers.local.training import train

        train(run)
    except VTuneError as error:
        run.set_state(State.FAILED, error=str(error))
        return 1
    except Exception as error:
        # The traceback goes to the run's log; the status carries one line.
        traceback.print_exc()
        run.set_state(State.FAILED, error=f"{type(error).__name__}: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
