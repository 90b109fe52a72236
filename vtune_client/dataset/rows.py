"""Rows of a training file, one JSON object per line, byte for byte.

The file is read in binary and one line at a time, so memory does not grow with it. A line is read
strictly: whatever two readers could understand differently (duplicate keys, NaN, lone surrogates,
a byte-order mark) is a problem here rather than a surprise at the vendor's.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from os import PathLike
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from vtune_client.errors import DatasetError, Problem

MAX_LINE = 32 * 1024 * 1024  # bytes
_BOM = b"\xef\xbb\xbf"
_WIDE_STARTS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff", b"{\0", b"\0{")
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Format(StrEnum):
    """What a row holds: `messages`, `prompt` and `completion`, `text`, or `input` with a
    `preferred_output` and a `non_preferred_output`."""

    CHAT = "chat"
    PROMPT = "prompt"
    TEXT = "text"
    PREFERENCE = "preference"


_MARKERS = {
    "messages": Format.CHAT,
    "prompt": Format.PROMPT,
    "completion": Format.PROMPT,
    "text": Format.TEXT,
    "preferred_output": Format.PREFERENCE,
    "non_preferred_output": Format.PREFERENCE,
}


@dataclass(frozen=True)
class Row:
    """One line: `line` counts from 1, `raw` is the line with its own terminator, as it stands."""

    line: int
    raw: bytes = field(repr=False)
    data: dict[str, Any] = field(repr=False)
    format: Format


class _Broken(Exception):
    """The line at hand is no row; the message is the reason."""


def iter_rows(path: str | PathLike[str]) -> Iterator[Row]:
    """Yield the rows of the file in order; `DatasetError` at the first line that is none.

    What the turns of a conversation say to each other is not looked at here: see `check`.
    """
    for item in scan(path):
        if isinstance(item, Problem):
            raise DatasetError(str(path), [item])
        yield item


def scan(path: str | PathLike[str]) -> Iterator[Row | Problem]:
    """Yield each line as a row or as what is wrong with it.

    Stops after the first line where that shows the whole file to be something else than JSON Lines
    (UTF-16, one JSON array), so that the reader is told once.
    """
    path = Path(path)
    try:
        if not path.exists():
            yield Problem(0, "there is no such file")
        elif path.is_dir():
            yield Problem(0, "is a directory; name the file inside it")
        elif not path.is_file():
            yield Problem(0, "is not a regular file; save the rows to one first")
        else:
            with path.open("rb") as file:
                yield from _scan(file)
    except OSError as error:
        yield Problem(0, f"cannot be read ({error.strerror or type(error).__name__})")


def parse_row(raw: bytes, line: int = 1, offset: int = 0) -> Row | Problem:
    """Return the row that `raw` holds, or what is wrong with it.

    `offset` is where the line starts in its file, in bytes; reasons that name a byte count from
    the start of the file.
    """
    try:
        data = _object(_text(raw, offset))
        return Row(line, raw, data, _format(data))
    except _Broken as broken:
        return Problem(line, str(broken))


def quoted(name: str) -> str:
    """Return a key or a role fit to be shown: quoted, escaped, cut to 24 characters."""
    return ascii(name if len(name) <= 24 else name[:24] + "...")


def _scan(file: BinaryIO) -> Iterator[Row | Problem]:
    line, offset = 0, 0
    while raw := file.readline(MAX_LINE + 1):
        line += 1
        if line == 1 and (reason := _other_format(raw)):
            yield Problem(1, reason)
            return
        if len(raw) > MAX_LINE and not raw.endswith(b"\n"):
            yield Problem(line, f"longer than {MAX_LINE >> 20} MiB; split the row")
            offset += _skip_line(file)
        else:
            yield parse_row(raw, line, offset)
        offset += len(raw)
    if line == 0:
        yield Problem(0, "the file is empty")


def _skip_line(file: BinaryIO) -> int:
    """Read on to the end of the line; return how many bytes that was."""
    skipped = 0
    while piece := file.readline(1 << 20):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            break
    return skipped


def _other_format(first: bytes) -> str | None:
    """Return why a file with this first line is not JSON Lines at all, if it shows."""
    if first.startswith(_WIDE_STARTS):
        return "the file is UTF-16 or UTF-32; save it as UTF-8"
    if first.startswith(b"\x1f\x8b"):
        return "the file is compressed (gzip); unpack it first"
    start = first.removeprefix(_BOM).lstrip(b" \t")
    if start.startswith(b"["):
        return "the file starts a JSON array; write one object per line and no brackets around them"
    if start.rstrip() == b"{":
        return "the object goes on over several lines; write each object on one line"
    return None


def _text(raw: bytes, offset: int) -> str:
    if not raw.strip(b" \t\r\n"):
        raise _Broken("blank line; remove it")
    if raw.startswith(_BOM):
        raise _Broken("starts with a byte-order mark; save the file as UTF-8 without one")
    if (at := raw.find(b"\0")) >= 0:
        raise _Broken(f"NUL byte at byte offset {offset + at} of the file; is it text in UTF-8?")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        where = offset + error.start
        raise _Broken(
            f"not UTF-8 at byte offset {where} of the file; save the file as UTF-8"
        ) from None


def _object(text: str) -> dict[str, Any]:
    """Return the object that is all of `text`, read strictly."""
    try:
        value = _DECODER.decode(text)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except json.JSONDecodeError as error:
        what = error.msg[:1].lower() + error.msg[1:]
        raise _Broken(f"not valid JSON at column {error.colno}: {what}") from None
    except UnicodeEncodeError:
        raise _Broken(
            "half of a surrogate pair (such as \\ud83d alone); write both halves"
        ) from None
    except RecursionError:
        raise _Broken("nested too deeply to be read") from None
    except ValueError:
        raise _Broken("a number has too many digits to be read") from None
    if not isinstance(value, dict):
        raise _Broken("not a JSON object; each line is one object in braces")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    data = dict(pairs)
    if len(data) == len(pairs):
        return data
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise _Broken(f"the key {quoted(key)} stands twice in one object; keep one")
        seen.add(key)
    raise AssertionError("fewer keys than pairs means a key stands twice")


def _constant(name: str) -> NoReturn:
    raise _Broken(f"{name} is not JSON; write a number or null")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Broken("a number is too large to be read")
    return number


def _format(data: dict[str, Any]) -> Format:
    found = {_MARKERS[key]: key for key in reversed(_MARKERS) if key in data}
    if not found:
        raise _Broken(
            "has neither messages, nor prompt and completion, nor text, nor preferred_output"
        )
    if len(found) > 1:
        keys = " and ".join(sorted(found.values()))
        raise _Broken(f"has {keys} at once; keep the one that is to be trained on")
    return next(iter(found))


_DECODER = json.JSONDecoder(
    object_pairs_hook=_unique, parse_constant=_constant, parse_float=_finite
)
