"""Where this program keeps what it must remember (`VTUNE_HOME`) and what it can make again
(`VTUNE_CACHE`)."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

from vtune_client.errors import InputError

APP = "vtune-client"


def home() -> Path:
    """Return the data directory, made private to the user."""
    chosen = os.environ.get("VTUNE_HOME")
    return _made(Path(chosen or platformdirs.user_data_path(APP, appauthor=False)), "VTUNE_HOME")


def cache() -> Path:
    """Return the cache directory; everything in it can be deleted at any time."""
    chosen = os.environ.get("VTUNE_CACHE")
    return _made(Path(chosen or platformdirs.user_cache_path(APP, appauthor=False)), "VTUNE_CACHE")


def _made(path: Path, variable: str) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InputError(
            f"The directory {path} cannot be made: {error.strerror}.",
            f"Set {variable} to one that can be written.",
        ) from error
    return path
