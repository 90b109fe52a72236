"""What is found, one JSON line each, so that a run that was cut short goes on where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.side_by_side.jobs import Found

NULL = "null"


@dataclass(frozen=True)
class Line:
    """What `scheme` showed about the job `name` and the file of `seed`; `scheme` is "null" for
    false positives, and `name` a system that never met the file."""

    sides: str  # digest: lines of another setting do not belong into the same table
    scheme: str
    name: str
    seed: int
    found: Found

    @property
    def key(self) -> tuple[str, str, int]:
        return self.scheme, self.name, self.seed


class Book:
    """The lines of one setting. Several processes may add to the same file."""

    def __init__(self, path: Path, sides: str) -> None:
        self._path, self._sides = path, sides

    def lines(self) -> dict[tuple[str, str, int], Line]:
        """Return all lines there are, the last of each key."""
        if not self._path.exists():
            return {}
        texts = self._path.read_text(encoding="utf-8").splitlines()
        found = (Line(**json.loads(text)) for text in texts)
        return {line.key: line for line in found if line.sides == self._sides}

    def add(self, scheme: str, name: str, seed: int, found: Found) -> None:
        line = Line(self._sides, scheme, name, seed, found)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(line)) + "\n")

    def forget(self, scheme: str) -> None:
        """Forget what a scheme showed; models stay."""
        kept = [line for line in self.lines().values() if line.scheme != scheme]
        self._path.unlink(missing_ok=True)
        for line in kept:
            self.add(line.scheme, line.name, line.seed, line.found)
