"""An audit's file as it lies there: TOML or YAML, read with the line of every key."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtune_client.errors import InputError

Place = tuple[str | int, ...]  # the way to a value: names of tables, numbers of list items

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(
    r"""^\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*="""
)
_PART = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")


@dataclass(frozen=True)
class Source:
    """What a file says, and on which line (from 1) it says what."""

    path: Path
    data: Mapping[str, Any]
    lines: Mapping[Place, int]

    def error(self, place: Place, what: str, advice: str) -> InputError:
        """Return the error for something wrong at `place`, or at what lies nearest around it."""
        places = (place[:end] for end in range(len(place), 0, -1))
        line = next((self.lines[each] for each in places if each in self.lines), None)
        where = f"{self.path}:{line}" if line else str(self.path)
        return InputError(f"{where}: {what}", advice)


def read_source(path: Path) -> Source:
    """Read a `.toml`, `.yaml` or `.yml` file; `InputError` names the line of what is wrong."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}.", "Name the file of the audit."
        ) from error
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8.", "Save it as UTF-8.") from None
    data, lines = _yaml(path, text) if path.suffix in (".yaml", ".yml") else _toml(path, text)
    if not isinstance(data, dict):
        raise InputError(f"{path} holds no tables.", "See docs/audits.md for how one looks.")
    return Source(path, data, lines)


def _toml(path: Path, text: str) -> tuple[Any, dict[Place, int]]:
    try:
        lines: dict[Place, int] = {}
        for place, line in _toml_lines(text):
            for end in range(1, len(place) + 1):
                lines.setdefault(place[:end], line)
        return tomllib.loads(text), lines
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"line (\d+)", str(error))
        where = f"{path}:{found[1]}" if found else str(path)
        what = str(error).partition(" (at ")[0]
        raise InputError(f"{where}: {what}.", "Mend the file; it is read as TOML.") from None


def _toml_lines(text: str) -> Iterator[tuple[Place, int]]:
    """Yield the line of every table and of every key that stands first on a line of its own.

    tomllib tells no lines. Inside multi-line strings a line may be taken for a key; a place that is
    asked for is never one of those."""
    table: Place = ()
    items: Counter[Place] = Counter()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[2])
            if header[1] == "[[":
                items[table] += 1
                table = (*table, items[table] - 1)
            elif table[:-1] in items:  # [checks.recipe] is of the last [[checks]]
                table = (*table[:-1], items[table[:-1]] - 1, table[-1])
            yield table, number
        elif key := _KEY.match(line):
            yield (*table, *_parts(key[1])), number


def _parts(dotted: str) -> Place:
    return tuple(part.strip("\"'") for part in _PART.findall(dotted))


def _yaml(path: Path, text: str) -> tuple[Any, dict[Place, int]]:
    import yaml

    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        lines = dict(_yaml_lines(node, ())) if node else {}
        return yaml.safe_load(text), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise InputError(f"{where}: {error.problem}.", "Mend the file; it is YAML.") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise InputError(f"{path} cannot be read as YAML.", "Mend the file.") from None


def _yaml_lines(node: Any, place: Place) -> Iterator[tuple[Place, int]]:
    """Yield the line of every key and list item below a composed node."""
    if node.id == "mapping":
        for key, value in node.value:
            below = (*place, str(key.value))
            yield below, key.start_mark.line + 1
            yield from _yaml_lines(value, below)
    elif node.id == "sequence":
        for number, value in enumerate(node.value):
            yield (*place, number), value.start_mark.line + 1
            yield from _yaml_lines(value, (*place, number))
