"""The training process: `python -m vtune_providers.local.worker RUN_DIRECTORY`.

Started by the trainer, or under `accelerate launch` or `torchrun` on several GPUs or machines; the
loop is the same. The first process holds the run's lock while it lives and is the only one to write
there; it goes on from the last checkpoint if there is one, and never starts a run that has ended or
is to pause.
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from pathlib import Path

from filelock import Timeout

from vtune_client.errors import VTuneError
from vtune_client.provider import State
from vtune_providers.local.rundir import RunDirectory, one_line

# Who asks whether a worker lives holds the lock for an instant; that is no worker.
LOCK_WAIT_S = 5.0
# How torchrun, Intel MPI, Open MPI and MVAPICH number their processes.
RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


def main(path: str) -> int:
    run = RunDirectory(Path(path))
    if any(os.environ.get(name, "0") != "0" for name in RANKS):
        return _follow(run)
    try:
        with run.lock.acquire(timeout=LOCK_WAIT_S):
            return _lead(run)
    except Timeout:
        return 0  # another worker has this run


def _lead(run: RunDirectory) -> int:
    if run.status().state.final:
        return 0
    if run.output.is_dir():
        run.set_state(State.SUCCEEDED)  # a worker before us was stopped short of saying so
        return 0
    if stop := run.stop_asked:
        run.stop(stop)
        return 0
    reason = _train(run)
    if reason is None:
        return 0
    with contextlib.suppress(OSError):  # a full disk takes no last words; the log may have them
        run.set_state(State.FAILED, error=reason)
    return 1


def _follow(run: RunDirectory) -> int:
    """Train beside the leading process; whatever there is to say, it says."""
    ended = run.status().state.final or run.output.is_dir() or run.stop_asked
    return 0 if ended or _train(run) is None else 1


def _train(run: RunDirectory) -> str | None:
    """Train; return None, or in one line why it failed. The traceback goes to the run's log."""
    try:
        from vtune_providers.local.training import train

        train(run)
    except VTuneError as error:
        traceback.print_exc()
        return one_line(error)
    except Exception as error:
        traceback.print_exc()
        return f"{type(error).__name__}: {one_line(error)}"
    return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
