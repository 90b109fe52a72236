"""Trained weights onto this disk: the archive that the service sends, unpacked, all or nothing.

The archive comes from somebody else: only plain files and directories inside the folder are
written, nothing is linked, and no name leads out of it.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tarfile
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from vtune_client.errors import InputError, MissingExtra, ProviderError

ZSTD = b"\x28\xb5\x2f\xfd"  # RFC 8878, 3.1.1
LONGEST_PATH = 1024
ARCHIVE = "weights.tar"
AGAIN = "Try again later, or ask the service for the weights."


async def unpack(pieces: AsyncIterator[bytes], folder: Path) -> Path:
    """Write what the pieces of an archive hold into `folder`, new or empty; return where the
    weights are: the folder, or the one directory in it."""
    folder = folder.absolute()
    _refuse_if_used(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            await _save(pieces, work / ARCHIVE)
            await asyncio.to_thread(_extract, work / ARCHIVE, work / "files")
            if folder.exists():
                folder.rmdir()
            os.replace(work / "files", folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
    except OSError as error:
        raise InputError(
            f"The weights cannot be written to {folder}: {error.strerror}.",
            "Check that it can be written, and that the disk has room.",
        ) from error
    held = list(folder.iterdir())
    return held[0] if len(held) == 1 and held[0].is_dir() else folder


def _refuse_if_used(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder} is not an empty directory.", "Name a new one.")


async def _save(pieces: AsyncIterator[bytes], path: Path) -> None:
    with path.open("xb") as sink:
        if isinstance(pieces, AsyncGenerator):
            async with aclosing(pieces):
                async for piece in pieces:
                    await asyncio.to_thread(sink.write, piece)
        else:
            async for piece in pieces:
                await asyncio.to_thread(sink.write, piece)


def _extract(archive: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    written = 0
    try:
        with _opened(archive) as content, tarfile.open(fileobj=content, mode="r|*") as tar:
            for member in tar:
                written += _take(tar, member, folder)
    except (tarfile.TarError, EOFError) as error:
        raise ProviderError("What the service sent as weights is no archive.", AGAIN) from error
    if not written:
        raise ProviderError("The service sent an archive without weights in it.", AGAIN)


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> int:
    """Write one member; return how many files that made."""
    target = folder / _inside(member.name)
    source = tar.extractfile(member) if member.isreg() else None
    if source is None and not member.isdir():
        raise ProviderError(
            "The archive that the service sent holds something that is no plain file.", AGAIN
        )
    try:
        parent = target if source is None else target.parent
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if source is None:
            return 0
        with source, target.open("xb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
    except (FileExistsError, NotADirectoryError) as error:
        raise ProviderError(
            "The archive that the service sent names one file twice.", AGAIN
        ) from error
    return 1


def _inside(name: str) -> Path:
    """Return a member's name as a path that stays inside; `ProviderError` where it does not."""
    path = PurePosixPath(name)
    odd = any(part == ".." or "\\" in part or ":" in part or "\0" in part for part in path.parts)
    if path.is_absolute() or odd or len(name) > LONGEST_PATH:
        raise ProviderError(
            "The archive that the service sent names a file outside of itself.", AGAIN
        )
    return Path(*path.parts)


@contextmanager
def _opened(archive: Path) -> Iterator[BinaryIO]:
    """Open the archive; tarfile itself sees gzip, bzip2 and xz."""
    with archive.open("rb") as raw:
        if raw.read(len(ZSTD)) != ZSTD:
            raw.seek(0)
            yield raw
            return
        raw.seek(0)
        try:
            import zstandard
        except ImportError:
            raise MissingExtra("What unpacks the weights (zstandard)", "together") from None
        try:
            with zstandard.ZstdDecompressor().stream_reader(raw) as content:
                yield content
        except zstandard.ZstdError as error:
            raise ProviderError("What the service sent as weights is no archive.", AGAIN) from error
