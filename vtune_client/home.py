"""Where this program keeps what it must remember (`VTUNE_HOME`) and what it can make again
(`VTUNE_CACHE`)."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

APP = "vtune-client"


def home() -> Path:
    """Return the data directory, made private to the user."""
    path = Path(os.environ.get("VTUNE_HOME") or platformdirs.user_data_path(APP, appauthor=False))
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path


def cache() -> Path:
    """Return the cache directory; everything in it can be deleted at any time."""
    path = Path(os.environ.get("VTUNE_CACHE") or platformdirs.user_cache_path(APP, appauthor=False))
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    return path
