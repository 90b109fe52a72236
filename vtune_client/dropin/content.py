"""What the vendors' clients take as a file: a path, bytes, a file object, or a tuple with one."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any


@dataclass(frozen=True)
class Content:
    """A file to be uploaded: the `name` it goes under, where it lies or what it holds, and what
    else the user said of it (content type, headers)."""

    name: str | None
    body: Path | bytes | IO[bytes] = field(repr=False)
    rest: tuple[Any, ...] = ()

    def carried_by(self, file: IO[bytes]) -> tuple[Any, ...]:
        """Return the upload of `file` under this one's name."""
        return (self.name, file, *self.rest)


def content_of(file: object) -> Content | None:
    """Return what `file` holds, or None for what the vendor's client itself refuses.

    Names are those that the client would send: httpx names bytes "upload"."""
    if isinstance(file, tuple) and len(file) >= 2:
        name, inner, *rest = file
        found = content_of(inner)
        return found and Content(name, found.body, tuple(rest))
    if isinstance(file, bytes):
        return Content("upload", file)
    if isinstance(file, os.PathLike):
        return Content(Path(file).name, Path(file))
    if isinstance(file, io.IOBase) and not isinstance(file, io.TextIOBase):
        body: Any = file
        return Content(Path(str(getattr(file, "name", "upload"))).name, body)
    return None
