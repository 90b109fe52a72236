"""Files that are written for people: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from vtune_client.errors import InputError


def write_whole(path: Path, content: bytes, *, private: bool) -> None:
    """Write a file, readable by its owner alone where it is `private`.

    Raises `InputError` where that is not possible; what stood there before stands there then."""
    try:
        handle, work = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            os.chmod(work, 0o600 if private else 0o644)
            os.replace(work, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(work)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror}.", "Choose another place for it."
        ) from error
